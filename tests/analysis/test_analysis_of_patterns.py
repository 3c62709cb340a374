"""Scores from patterns: the same tables as from their RDMs, whichever way they are computed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

import rsa_exp
from rsa_exp.analysis import ways
from rsa_exp.datasets.simulation import LAYERS, simulate_study
from rsa_exp.rdms import pattern_rdms

ROIS = ["LHLOC", "RHPPA"]
DRAWN = rsa_exp.Inference(n_boot=30, n_perm=12, n_splits=3)
LEFT_OUT = rsa_exp.Inference("jackknife", n_boot=0, n_perm=0, n_splits=0)
TABLES = ("scores", "subject_scores", "comparisons", "ceilings", "best_layers")


def load(path: Path) -> rsa_exp.Patterns:
    with h5py.File(path) as file:
        values = {name: file["patterns"][name][()] for name in file["patterns"]}
        images = [name.decode() for name in file["image"][()]]
        return rsa_exp.Patterns(values, images, file["run"][()] if "run" in file else None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("patterns")


@pytest.fixture(scope="module")
def from_files(made: Path) -> rsa_exp.Study:
    """The simulated study, from RDM files."""
    return rsa_exp.datasets.simulated(40, root=made)


@pytest.fixture(scope="module")
def from_patterns(made: Path) -> rsa_exp.Study:
    """The same study, from the patterns of three runs whose mean makes these RDMs."""
    return rsa_exp.datasets.simulated(40, root=made, n_runs=3)


def differences(left: rsa_exp.Result, right: rsa_exp.Result) -> float:
    """Return the largest difference of any number in any table; all else must be equal."""
    largest = 0.0
    for name in TABLES:
        a, b = getattr(left, name), getattr(right, name)
        assert (a is None) == (b is None), name
        if a is None:
            continue
        assert list(a) == list(b)
        for column in a:
            if a[column].dtype.kind == "f":
                np.testing.assert_array_equal(a[column].isna(), b[column].isna(), column)
                largest = max(
                    largest, (a[column] - b[column]).abs().max() if a[column].notna().any() else 0
                )
            else:
                pd.testing.assert_series_equal(a[column], b[column])
    return largest


@pytest.mark.parametrize("inference", [DRAWN, LEFT_OUT], ids=["draws", "jackknife"])
@pytest.mark.parametrize(
    ("metric", "subject"),
    [("corr", "1"), ("corr_cov", "group"), ("cosine", "joint"), ("cosine_cov", "2")],
)
def test_all_tables_are_those_of_the_rdms(
    from_files: rsa_exp.Study, from_patterns: rsa_exp.Study, monkeypatch: pytest.MonkeyPatch,
    metric: str, subject: str, inference: rsa_exp.Inference,
) -> None:  # fmt: skip
    asked = {"subject": subject, "metric": metric, "roi": ROIS, "inference": inference}
    expected = rsa_exp.analyse(from_files, **asked)
    assert expected.computed_from == {}
    made = rsa_exp.analyse(from_patterns, **asked)
    assert set(made.computed_from.values()) == {"rdms"}  # 40 images are soon compared
    assert differences(expected, made) < 1e-9
    monkeypatch.setattr(ways, "available_bytes", lambda: 0.0)  # as if no RDM fitted into memory
    summed = rsa_exp.analyse(from_patterns, **asked)
    assert set(summed.computed_from.values()) == {"patterns"}
    assert any("without RDMs" in notice for notice in summed.notices)
    assert differences(expected, summed) < 1e-9
    assert expected.rdms is not None
    assert summed.rdms is not None
    np.testing.assert_allclose(expected.rdms.brain, summed.rdms.brain, atol=1e-9)


def test_ranks_come_from_tiles_where_rdms_do_not_fit(
    from_files: rsa_exp.Study, from_patterns: rsa_exp.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"subject": "group", "metric": "spearman", "roi": ROIS}
    expected = rsa_exp.analyse(from_files, **asked, inference=None)
    monkeypatch.setattr(ways, "_SHARE", 0.0)
    found = rsa_exp.analyse(from_patterns, **asked, inference=DRAWN)
    assert found.computed_from == {"scores": "tiles", "draws": "none", "permutations": "none"}
    np.testing.assert_allclose(found.scores["score"], expected.scores["score"], atol=1e-9)
    assert found.scores["se"].isna().all()
    with pytest.raises(
        rsa_exp.InputError, match=r"metric=tau-a of these patterns needs RDMs of 40"
    ):
        rsa_exp.analyse(from_patterns, metric="tau-a", inference=None)


def test_large_files_are_read_in_blocks(
    made: Path, from_patterns: rsa_exp.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns measured once, plainly stored, are never held whole; the scores are the same."""
    folder = simulate_study(made, 40, 0, 1)
    monkeypatch.setattr(pattern_rdms, "_STREAMED_BYTES", 0)
    monkeypatch.setattr(ways, "available_bytes", lambda: 0.0)
    options = rsa_exp.PatternOptions()
    with rsa_exp.open_study(
        {s: folder / f"CSI{s}_patterns.h5" for s in "123"},
        folder / "ResNet50_features.h5",
        patterns=options,
        features=options,
        layers=LAYERS,
    ) as study:
        monkeypatch.setattr(pattern_rdms, "prepare", None)
        found = rsa_exp.analyse(study, subject="group", roi=ROIS, inference=LEFT_OUT)
        digests = {record.subject: record.rows for record in found.inputs}
    monkeypatch.undo()
    expected = rsa_exp.analyse(from_patterns, subject="group", roi=ROIS, inference=LEFT_OUT)
    np.testing.assert_allclose(found.scores["score"], expected.scores["score"], atol=1e-9)
    np.testing.assert_allclose(found.scores["se"], expected.scores["se"], atol=1e-9)
    with rsa_exp.open_study({"1": load(folder / "CSI1_patterns.h5")}, load(
        folder / "ResNet50_features.h5"), layers=LAYERS) as study:  # fmt: skip
        whole = rsa_exp.analyse(study, roi=ROIS, inference=None)
    assert whole.inputs[0].rows == digests["1"]  # read in blocks or whole: one content


