"""RDMs of points compared without forming them, against the engines on the RDMs they give."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from rsa_exp.stats.bootstrap.engines import make_scorer
from rsa_exp.stats.condensed import Rdm
from rsa_exp.stats.draws import Permutations, bootstrap_counts, halves
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.permutation import PermutedModels
from rsa_exp.stats.points import forms, passes, sums
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.stats.points.points import ArrayPoints, condensed_rdm

INNER = [name for name, metric in METRICS.items() if metric.bootstrap == "weights"]
N_MEMBER = 2


def points_of(n_cond: int, n_dim: int, seed: int, *, signed: bool = False) -> ArrayPoints:
    """Points that share a part with others, far from 0, of unequal dimensions."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal((n_cond, 5))
    values = shared @ rng.standard_normal((5, n_dim)) + 2 * rng.standard_normal((n_cond, n_dim))
    values = values * rng.uniform(0.5, 2, n_dim) + 30 * rng.standard_normal(n_dim)
    signs = np.where(np.arange(n_dim) % 4 == 3, -1.0, 1.0) if signed else None
    return ArrayPoints(values, signs)


def study(n_cond: int) -> tuple[list[ArrayPoints], list[list[ArrayPoints]]]:
    """Layers, and ROIs of two members and of different numbers of peers."""
    models = [points_of(n_cond, 150, 1), points_of(n_cond, 12, 2, signed=True)]
    first = [points_of(n_cond, dim, 10 + dim, signed=dim == 9) for dim in (20, 9, 31)]
    return models, [first, [points_of(n_cond, dim, dim) for dim in (8, 70)]]


def rdms(points: list[ArrayPoints]) -> list[Rdm]:
    return [Rdm.of(condensed_rdm(each)) for each in points]


def readers(points: list[ArrayPoints], decimals: int = 16) -> list[partial[Rdm]]:
    def read(each: ArrayPoints) -> Rdm:
        return Rdm.of(condensed_rdm(each).round(decimals))

    return [partial(read, each) for each in points]


def expected(metric, models, rois, counts, splits, decimals=16):
    peers = max(map(len, rois)) - N_MEMBER
    engine = make_scorer(metric, readers(models, decimals), counts, splits, N_MEMBER, n_peer=peers)
    return engine.score(map(rdms, rois))


def close(found, wanted, atol=1e-9):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


def same_pools(found, wanted, atol=1e-9):
    close(found.products, wanted.products, atol)
    close(found.norms, wanted.norms, atol)
    close(found.ceilings(), wanted.ceilings(), atol)


