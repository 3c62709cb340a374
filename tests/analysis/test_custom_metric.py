"""A metric registered in user code is scored, permuted and bootstrapped like the others."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.stats import spearmanr
from studies import Files, analyse_files

import rsa_exp
from rsa_exp.analysis.settings import Inference
from rsa_exp.errors import InputError
from rsa_exp.figures import draw
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.vocabulary import FIGURE_NAMES

INFERENCE = Inference(n_boot=40, n_perm=60, n_splits=5, resampling=True)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are registered for one test alone."""
    before = dict(METRICS)
    monkeypatch.setattr("rsa_exp.stats.metrics.custom.METRICS", METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def register_spearman(**options: object) -> None:
    @rsa_exp.register_metric("my-spearman", label="my ρ", bounds=(-1, 1), **options)
    def spearman(brain: np.ndarray, model: np.ndarray) -> float:
        return spearmanr(brain, model).statistic


@pytest.mark.parametrize("missing", [False, True])
def test_spearman_by_scipy_is_the_built_in_one(files: Files, missing: bool) -> None:
    register_spearman()
    if missing:
        with h5py.File(files.brain(), "r+") as file:
            file["dissimilarities"][0, 3:5] = np.nan
    mine, theirs = (
        analyse_files(files, subject="group", metric=name, inference=INFERENCE)
        for name in ("my-spearman", "spearman")
    )
    columns = ["score", "n_pairs", "n_images", "p_perm", "p_fwe", "score_perm", "se", "p_zero", "q"]
    np.testing.assert_allclose(mine.scores[columns], theirs.scores[columns], atol=1e-12)
    np.testing.assert_allclose(mine.null, theirs.null, atol=1e-12)
    assert mine.scores["p_perm"].notna().all()
    assert mine.ceilings is None
    assert mine.text.score_label == "my ρ"
    assert {name for name, _ in draw(mine, FIGURE_NAMES)} == set(FIGURE_NAMES)


def test_it_is_compared_without_a_study() -> None:
    register_spearman()
    rng = np.random.default_rng(0)
    brain, model = rng.random((2, 45)), rng.random((3, 45))
    brain[0, :4] = model[1, 7] = np.nan
    mine, theirs = (rsa_exp.similarity(brain, model, name) for name in ("my-spearman", "spearman"))
    np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-12)
    np.testing.assert_array_equal(mine.n_pairs, theirs.n_pairs)


def test_draws_that_cost_a_comparison_each_are_made_when_asked_for(files: Files) -> None:
    register_spearman()
    result = analyse_files(files, metric="my-spearman", inference=Inference(n_boot=20, n_perm=20))
    assert result.scores[["se", "p_perm"]].isna().all(axis=None)
    assert any("Inference(resampling=True)" in notice for notice in result.notices)


def test_a_distance_turns_round(files: Files) -> None:
    @rsa_exp.register_metric(
        "distance", greater_is_better=False, zero_is_null=False, undefined="never"
    )
    def distance(brain: np.ndarray, model: np.ndarray) -> float:
        return ((brain - model) ** 2).mean()

    result = analyse_files(files, metric="distance", inference=INFERENCE)
    scores = result.scores
    assert scores["p_zero"].isna().all()
    assert scores["p_perm"].idxmin() in scores.index[scores["score"] <= scores["score"].median()]
    best = result.best_layers[result.best_layers["best"]]
    assert (best["score"] == scores.groupby("roi", sort=False)["score"].min().to_numpy()).all()


def test_names_that_are_taken_and_changed_rdms_are_refused(files: Files) -> None:
    register_spearman()
    with pytest.raises(InputError, match=r"'my-spearman' already; .*replace=True"):
        register_spearman()
    register_spearman(replace=True)
    with pytest.raises(InputError, match="'corr' already"):
        rsa_exp.register_metric("corr", replace=True)
    with pytest.raises(InputError, match="needs a name"):
        rsa_exp.register_metric(" ")

    @rsa_exp.register_metric("careless")
    def careless(brain: np.ndarray, model: np.ndarray) -> float:
        brain -= model
        return float(brain.sum())

    with pytest.raises(ValueError, match="read-only"):
        analyse_files(files, metric="careless")
