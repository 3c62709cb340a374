"""Rank metrics in bootstrap samples of images, against rsatoolbox on the samples themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from rsatoolbox.rdm import RDMs, compare

from rsa_exp import interrupts
from rsa_exp.stats import parallel
from rsa_exp.stats.bootstrap import ranks as weighted_ranks
from rsa_exp.stats.bootstrap.ranks import SortedPairs, sort_pairs, weighted_rank_scores
from rsa_exp.stats.condensed import FloatArray, Rdm, count_pairs
from rsa_exp.stats.metrics.ranks import compare_rho_a, compare_spearman, prepare_ranks

METHODS: dict[str, Callable] = {"spearman": compare_spearman, "rho-a": compare_rho_a}
LANES = weighted_ranks.LANES


def _draw(n_cond: int, n_draw: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Bootstrap samples as multiplicities."""
    images = rng.integers(0, n_cond, (n_draw, n_cond))
    return np.stack([np.bincount(row, minlength=n_cond) for row in images], 1).astype(np.uint8)


def _rdms(n_cond: int, kinds: str, rng: np.random.Generator) -> FloatArray:
    """RDMs that share some structure: u untied, t heavily tied, c constant."""
    shared = rng.random(count_pairs(n_cond))
    rows = []
    for kind in kinds:
        row = shared + rng.random(len(shared))
        rows.append({"u": row, "t": np.floor(2.5 * row), "c": np.ones(len(row))}[kind])
    return np.array(rows)


def _sorted(rdms: FloatArray) -> list[SortedPairs]:
    return [sort_pairs(prepare_ranks(Rdm.of(row.copy()))) for row in rdms]


