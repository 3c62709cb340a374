"""What a run says about its scores, from files to tables."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, compare
from rsatoolbox.util import inference_util
from studies import Files, analyse_files, write_rdms

from rsa_exp import files as output
from rsa_exp.analysis import cost
from rsa_exp.analysis.family import correct_over_runs
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.result import Result
from rsa_exp.analysis.settings import NO_INFERENCE, Inference
from rsa_exp.runs.significance import count_significant
from rsa_exp.stats.bootstrap import kept_sums
from rsa_exp.stats.bootstrap.pair_sums import pair_sums
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.uncertainty import Sampling, t_test

SUBJECTS = ["A", "B", "C", "D"]
N_IMAGES = 24
IMAGES = [f"img{i:02d}.png" for i in range(N_IMAGES)]
N_PAIRS = N_IMAGES * (N_IMAGES - 1) // 2
SMALL = {"n_boot": 60, "n_perm": 40, "n_splits": 8}


@pytest.fixture
def group(tmp_path: Path) -> Files:
    """Four subjects, two ROIs, three layers; in V1 the layers' order is a, b, c."""
    rng = np.random.default_rng(0)
    layers = rng.random((3, N_PAIRS))
    write_rdms(tmp_path / "models.h5", layers, ["a", "b", "c"], IMAGES, row_key="layer")
    for subject in SUBJECTS:
        v1 = np.array([1.0, 0.7, 0.3]) @ layers + 0.4 * rng.random(N_PAIRS)
        write_rdms(
            tmp_path / f"{subject}_RDMs.h5", np.stack([v1, rng.random(N_PAIRS)]), ["V1", "V2"],
            IMAGES,
        )  # fmt: skip
    return Files(tmp_path)


def infer(files: Files, subject: str, metric: str = "corr", **settings: object) -> Result:
    inference = Inference(**{**SMALL, **settings})
    return analyse_files(files, SUBJECTS, subject=subject, metric=metric, inference=inference)


def brain(files: Files, roi: int) -> RDMs:
    rows = []
    for subject in SUBJECTS:
        with h5py.File(files.brain(subject)) as file:
            rows.append(file["dissimilarities"][roi])
    return RDMs(np.array(rows))


