"""Ranks from tiles, against ranks of whole RDMs."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest

from rsa_exp.errors import InputError
from rsa_exp.stats import parallel
from rsa_exp.stats.metrics.similarity import similarity
from rsa_exp.stats.points import rank_tables
from rsa_exp.stats.points.points import ArrayPoints, Points, condensed_rdm
from rsa_exp.stats.points.rank_tiles import MEMORY, rank_cost, rank_scores

METHODS = ("spearman", "rho-a")


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles on each side, of which the last is cut off, and a sample of the images."""
    monkeypatch.setattr(rank_tables, "_TILE", 24)
    monkeypatch.setattr(rank_tables, "_SAMPLE", 40)
    monkeypatch.setattr(rank_tables, "_LEAST_BUCKETS", 1 << 8)
    monkeypatch.setattr(rank_tables, "_CHUNK", 100)


def plain(models: list[Points], brains: list[Points], method: str) -> np.ndarray:
    rdms = [np.array([condensed_rdm(points) for points in side]) for side in (brains, models)]
    return similarity(*rdms, method).scores


def make(kind: str, n: int, seed: int) -> Points:
    rng = np.random.default_rng(seed)
    latent = np.random.default_rng(0).standard_normal((n, 3))
    values = latent @ rng.standard_normal((3, 7)) + rng.standard_normal((n, 7))
    if kind == "float32":
        return ArrayPoints(values.astype(np.float32))
    if kind == "signed":
        return ArrayPoints(values, rng.choice([-1.0, 1.0], 7))
    if kind == "outliers":
        values[::50] *= 100
    if kind == "far from the origin":
        values += 1e4
    if kind == "clusters":
        values = values[rng.integers(0, 4, n)] + 0.01 * values
    if kind == "ties":  # means are exact, and so are dissimilarities, of few different values
        half = np.round(values[: n // 2])
        values = np.concatenate([half, -half])
    return ArrayPoints(values)


KINDS = ("float64", "float32", "signed", "outliers", "far from the origin", "clusters", "ties")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("n", [60, 130, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_whole_rdms(
    kind: str, n: int, wide: bool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not wide:
        monkeypatch.setattr(rank_tables, "_WIDE_PAIRS", 0)
        monkeypatch.setattr(rank_tables, "_LEAST_BUCKETS", 1 << 18)
        monkeypatch.setattr(rank_tables, "_CHUNK", 1 << 14)
    models = [make(kind, n, seed) for seed in (1, 2)]
    brains = [make(kind, n, 3), make("float64", n, 4), models[0]]
    scores = rank_scores(models, brains, method)
    # Two pairs with one code change a score by 2 / n_pairs^2: as good as never in wide tables.
    bound = 1e-12 if wide else 1e-6
    np.testing.assert_allclose(scores, plain(models, brains, method), rtol=0, atol=bound)


def test_a_sum_of_squares_counts_ties() -> None:
    table = rank_tables.RankTable.of(make("ties", 130, 1), lambda n_dim: None)
    values, counts = np.unique(condensed_rdm(make("ties", 130, 1)), return_counts=True)
    n = len(table.rests)
    assert len(values) < n / 50
    assert counts.max() > rank_tables._CROWDED
    assert table.square == pytest.approx((n**3 - n - (counts**3 - counts).sum()) / 3, rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_constant_rdms_have_no_score(method: str) -> None:
    n = 64
    varied, same, equidistant = make("float64", n, 1), np.full((n, 5), 0.3), np.eye(n)
    models = [ArrayPoints(same), varied, ArrayPoints(equidistant), ArrayPoints(np.zeros((n, 2)))]
    scores = rank_scores(models, [varied, models[2]], method)
    assert np.isnan(scores).tolist() == [[True, False, True, True], [True] * 4]
    assert np.isnan(rank_scores([make("float64", 2, 1)], [make("float64", 2, 2)], method)).all()


def test_scores_do_not_depend_on_memory_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 130
    models = [make("float64", n, seed) for seed in range(5)]
    brains = [make("signed", n, seed) for seed in range(3)]
    whole = rank_scores(models, brains, "spearman")
    table = rank_tables.table_bytes(n * (n - 1) // 2)
    for workers in (1, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(workers))
        assert parallel.n_workers() <= workers
        for room in (2, 3, 4):
            shares: list[float] = []
            memory = rank_tables.work_bytes() + room * table
            scores = rank_scores(models, brains, "spearman", shares.append, memory)
            np.testing.assert_array_equal(scores, whole)
            assert math.fsum(shares) == pytest.approx(1)
            assert rank_cost(n, [7] * 5, [7] * 3, memory).bytes <= memory


def test_what_cannot_be_scored_is_said() -> None:
    points = make("float64", 60, 1)
    with pytest.raises(ValueError, match="spearman and rho-a, not 'tau-a'"):
        rank_scores([points], [points], "tau-a")
    with pytest.raises(ValueError, match=r"different numbers of images: \[60, 61\]"):
        rank_scores([points], [make("float64", 61, 1)], "spearman")
    with pytest.raises(InputError, match=r"200000 images need 9.\.. GB, and 3\.0 GB are allowed"):
        rank_cost(200_000, [10], [10])
    for wrong in (np.nan, np.inf, 1e200):
        values = np.ones((60, 2))
        values[7, 1] = wrong
        with pytest.raises(InputError, match="not finite, or too large"):
            rank_scores([ArrayPoints(values)], [points], "spearman")


class Changing(Points):
    """Points that are others each time they are read, as in a file that is written to."""

    def __init__(self) -> None:
        self.n_cond, self.n_dim, self.signs = 60, 3, None
        self._rng = np.random.default_rng(0)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._rng.standard_normal((stop - start, 3)) * self._rng.choice([1e-3, 1, 1e3])


def test_points_that_change_do_no_harm() -> None:
    for _ in range(20):
        with suppress(InputError):
            rank_scores([Changing()], [make("float64", 60, 1)], "spearman")


def test_30_000_images_fit_into_the_usual_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert rank_cost(30_000, [512], [150]).bytes < MEMORY
