"""A run's numbers against rsatoolbox used the usual way, and the pooled subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import compare, load_rdm
from studies import Files, analyse_files, random_rdms, write_rdms

from rsa_exp import datasets
from rsa_exp.analysis import scoring
from rsa_exp.analysis.analyse import analyse
from rsa_exp.errors import InputError
from rsa_exp.figures import draw


def by_rsatoolbox(brain: Path, model: Path, method: str) -> np.ndarray:
    """Load, put both files' images in one order, compare."""
    loaded = [load_rdm(str(path)) for path in (brain, model)]
    for rdms in loaded:
        rdms.sort_by(image="alpha")
    return np.asarray(compare(*loaded, method))


@pytest.mark.parametrize("metric", ["corr", "spearman", "tau-a", "corr_cov"])
def test_scores_equal_rsatoolboxs(files: Files, metric: str) -> None:
    scores = analyse_files(files, metric=metric).scores
    expected = by_rsatoolbox(files.brain(), files.model, metric)
    np.testing.assert_allclose(scores["score"], expected.ravel(), atol=1e-9)
    assert scores["roi"].tolist() == ["V1"] * 3 + ["V2"] * 3
    assert scores["layer"].tolist() == ["a", "b", "c"] * 2
    assert scores["depth"].tolist() == [1, 2, 3] * 2


def test_simulated_study_equals_rsatoolbox_with_exact_names(tiny_study: Path) -> None:
    brain = load_rdm(str(tiny_study / "CSI2_BOLD5000_CORR_RDMs.h5"))
    model = load_rdm(str(tiny_study / "ResNet50_CORR_RDMs.h5"))
    names = [set(rdms.pattern_descriptors["image"]) for rdms in (brain, model)]
    common = sorted(names[0] & names[1])
    loaded = [rdms.subset_pattern("image", common) for rdms in (brain, model)]
    for rdms in loaded:
        rdms.sort_by(image="alpha")
    with datasets.simulated(60, 0, tiny_study.parent, align="exact") as study:
        result = analyse(study, subject="2", inference=None)
    expected = np.asarray(compare(*loaded, "corr"))
    np.testing.assert_allclose(result.scores["score"], expected.ravel(), atol=1e-12)
    assert result.scores["n_images"].unique().tolist() == [len(common)]
    assert "images are lost to file extensions" in result.warnings[0]


def test_joint_scores_the_mean_rdm_and_group_is_the_mean_score(files: Files) -> None:
    single = [analyse_files(files, subject=s).scores["score"] for s in "AB"]
    group = analyse_files(files, subject="group")
    np.testing.assert_allclose(group.scores["score"], np.mean(single, axis=0), rtol=1e-15)
    assert group.subject_scores is not None
    assert group.subject_scores["subject"].tolist() == ["A"] * 6 + ["B"] * 6
    np.testing.assert_array_equal(group.subject_scores["score"], pd.concat(single))
    brain = [load_rdm(str(files.brain(s))) for s in "AB"]
    mean = np.mean([rdms.dissimilarities for rdms in brain], axis=0)
    write_rdms(files.folder / "mean.h5", mean, ["V1", "V2"])
    joint = analyse_files(files, subject="joint").scores["score"]
    expected = by_rsatoolbox(files.folder / "mean.h5", files.model, "corr")
    np.testing.assert_allclose(joint, expected.ravel(), atol=1e-12)


def test_a_group_is_undefined_where_a_subject_is_and_its_figures_say_so(files: Files) -> None:
    rdms = random_rdms(2, seed=2)
    rdms[1] = np.nan
    write_rdms(files.brain("B"), rdms, ["V1", "V2"])
    result = analyse_files(files, subject="group")
    assert result.scores["score"].isna().tolist() == [False] * 3 + [True] * 3
    ((_, heatmap),) = draw(result, ["heatmap"])
    cells = [text.get_text() for text in heatmap.axes[0].texts]
    assert sum("±" in text for text in cells) == 3
    assert "3 of 12 scores are undefined" in result.warnings[0]
    assert "V2 x a of subject B" in result.warnings[0]


def test_sessions_are_averaged_over_what_they_have(files: Files) -> None:
    sessions = random_rdms(2, seed=9)
    sessions[0, 4] = np.nan
    write_rdms(files.brain(), sessions, ["V1", "V1"])
    result = analyse_files(files, layer="a")
    mean = sessions.mean(axis=0)
    mean[4] = sessions[1, 4]
    write_rdms(files.folder / "mean.h5", mean[None], ["V1"])
    expected = by_rsatoolbox(files.folder / "mean.h5", files.model, "corr")[0, 0]
    assert result.scores["score"].tolist() == pytest.approx([expected], abs=1e-12)
    assert result.notices == ["A_RDMs.h5: ROI 'V1' has 2 RDMs, averaged"]


def test_gaps_and_constants_are_counted_and_said(files: Files) -> None:
    rdms = random_rdms(3, seed=1)
    rdms[0, :2] = np.nan
    rdms[2] = 1.0
    write_rdms(files.brain(), rdms, ["V1", "V2", "V3"])
    result = analyse_files(files)
    assert result.scores["n_pairs"].tolist() == [34] * 3 + [36] * 6
    assert result.scores["score"].isna().tolist() == [False] * 6 + [True] * 3
    assert (
        "3 of 9 scores are undefined and left empty, because the RDM is constant"
        in (result.warnings[0])
    )
    assert "V1: 34 of 36 pairs remain" in result.warnings[1]


def test_layers_that_do_not_fit_memory_are_taken_in_parts(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analyse_files(files, subject="group")
    monkeypatch.setattr(scoring, "MODEL_BYTES", 2 * 36 * 8)  # two of the three layers
    parts = analyse_files(files, subject="group")
    pd.testing.assert_frame_equal(parts.scores, whole.scores, check_exact=True)
    assert parts.inputs == whole.inputs


def test_patterns_lists_and_order_of_rois_and_layers(files: Files) -> None:
    scores = analyse_files(files, roi=["V2", "V*"], layer=["c", "a"]).scores
    assert scores["roi"].drop_duplicates().tolist() == ["V1", "V2"]
    assert scores["layer"].drop_duplicates().tolist() == ["a", "c"]
    assert scores["depth"].drop_duplicates().tolist() == [1, 3]
    with pytest.raises(InputError, match=r"A_RDMs\.h5 has no ROI 'v3' \(it has V1, V2\)"):
        analyse_files(files, roi="v3")


def test_every_run_of_a_sweep_scores_the_same_images(files: Files) -> None:
    short = [f"img{i:02d}.jpg" for i in range(6)]
    write_rdms(files.brain("B"), random_rdms(1, 6), ["V1"], short)
    result = analyse_files(files, subject="A")
    assert result.alignment["n_common"] == 6
    assert result.scores["n_images"].unique().tolist() == [6]
    assert result.warnings == [
        "subject B has 6 images: with it 6 are common, without it 9",
    ]


def test_reads_only_the_rows_that_are_asked_for(files: Files) -> None:
    result = analyse_files(files, roi="V2", layer="b")
    assert [(item.role, item.name, list(item.rows)) for item in result.inputs] == [
        ("brain", "A_RDMs.h5", ["V2"]),
        ("model", "models.h5", ["b"]),
    ]