@pytest.mark.parametrize("metric", ["corr", "cosine_cov", "spearman"])
def test_group(group: Files, metric: str) -> None:
    result = infer(group, "group", metric)
    scores = result.scores
    assert (scores["ci_method"] == "dual bootstrap, t(3)").all()
    assert (scores["se"] > 0).all()
    np.testing.assert_allclose(
        (scores["ci_low"] + scores["ci_high"]) / 2, scores["score"], atol=1e-12
    )
    expected = t_test(scores["score"], scores["se"], 3, "greater")
    if metric == "cosine_cov":  # 0 is not what unrelated RDMs score
        assert scores["p_zero"].isna().all()
    else:
        np.testing.assert_allclose(scores["p_zero"], expected, atol=1e-12)
    assert (scores["n_tests"] == 6).all()

    for place, roi in enumerate(("V1", "V2")):
        rows = scores[scores["roi"] == roi]
        ceilings = boot_noise_ceiling(brain(group, place), metric)
        np.testing.assert_allclose(
            rows[["ceiling_low", "ceiling_high"]].iloc[0], ceilings, atol=1e-9
        )
        own = result.subject_scores.query("roi == @roi and layer == 'a'")
        np.testing.assert_allclose(own[["ceiling_low", "ceiling_high"]].mean(), ceilings, atol=1e-9)
        assert (own["ci_method"] == "images bootstrap, percentile").all()
    np.testing.assert_array_equal(
        result.ceilings["ceiling_low"], scores.drop_duplicates("roi")["ceiling_low"]
    )
    assert (result.ceilings["ceiling_low_se"].notna()).all() == (metric != "spearman")

    # Planted: in V1 layers match in the order a, b, c.
    v1 = scores[scores["roi"] == "V1"].set_index("layer")
    assert v1["score"].is_monotonic_decreasing
    assert (v1.loc[["a", "b"], "p_fwe"] <= 1 / 41 + 1e-12).all()
    best = result.best_layers
    assert best.query("roi == 'V1' and best")["layer"].tolist() == ["a"]
    sums = best.groupby("roi")[["boot_frequency", "split_frequency"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert best.query("roi == 'V1' and layer == 'a'")["boot_frequency"].item() > 0.9
    assert (result.null > -1).all()
    assert len(result.null) == 40


def test_comparisons_are_those_of_the_draws(group: Files) -> None:
    result = infer(group, "group", keep_draws=True)
    scores = result.scores
    table, draws = result.comparisons, result.draws
    assert len(table) == 2 * 3 + 3 * 1
    assert draws["scores"].shape == (3, 2, 3, 60)
    sampling = Sampling("dual", N_IMAGES, 4, 0.95)
    value = scores.set_index(["roi", "layer"])["score"]
    for i, (a, b) in enumerate(combinations("abc", 2)):
        row = table.query("within == 'V2' and a == @a and b == @b").iloc[0]
        assert row["difference"] == value["V2", a] - value["V2", b]
        places = ["abc".index(a), "abc".index(b)]
        difference = draws["scores"][:, 1, places[0]] - draws["scores"][:, 1, places[1]]
        se = np.sqrt(sampling.variance(difference))
        np.testing.assert_allclose(row["se"], se, rtol=1e-12)
        np.testing.assert_allclose(row["p"], t_test(row["difference"], se, 3, "both"), rtol=1e-12)
        assert table["n_tests"].tolist() == [6] * 6 + [3] * 3, i
    rois = table[table["kind"] == "rois"].iloc[0]
    assert (rois["within"], rois["a"], rois["b"]) == ("a", "V1", "V2")
    difference = draws["scores"][:, 0, 0] - draws["scores"][:, 1, 0]
    np.testing.assert_allclose(rois["se"], np.sqrt(sampling.variance(difference)), rtol=1e-12)
    below = draws["scores"] - draws["ceilings"][:, :, :1]
    gap = value.to_numpy().reshape(2, 3) - result.ceilings[["ceiling_low"]].to_numpy()
    expected = t_test(gap, np.sqrt(sampling.variance(below)), 3, "both")
    np.testing.assert_allclose(scores["p_ceiling"], expected.ravel(), rtol=1e-9)


def test_one_subject_has_the_others_ceiling_and_only_new_images(group: Files) -> None:
    result = infer(group, "C")
    assert (result.scores["ci_method"] == "images bootstrap, percentile").all()
    rdms = brain(group, 0).dissimilarities
    z = (rdms - rdms.mean(1, keepdims=True)) / rdms.std(1, keepdims=True)
    expected = [
        compare(RDMs(z[pool].mean(0)[None]), RDMs(rdms[2:3]), "corr").item()
        for pool in ([0, 1, 3], [0, 1, 2, 3])
    ]
    np.testing.assert_allclose(
        result.scores[["ceiling_low", "ceiling_high"]].iloc[0], expected, atol=1e-9
    )
    assert len(result.inputs) == 5
    assert result.warnings == []


def test_nothing_is_made_up_where_nothing_is_defined(group: Files) -> None:
    joint = infer(group, "joint").scores
    assert joint[["ceiling_low", "ceiling_high", "p_ceiling"]].isna().all(axis=None)
    assert joint[["se", "p_zero", "p_perm", "se_jackknife"]].notna().all(axis=None)
    alone = analyse_files(group, ["A"], inference=Inference(**SMALL))
    assert alone.scores[["ceiling_low", "ceiling_high", "p_ceiling"]].isna().all(axis=None)
    assert alone.ceilings is None
    nothing = analyse_files(group, SUBJECTS, subject="group", inference=NO_INFERENCE)
    assert nothing.scores[["se", "q", "p_perm", "ceiling_low"]].isna().all(axis=None)
    assert (nothing.scores["n_tests"] == 0).all()
    assert nothing.comparisons is nothing.best_layers is None


@pytest.mark.parametrize("subject", ["A", "group"])
def test_costly_metrics_are_resampled_only_when_asked(group: Files, subject: str) -> None:
    fast = infer(group, subject, "tau-a")
    assert any("inference=full" in notice for notice in fast.notices)
    assert fast.scores["p_perm"].isna().all()
    assert fast.scores["ceiling_low"].notna().all()
    kinds = {"A": "", "group": "subjects bootstrap, t(3)"}
    assert (fast.scores["ci_method"] == kinds[subject]).all()
    full = infer(group, subject, "tau-a", resampling=True, ceiling="draws")
    assert full.scores[["se", "p_zero", "p_perm", "p_ceiling"]].notna().all(axis=None)
    assert full.ceilings["ceiling_low_se"].notna().all()


def test_distances_turn_round(group: Files) -> None:
    result = infer(group, "A", "bures_metric", resampling=True, n_perm=19, n_boot=20)
    v1 = result.scores.query("roi == 'V1'").set_index("layer")
    best = result.best_layers.query("roi == 'V1'").set_index("layer")
    assert v1["score"].idxmin() == best["best"].idxmax() == best["split_frequency"].idxmax()
    assert v1["p_perm"].min() == v1.loc[v1["score"].idxmin(), "p_perm"]
    assert (result.null <= result.scores["score"].max()).all()


@pytest.mark.parametrize("metric", ["corr", "spearman", "corr_cov"])
def test_missing_pairs(group: Files, metric: str) -> None:
    """Weighed where possible; else left out and said, or resampled when asked for."""
    with h5py.File(group.brain("B"), "r+") as file:
        file["dissimilarities"][1, 3:9] = np.nan
    fast = infer(group, "group", metric)
    by_roi = fast.scores.groupby("roi")["se"].count()
    assert by_roi["V1"] == 3
    assert by_roi["V2"] == (3 if metric == "corr" else 0)
    assert any("V2" in text and "inference=full" in text for text in fast.warnings) == (
        metric != "corr"
    )
    assert any("permutation tests rest on the 23 of 24 images" in text for text in fast.notices)
    assert fast.scores["p_perm"].notna().all()
    full = infer(group, "group", metric, resampling=True)
    assert full.scores["se"].notna().all()


def test_the_same_seed_draws_the_same_whatever_else_is_compared(group: Files) -> None:
    whole = infer(group, "group").scores.set_index(["roi", "layer"])
    arguments = {"subject": "group", "inference": Inference(**SMALL)}
    alone = analyse_files(group, SUBJECTS, roi="V2", layer="b", **arguments).scores.iloc[0]
    columns = ["se", "ci_low", "p_zero", "p_perm", "ceiling_low", "se_jackknife"]
    np.testing.assert_allclose(
        alone[columns].astype(float), whole.loc[("V2", "b"), columns].astype(float), rtol=1e-9
    )
    other = analyse_files(group, SUBJECTS, seed=1, **arguments).scores
    assert (other["se"].to_numpy() != whole["se"].to_numpy()).all()


def test_corrections_over_a_sweep() -> None:
    def table(subject: str, score: float, p: float) -> pd.DataFrame:
        row = {"subject": subject, "metric": "corr", "score": score, "p_zero": p, "p_perm": p}
        return pd.DataFrame([{**row, "p_fwe": p, "q": p, "n_tests": 1, "score_perm": score}])

    nulls = [np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.1, 0.2])]
    joined = correct_over_runs([table("1", 0.25, 0.01), table("2", 0.5, 0.03)], nulls)
    np.testing.assert_allclose(joined["q"], [0.02, 0.03])
    np.testing.assert_allclose(joined["p_fwe"], [3 / 4, 1 / 4])
    assert (joined["n_tests"] == 2).all()