def _oracle(
    brains: FloatArray, models: FloatArray, weights: NDArray[np.uint8], method: str
) -> FloatArray:
    sides = [RDMs(rdms, pattern_descriptors={"image": np.arange(len(weights))}) for rdms in (
        brains, models
    )]  # fmt: skip
    scores = []
    for counts in weights.T:
        sample = np.repeat(np.arange(len(weights)), counts)
        drawn = [side.subsample_pattern("image", sample) for side in sides]
        scores.append(compare(*drawn, method=method))
    return np.stack(scores, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("n_cond", "brains", "models", "n_draw"),
    [(30, "utttu", "tu", 13), (60, "ut", "tuttu", LANES), (60, "u", "u", 1), (65, "t", "ut", 17)],
)
def test_equals_rsatoolbox_on_the_samples(
    method: str, n_cond: int, brains: str, models: str, n_draw: int
) -> None:
    rng = np.random.default_rng(n_cond + n_draw)
    brain, model = _rdms(n_cond, brains, rng), _rdms(n_cond, models, rng)
    weights = _draw(n_cond, n_draw, rng)
    scores = weighted_rank_scores(_sorted(brain), _sorted(model), weights, method)
    assert scores.shape == (len(brains), len(models), n_draw)
    np.testing.assert_allclose(scores, _oracle(brain, model, weights, method), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_cond", [3, 4, 7, 150])
def test_every_image_once_is_the_full_sample(method: str, n_cond: int) -> None:
    rng = np.random.default_rng(n_cond)
    brain, model = _rdms(n_cond, "utt", rng), _rdms(n_cond, "ut", rng)
    ones = np.ones((n_cond, 1), np.uint8)
    scores = weighted_rank_scores(_sorted(brain), _sorted(model), ones, method)
    ranks = [[prepare_ranks(Rdm.of(row.copy())) for row in rdms] for rdms in (brain, model)]
    expected = [METHODS[method](row, ranks[1]) for row in ranks[0]]
    np.testing.assert_allclose(scores[..., 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_nan_where_a_sample_says_nothing(method: str) -> None:
    rng = np.random.default_rng(0)
    brain, model = _rdms(20, "uc", rng), _rdms(20, "cu", rng)
    weights = np.ones((20, 4), np.uint8)
    weights[:, 1] = 0  # empty
    weights[2:, 2] = 0  # one pair
    weights[3:, 3] = 0  # three pairs, just enough
    scores = weighted_rank_scores(_sorted(brain), _sorted(model), weights, method)
    known = np.zeros_like(scores, dtype=bool)
    known[0, 1, [0, 3]] = True
    np.testing.assert_array_equal(np.isfinite(scores), known)


def test_constant_in_the_sample_only() -> None:
    values = np.zeros((6, 6))
    values[0, 1:] = np.arange(1, 6)  # only the first image's dissimilarities differ
    rdm = values[np.triu_indices(6, 1)][None]
    weights = np.ones((6, 2), np.uint8)
    weights[0, 1] = 0
    scores = weighted_rank_scores(_sorted(rdm), _sorted(rdm), weights, "spearman")[0, 0]
    assert scores[0] == pytest.approx(1)
    assert np.isnan(scores[1])


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_whatever_the_threads_and_the_tiles(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighted_ranks, "_PART", 500)  # eight parts
    monkeypatch.setattr(weighted_ranks, "_ROOM_PER_PAIR", 0)
    rng = np.random.default_rng(5)
    brains, models = _sorted(_rdms(90, "utuut", rng)), _sorted(_rdms(90, "utu", rng))
    weights = _draw(90, 39, rng)
    results = []
    for workers, room in ((1, 10**9), (2, 10**9), (3, 1), (2, 3 * 64 * count_pairs(90))):
        monkeypatch.setattr(parallel, "n_workers", lambda workers=workers: workers)
        monkeypatch.setattr(weighted_ranks, "n_workers", lambda workers=workers: workers)
        monkeypatch.setattr(weighted_ranks, "_ROOM", room)
        results.append(weighted_rank_scores(brains, models, weights, method).tobytes())
    one_draw = [weighted_rank_scores(brains, models, weights[:, [k]], method) for k in range(39)]
    results.append(np.concatenate(one_draw, 2).tobytes())
    one_brain = [weighted_rank_scores([brain], models, weights, method) for brain in brains]
    results.append(np.concatenate(one_brain).tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("most", [5, 40, 190, 255])
def test_weights_that_fill_many_steps(most: int) -> None:
    rng = np.random.default_rng(most)
    n_cond = 40
    few, some = (rng.integers(0, n, count_pairs(n_cond)) for n in (2, 200))
    brain, model = _rdms(n_cond, "ut", rng), np.array([few, some], dtype=float)
    weights = rng.integers(0, most + 1, (n_cond, 3)).astype(np.uint8)
    scores = weighted_rank_scores(_sorted(brain), _sorted(model), weights, "spearman")
    i, j = np.triu_indices(n_cond, 1)
    for draw, w in enumerate(weights.astype(np.int64).T):
        weight = w[i] * w[j]
        ranks = []
        for rdm in (*brain, *model):
            _, group = np.unique(rdm, return_inverse=True)
            sizes = np.bincount(group, weight)
            ranks.append((2 * np.cumsum(sizes) - sizes - sizes.sum())[group])
        cross = (np.array(ranks) * weight) @ np.array(ranks).T
        norm = np.sqrt(np.diag(cross))
        expected = (cross / norm / norm[:, None])[:2, 2:]
        np.testing.assert_allclose(scores[:, :, draw], expected, rtol=0, atol=1e-12)


def test_progress_adds_up_to_one() -> None:
    rng = np.random.default_rng(9)
    rdms, shares = _sorted(_rdms(30, "utuut", rng)), list[float]()
    weights = _draw(30, 70, rng)
    weighted_rank_scores(rdms, rdms[:2], weights, "rho-a", shares.append)
    assert sum(shares) == pytest.approx(1)
    assert len(shares) >= 3


def test_a_signal_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    brains, models = _sorted(_rdms(40, "uuuuu", rng)), _sorted(_rdms(40, "ut", rng))
    weights = _draw(40, 11, rng)
    monkeypatch.setattr(interrupts, "_received", signal.SIGINT)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        weighted_rank_scores(brains, models, np.tile(weights, (1, 999)), "spearman")
    assert time.perf_counter() - start < 1


def test_nothing_to_do() -> None:
    rng = np.random.default_rng(7)
    rdms, weights = _sorted(_rdms(9, "ut", rng)), _draw(9, 3, rng)
    assert weighted_rank_scores([], rdms, weights, "rho-a").shape == (0, 2, 3)
    assert weighted_rank_scores(rdms, [], weights, "rho-a").shape == (2, 0, 3)
    assert weighted_rank_scores(rdms, rdms, weights[:, :0], "rho-a").shape == (2, 2, 0)


def test_refusals() -> None:
    rng = np.random.default_rng(8)
    rdms, weights = _sorted(_rdms(9, "u", rng)), _draw(9, 3, rng)
    with pytest.raises(ValueError, match="not for 'tau-a'"):
        weighted_rank_scores(rdms, rdms, weights, "tau-a")
    with pytest.raises(ValueError, match="int64"):
        weighted_rank_scores(rdms, rdms, weights.astype(np.int64), "spearman")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\[8, 9\]"):
        weighted_rank_scores(rdms, rdms, weights[:8], "spearman")
    incomplete = np.arange(6.0)
    incomplete[2] = np.nan
    with pytest.raises(ValueError, match="1 pairs are missing"):
        sort_pairs(prepare_ranks(Rdm.of(incomplete)))