def without(points: ArrayPoints, image: int) -> ArrayPoints:
    return ArrayPoints(np.delete(points.read(0, points.n_cond), image, axis=0), points.signs)


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks of images, pieces of dimensions, and chunks of pieces."""
    monkeypatch.setattr(forms, "_IMAGES", 17)
    monkeypatch.setattr(forms, "_SAMPLE", 24)
    monkeypatch.setattr(passes, "_OWN", 7)
    monkeypatch.setattr(passes, "_OTHER", 25)
    monkeypatch.setattr(passes, "_CHUNK_BYTES", 60000)


@pytest.mark.parametrize(("n_cond", "narrow"), [(40, False), (40, True), (110, False)])
@pytest.mark.parametrize("name", INNER)
def test_scores_equal_those_of_the_rdms(name, n_cond, narrow, small_blocks):
    """Layers narrower than brains stand beside each brain, brains otherwise beside each layer."""
    metric, (models, rois) = METRICS[name], study(n_cond)
    models = [models[1], points_of(n_cond, 6, 3)] if narrow else models
    counts = bootstrap_counts(1, "images", n_cond, 5)
    splits = halves(1, n_cond, 2)
    wanted = expected(metric, models, rois, counts, splits)
    comparison = PointComparison(metric, models, rois, N_MEMBER)
    full, drawn = comparison.full(), comparison.draws(counts, splits)
    left_out = comparison.without_images()
    brains = [[metric.prepare(rdm, np.float64) for rdm in rdms(roi[:N_MEMBER])] for roi in rois]
    layers = [metric.prepare(rdm, np.float64) for rdm in rdms(models)]
    for roi, target in enumerate(wanted):
        close(full[roi].scores[:, :, 0], [metric.compare(brain, layers) for brain in brains[roi]])
        close(drawn[roi].scores, target.scores)
        for found in (drawn[roi].without_image, left_out[roi].scores):
            close(found, target.without_image)
        same_pools(drawn[roi].pool, target.pool)
        for found in (full[roi], drawn[roi], left_out[roi]):
            same_pools(found.full_pool, target.full_pool)
        for image in (0, 16, n_cond - 1):
            rest = [without(brain, image) for brain in rois[roi]]
            one = PointComparison(metric, [without(each, image) for each in models], [rest], 2)
            pool = left_out[roi].pool
            columns = type(pool)(pool.products[:, :, [image]], pool.norms[:, [image]])
            same_pools(columns, one.full()[0].pool)


@pytest.mark.parametrize("name", INNER)
def test_permutations_equal_those_of_the_rdms(name, small_blocks, monkeypatch):
    monkeypatch.setattr("rsa_exp.stats.points.comparison._PERMUTED", 100)
    metric, (models, rois) = METRICS[name], study(50)
    permutations = Permutations.draw(3, 50, 20)
    engine = PermutedModels(metric, readers(models), permutations)
    wanted = engine.score([readers(roi[:N_MEMBER]) for roi in rois])
    shares: list[float] = []
    comparison = PointComparison(metric, models, rois, N_MEMBER)
    found = comparison.permuted(permutations, shares.append)
    close(found, wanted)
    close(sum(shares), 1)
    full = [each.scores.mean(axis=0)[:, 0] for each in comparison.full()]
    close(found[:, :, 0], full, 1e-13)


@pytest.mark.parametrize("name", INNER)
def test_single_precision_is_close(name, small_blocks):
    metric, (models, rois) = METRICS[name], study(120)
    models = [ArrayPoints(each.read(0, 120).astype(np.float32), each.signs) for each in models]
    counts, splits = bootstrap_counts(1, "images", 120, 3), halves(1, 120, 1)
    wanted = expected(metric, models, rois, counts, splits)
    for precision, atol in (("float64", 1e-9), ("float32", 1e-6)):
        comparison = PointComparison(metric, models, rois, N_MEMBER, precision)
        for found, target in zip(comparison.draws(counts, splits), wanted, strict=True):
            close(found.scores, target.scores, atol)
            close(found.without_image, target.without_image, atol)
            same_pools(found.pool, target.pool, 10 * atol)
        permutations = Permutations.draw(3, 120, 4)
        engine = PermutedModels(metric, readers(models), permutations)
        null = engine.score([readers(roi[:N_MEMBER]) for roi in rois])
        close(comparison.permuted(permutations), null, atol)


@pytest.mark.parametrize("name", ["corr", "cosine", "corr_cov"])
def test_many_images_are_left_out_in_single_precision_and_as_exactly(name, monkeypatch):
    both = [points_of(8000, 40, 1).read(0, 8000), points_of(8000, 30, 2).read(0, 8000)]
    both = [values - values.mean(axis=0) for values in both]
    both = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in both]
    models, rois = [ArrayPoints(both[0])], [[ArrayPoints(both[1])]]
    used = []
    choose = sums.FormSums._second_type

    def spy(self, *args):
        used.append(choose(self, *args))
        return used[-1]

    monkeypatch.setattr(sums.FormSums, "_second_type", spy)
    found = PointComparison(METRICS[name], models, rois, 1).without_images()[0].scores
    assert np.float32 in used
    monkeypatch.setattr(sums.FormSums, "_second_type", lambda *_: np.float64)
    exact = PointComparison(METRICS[name], models, rois, 1).without_images()[0].scores
    close(found, exact, 1e-10)
    np.testing.assert_allclose(found.std(), exact.std(), rtol=1e-6)


@pytest.mark.parametrize("name", INNER)
def test_undefined_scores_are_those_of_the_rdms(name):
    """Equal dissimilarities, none at all, and some that only one image has."""
    # The RDMs are rounded: rounding errors of equal dissimilarities would correlate with brains.
    n_cond = 40
    metric, brain = METRICS[name], [points_of(n_cond, 8, 1), points_of(n_cond, 9, 2)]
    lone = np.zeros((n_cond, 2))
    lone[3] = 1
    models = [np.eye(n_cond), np.full((n_cond, 3), 0.1), lone, np.eye(n_cond)[:, 5:]]
    layers = [ArrayPoints(each) for each in models]
    counts = np.ones((n_cond, 3), dtype=np.uint8)
    counts[3, 0] = 0
    counts[:5, 1] = 0
    counts[:, 2] = np.eye(n_cond)[7] * n_cond
    wanted = expected(metric, layers, [brain], counts, counts[:, :0], 12)[0]
    comparison = PointComparison(metric, layers, [brain], N_MEMBER)
    found = comparison.draws(counts, counts[:, :0])[0]
    close(found.scores[:, :, :2], wanted.scores[:, :, :2])
    assert np.isnan(found.scores[:, :, 2]).all()
    close(found.without_image, wanted.without_image)
    close(found.pool.products[:, :, :2], wanted.pool.products[:, :, :2])
    single = PointComparison(metric, layers, [brain], N_MEMBER, "float32")
    np.testing.assert_array_equal(
        np.isnan(single.full()[0].scores), np.isnan(comparison.full()[0].scores)
    )


@pytest.mark.parametrize("name", INNER)
def test_an_image_that_makes_up_half_of_a_draw(name):
    metric, (models, rois) = METRICS[name], study(12)
    counts = np.ones((12, 1), dtype=np.uint8)
    counts[4] = 13
    wanted = expected(metric, models, rois, counts, counts[:, :0])
    drawn = PointComparison(metric, models, rois, N_MEMBER).draws(counts, counts[:, :0])
    for found, target in zip(drawn, wanted, strict=True):
        close(found.scores, target.scores)
        same_pools(found.pool, target.pool)


def test_bits_do_not_depend_on_workers(small_blocks, monkeypatch):
    models, rois = study(60)
    counts, splits = bootstrap_counts(1, "images", 60, 2), halves(1, 60, 1)
    seen = set()
    for workers in (1, 2, 3):
        monkeypatch.setattr("rsa_exp.stats.parallel.n_workers", lambda workers=workers: workers)
        comparison = PointComparison(METRICS["corr_cov"], models, rois, N_MEMBER)
        shares: list[float] = []
        drawn = comparison.draws(counts, splits, shares.append)
        close(sum(shares), 1)
        null = comparison.permuted(Permutations.draw(0, 60, 5))
        arrays = [*(part for each in drawn for part in (each.scores, each.without_image)), null]
        seen.add(b"".join(each.tobytes() for each in arrays))
    assert len(seen) == 1


def test_no_pools_unless_they_are_wanted():
    models, rois = study(40)
    with_pools = PointComparison(METRICS["corr_cov"], models, rois, N_MEMBER)
    alone = PointComparison(METRICS["corr_cov"], models, rois, N_MEMBER, pooled=False)
    assert alone.cost.full < with_pools.cost.full
    for found, wanted in zip(alone.without_images(), with_pools.without_images(), strict=True):
        np.testing.assert_array_equal(found.scores, wanted.scores)
        assert (found.pool, found.full_pool) == (None, None)


def test_cost_counts_multiplications():
    models = [points_of(40, 18, 1)]
    cost = PointComparison(METRICS["corr"], models, [[points_of(40, 8, 2)]], 1).cost
    assert cost == (40 * (20 * 20 + 10 * 10 + 200), 2 * cost.full, cost.full, 40 * 200)


def test_other_metrics_and_images_are_refused():
    points = [points_of(10, 4, 1)]
    with pytest.raises(ValueError, match="no inner product"):
        PointComparison(METRICS["spearman"], points, [points], 1)
    with pytest.raises(ValueError, match="not over the same images"):
        PointComparison(METRICS["corr"], points, [[points_of(11, 4, 1)]], 1)