def test_a_sweep_of_one_run_corrects_what_the_run_did(group: Files) -> None:
    with h5py.File(group.brain("B"), "r+") as file:
        file["dissimilarities"][1, 3:9] = np.nan
    for metric in ("corr", "cosine", "spearman"):
        result = infer(group, "group", metric)
        scores = correct_over_runs([result.scores], [result.null])
        pd.testing.assert_frame_equal(scores, result.scores)
        assert (scores["score_perm"] != scores["score"]).any()


def test_a_peer_with_gaps_or_without_variance_costs_a_subject_nothing(group: Files) -> None:
    whole = {metric: infer(group, "A", metric).scores for metric in ("corr_cov", "spearman")}
    with h5py.File(group.brain("B"), "r+") as file:
        file["dissimilarities"][1, 3:9] = np.nan
    with h5py.File(group.brain("C"), "r+") as file:
        file["dissimilarities"][1] = 0.5
    for metric, before in whole.items():
        result = infer(group, "A", metric)
        np.testing.assert_allclose(result.scores["se"], before["se"], rtol=1e-9)
        rdms = brain(group, 1).dissimilarities[[0, 1, 3]]
        rdms[:, np.isnan(rdms[1])] = np.nan
        ceilings = result.scores.query("roi == 'V2'")[["ceiling_low", "ceiling_high"]].iloc[0]
        for found, members in zip(ceilings, ([1, 2], [0, 1, 2]), strict=True):
            pool = inference_util.pool_rdm(RDMs(rdms[members]), metric)
            assert found == pytest.approx(compare(pool, RDMs(rdms[:1]), metric).item(), abs=1e-9)
        said = "subject C is left out of the noise ceiling of V2: its RDM is constant or missing"
        assert said in result.notices


def test_best_layers_share_ties_and_pass_over_the_undefined(group: Files) -> None:
    with h5py.File(group.model, "r+") as file:
        file["dissimilarities"][1] = file["dissimilarities"][0]
        file["dissimilarities"][2] = 0.0
    best = infer(group, "group").best_layers.query("roi == 'V1'")
    assert best["best"].tolist() == [True, True, False]
    assert best["boot_frequency"].tolist() == best["split_frequency"].tolist() == [0.5, 0.5, 0.0]
    assert best["split_agreement"].tolist() == [1.0] * 3
    assert best["heldout_score"].iloc[0] == pytest.approx(best["score"].iloc[0], abs=0.1)


