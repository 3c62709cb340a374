"""A study in a notebook: what goes in and out, what it keeps in memory, and when it closes."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import compare, load_rdm
from scipy.spatial.distance import squareform
from studies import Files, analyse_files, random_rdms, write_rdms

import rsa_exp
from rsa_exp.analysis.analyse import analyse
from rsa_exp.analysis.result import Result
from rsa_exp.analysis.settings import Inference
from rsa_exp.errors import InputError
from rsa_exp.rdms import cache
from rsa_exp.rdms.opening import open_study
from rsa_exp.rdms.readers.rsatoolbox_hdf5 import RsatoolboxHdf5
from rsa_exp.rdms.study import Study

SMALL = Inference(n_boot=20, n_perm=20, n_splits=4, keep_draws=True)
TABLES = ["scores", "subject_scores", "comparisons", "ceilings", "best_layers"]


def opened(files: Files, **options: object) -> Study:
    return open_study({s: files.brain(s) for s in "AB"}, files.model, **options)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """How often each row of each file is read."""
    counts: Counter[tuple[str, int]] = Counter()
    read = RsatoolboxHdf5.read_row

    def counting(file: RsatoolboxHdf5, row: int) -> np.ndarray:
        counts[file.path.name, row] += 1
        return read(file, row)

    monkeypatch.setattr(RsatoolboxHdf5, "read_row", counting)
    return counts


def assert_equal(one: Result, other: Result) -> None:
    for name in TABLES:
        tables = getattr(one, name), getattr(other, name)
        if tables[0] is None:
            assert tables[1] is None
        else:
            pd.testing.assert_frame_equal(*tables, check_exact=True)
    for name, values in (one.draws or {}).items():
        np.testing.assert_array_equal(values, other.draws[name])
    np.testing.assert_array_equal(one.null, other.null)
    assert (one.inputs, one.warnings, one.notices) == (other.inputs, other.warnings, other.notices)


@pytest.mark.parametrize("metric", ["corr", "spearman", "tau-a"])
@pytest.mark.parametrize("subject", ["A", "group", "joint"])
def test_each_row_is_read_once(
    files: Files,
    reads: Counter[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
    subject: str,
) -> None:
    sessions = random_rdms(3, seed=5)
    sessions[0, 3] = np.nan
    write_rdms(files.brain(), sessions, ["V1", "V1", "V2"])
    arguments = {"subject": subject, "metric": metric, "inference": SMALL}
    kept = analyse_files(files, **arguments)
    rows = {("A_RDMs.h5", 3), ("B_RDMs.h5", 2), ("models.h5", 3)}
    assert set(reads) == {(name, row) for name, count in rows for row in range(count)}
    assert set(reads.values()) == {1}
    for room in (0, 2 * 8 * 36):  # nothing; two RDMs of 36 pairs
        monkeypatch.setattr(cache, "KEPT_BYTES", room)
        reads.clear()
        assert_equal(analyse_files(files, **arguments), kept)
        assert max(reads.values()) > 1


def test_scores_alone_keep_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = []
    made = cache.RdmCache.__init__
    monkeypatch.setattr(
        cache.RdmCache,
        "__init__",
        lambda self, study, room: rooms.append(room) or made(self, study, room),
    )
    analyse_files(files)
    analyse_files(files, inference=SMALL)
    assert rooms == [0, cache.KEPT_BYTES]


def test_an_analysis_records_its_own_rows_and_remarks(files: Files) -> None:
    write_rdms(files.brain(), random_rdms(2, seed=9), ["V1", "V1"])
    with opened(files) as study:
        first = analyse(study, subject="A", roi="V1", inference=None)
        second = analyse(study, subject="B", roi="V2", layer="a", inference=None)
        again = analyse(study, subject="A", roi="V1", inference=None)
    assert first.notices == ["A_RDMs.h5: ROI 'V1' has 2 RDMs, averaged"]
    assert second.notices == []
    rows = [(item.subject, list(item.rows)) for item in second.inputs]
    assert rows == [("B", ["V2"]), ("", ["a"])]
    assert again.inputs == first.inputs


def test_the_first_subject_is_analysed_by_default(files: Files) -> None:
    with open_study({"B": files.brain("B"), "A": files.brain()}, files.model) as study:
        assert set(analyse(study, inference=None).scores["subject"]) == {"B"}


def test_it_hands_rdms_to_rsatoolbox(files: Files) -> None:
    with opened(files, name="mine", model_name="net") as study:
        brain, model = study.rdms("V2"), study.model_rdms()
        scores = analyse(study, subject="group", roi="V2", inference=None).subject_scores
    assert list(brain.rdm_descriptors["subject"]) == ["A", "B"]
    assert list(brain.rdm_descriptors["roi"]) == ["V2", "V2"]
    assert brain.pattern_descriptors["image"] == model.pattern_descriptors["image"]
    assert list(model.rdm_descriptors["layer"]) == ["a", "b", "c"]
    np.testing.assert_allclose(compare(brain, model, "corr").ravel(), scores["score"], atol=1e-12)
    assert scores["study"].unique().tolist() == ["mine"]
    assert scores["model"].unique().tolist() == ["net"]
    with opened(files) as study, pytest.raises(InputError, match="did you mean 'V2'"):
        study.rdms("v2")


def test_files_objects_and_arrays_give_the_same_bits(files: Files) -> None:
    brain = {s: load_rdm(str(files.brain(s))) for s in "AB"}
    model = load_rdm(str(files.model))
    before = model.dissimilarities.copy()
    arrays = {
        s: rsa_exp.Arrays(
            {"V1": squareform(rdms.dissimilarities[0]), "V2": rdms.dissimilarities[1]},
            rdms.pattern_descriptors["image"],
        )
        for s, rdms in brain.items()
    }
    expected = analyse_files(files, subject="group", inference=SMALL)
    for source in (brain, arrays):
        with open_study(source, model, name="files", model_name="models") as study:
            found = analyse(study, subject="group", inference=SMALL)
        pd.testing.assert_frame_equal(found.scores, expected.scores, check_exact=True)
        pd.testing.assert_frame_equal(found.comparisons, expected.comparisons, check_exact=True)
        assert [item.digest for item in found.inputs] == [item.digest for item in expected.inputs]
        assert {item.path for item in found.inputs} == {""}
        assert found.files == []
    np.testing.assert_array_equal(model.dissimilarities, before)


def test_names_come_from_files_and_facts_from_the_caller(files: Files) -> None:
    with opened(files, rois={"V1": {"hemisphere": "LH", "level": "early"}}) as study:
        table = analyse(study, subject="A", layer="a", inference=None).scores
    assert (study.name, study.model_name) == ("files", "models")
    assert table["hemisphere"].tolist() == ["LH", ""]
    assert table["region"].tolist() == ["", ""]
    with pytest.raises(InputError, match="hemisphere, region, level"):
        opened(files, rois={"V1": {"side": "LH"}})


def test_it_is_closed_when_nothing_refers_to_it(files: Files) -> None:
    study = opened(files)
    file = study._model
    study.brain_rdm(["A"], "V1")
    del study
    gc.collect()
    assert not file._file
    with opened(files) as study:
        pass
    study.close()
    with pytest.raises(ValueError, match="the study is closed"):
        study.model_rdm("a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subject": "C"}, r"subject=C is not one of A, B, group, joint"),
        ({"subject": "a"}, "did you mean 'A'"),
        ({"metric": "cor"}, "did you mean 'corr'"),
        ({"precision": "float32", "metric": "tau-a"}, "tau-a is computed in float64"),
        ({"seed": -1}, "seed=-1 is negative"),
        ({"inference": Inference("dual")}, "needs subject=group"),
        ({"roi": "V3"}, "has no ROI 'V3'"),
        ({"layer": "V3"}, "has no layer 'V3'"),
    ],
)
def test_arguments_that_cannot_be_used(
    files: Files, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        analyse_files(files, **arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bootstrap": "image"}, "did you mean 'images'"),
        ({"ceiling": "all"}, "ceiling=all is not one of"),
        ({"n_boot": 19}, "make no interval"),
        ({"n_perm": -1}, "n_perm=-1 is negative"),
        ({"ci": 95}, "ci=95 is not a confidence level"),
    ],
)
def test_inference_that_cannot_be_made(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Inference(**settings)


def test_a_study_that_cannot_be_opened(files: Files, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no subject"):
        open_study(files.brain(), files.model)
    with pytest.raises(InputError, match=r"align=Stem .* did you mean 'stem'"):
        opened(files, align="Stem")
    with pytest.raises(InputError, match=r"nowhere\.h5"):
        open_study({"A": tmp_path / "nowhere.h5"}, files.model)