@pytest.mark.parametrize("distance", ["correlation", "euclidean", "crossnobis"])
def test_rdms_of_a_study_are_rsatoolboxs(
    from_patterns: rsa_exp.Study, made: Path, distance: str
) -> None:
    patterns = load(simulate_study(made, 40, 0, 3) / "CSI1_patterns.h5")
    rows = {"image": list(patterns.images), "run": list(patterns.runs)}
    data = Dataset(patterns.values["LHLOC"], obs_descriptors=rows)  # noqa: PD011
    if distance != "crossnobis":
        data = data.subset_obs("image", list(dict.fromkeys(patterns.images)))
    expected = calc_rdm(data, method=distance, descriptor="image", cv_descriptor="run")
    options = rsa_exp.PatternOptions(distance)
    study = rsa_exp.open_study(
        {"1": patterns}, patterns, patterns=options, features=options, align="exact"
    )
    order = [list(expected.pattern_descriptors["image"]).index(name) for name in study.images]
    found = study.rdms("LHLOC").get_matrices()[0]
    np.testing.assert_allclose(
        found, expected.get_matrices()[0][np.ix_(order, order)], rtol=1e-9, atol=1e-9
    )


def test_what_is_known_of_patterns_is_recorded(from_patterns: rsa_exp.Study) -> None:
    found = rsa_exp.analyse(from_patterns, subject="2", roi=ROIS, inference=None)
    table = found.patterns
    assert table is not None
    brain = table[table["subject"] == "2"]
    assert list(brain["name"]) == ROIS
    assert (brain["n_channel_used"] == 400).all()
    assert (brain["repetitions_min"] == 3).all()
    assert brain["reliability"].between(0.5, 1).all()  # noise of a run is as large as the signal
    assert set(table["subject"]) == {"2", ""}


def test_undefined_images_are_named_and_left_out() -> None:
    rng = np.random.default_rng(0)
    images = [f"{i}.png" for i in range(12)]
    values = rng.standard_normal((12, 8))
    values[3] = 1.0
    brain = rsa_exp.Patterns({"V1": values}, images)
    model = rsa_exp.Patterns({"a": rng.standard_normal((12, 5))}, images)
    with rsa_exp.open_study({"1": brain}, model) as study:
        found = rsa_exp.analyse(study, inference=None)
    assert any("(3.png): their pairs are NaN" in warning for warning in found.warnings)
    assert found.scores["n_pairs"].tolist() == [11 * 10 // 2]


def test_each_subjects_own_images() -> None:
    rng = np.random.default_rng(0)
    names = [f"img{i:03d}" for i in range(60)]
    saw = {"1": names[:40], "2": names[20:], "3": names[:25]}
    brain = {
        subject: rsa_exp.Patterns({"V1": rng.standard_normal((len(own), 6))}, own)
        for subject, own in saw.items()
    }
    model = rsa_exp.Patterns({"a": rng.standard_normal((60, 7))}, names)
    study = rsa_exp.open_study(brain, model, match="subject")
    for subject, own in saw.items():
        found = rsa_exp.analyse(study, subject=subject, inference=LEFT_OUT)
        with rsa_exp.open_study({subject: brain[subject]}, model) as alone:
            expected = rsa_exp.analyse(alone, subject=subject, inference=LEFT_OUT)
        assert found.scores["n_images"].tolist() == [len(own)]
        assert found.scores["score"].tolist() == expected.scores["score"].tolist()
        assert found.ceilings is None
        assert any("match=subject" in notice for notice in found.notices)
    pooled = rsa_exp.analyse(study, subject="group", inference=None)
    assert pooled.scores["n_images"].tolist() == [5]
    assert "match=subject: group uses the 5 images that all subjects saw" in pooled.notices