def test_what_few_images_cannot_say_is_not_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = IMAGES[:4]
    for subject in SUBJECTS:
        write_rdms(tmp_path / f"{subject}_RDMs.h5", rng.random((1, 6)), ["V1"], images)
    write_rdms(tmp_path / "models.h5", rng.random((2, 6)), ["a", "b"], images, row_key="layer")
    result = infer(Files(tmp_path), "A", "cosine")
    assert result.best_layers[["heldout_score", "split_frequency"]].isna().all(axis=None)
    assert any("4 images are too few" in text for text in result.warnings)


def test_the_line_below_the_table_names_the_test(group: Files) -> None:
    line = count_significant(infer(group, "group").scores)
    assert "scores are above 0 (one-sided t test, dual bootstrap) at q < 0.05; " in line
    line = count_significant(infer(group, "group", "cosine").scores)
    assert "scores are better than permuted images at q < 0.05; " in line


def test_tables_come_back_from_disk_exactly(group: Files, tmp_path: Path) -> None:
    scores = infer(group, "group").scores
    read = output.read_scores(output.write_table(tmp_path / "scores.csv", scores))
    pd.testing.assert_frame_equal(read, scores, check_exact=True)
    draws = {"scores": np.arange(3.0), "rois": np.array(["V1", "ä"])}
    with np.load(output.write_arrays(tmp_path / "draws.npz", draws), allow_pickle=False) as kept:
        np.testing.assert_array_equal(kept["rois"], draws["rois"])


@pytest.mark.parametrize("metric", ["corr", "corr_cov"])
def test_analyses_share_sums_by_content(
    group: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    """Every sum is computed once, results have the same bits, and damage is repaired."""
    monkeypatch.setattr(kept_sums, "_WORTH_KEEPING", 0)
    computed: list[int] = []

    def counting(factors, products, columns):
        computed.append(len(products))
        return pair_sums(factors, products, columns)

    monkeypatch.setattr(kept_sums, "pair_sums", counting)
    folder = tmp_path / "sums"

    def both(subject: str, **settings: object) -> int:
        """Return how many sums were computed, of an analysis that equals one by itself."""
        inference = Inference(**{**SMALL, **settings})
        arguments = {"subject": subject, "metric": metric, "inference": inference}
        alone = analyse_files(group, SUBJECTS, **arguments)
        computed.clear()
        shared = analyse_files(group, SUBJECTS, **arguments, sums_folder=folder)
        for table in ("scores", "comparisons", "ceilings", "best_layers"):
            pd.testing.assert_frame_equal(
                getattr(shared, table), getattr(alone, table), check_exact=True
            )
        return sum(computed)

    # Layers: 3 sums and 3 squares; an ROI: 14 among 4 subjects, 3 layers with one of them.
    assert both("A") == 6 + 2 * (14 + 3)
    assert both("B") == 2 * 3
    assert both("group") == 2 * 2 * 3
    assert both("C") == both("group") == 0
    files = sorted(folder.glob("*.npy"))
    assert len(files) == 6 + 2 * (14 + 12)
    files[0].write_bytes(files[0].read_bytes()[:200])
    files[1].unlink()
    assert both("group") == 2
    assert both("A", n_boot=61) == 6 + 2 * (14 + 3)  # other draws


@pytest.mark.parametrize("metric", ["corr", "corr_cov", "spearman"])
def test_more_than_a_minute_of_inference_is_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, metric: str
) -> None:
    question = Question("1", ["1", "2", "3"], ["V1"] * 10, ["a"] * 5, METRICS[metric], 0)
    plan = Inference(bootstrap="images")
    at_work = cost.inference_seconds(question, plan, 4916, 2e11)
    assert 10 < at_work < 200  # as measured on two cores that multiply so fast
    assert cost.inference_seconds(question, plan, 9832, 2e11) == pytest.approx(4 * at_work, 1e-3)
    monkeypatch.setattr(cost, "n_workers", lambda: 2)
    for speed, announced in ((1e12, False), (1e9, True)):
        monkeypatch.setattr(cost, "multiplications_per_second", lambda _, speed=speed: speed)
        caplog.clear()
        cost.announce_inference(question, plan, 4916)
        assert bool(caplog.messages) == announced
    assert caplog.messages[0].startswith(
        "inference (1000 bootstrap draws and 1000 permutations of 4916 images, 10 ROIs x 5 layers"
    )
    assert caplog.messages[0].endswith((" min", " h"))
