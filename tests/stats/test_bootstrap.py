"""Draws of images and subjects against rsatoolbox, draw by draw, and the variances they give."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from rsatoolbox.inference import Result
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs, compare
from rsatoolbox.util import inference_util
from scipy.stats import t as student

from rsa_exp.stats.bootstrap import pair_sums as weighted_sums
from rsa_exp.stats.bootstrap.engines import ResamplingScorer, can_weight, make_scorer
from rsa_exp.stats.bootstrap.resampling import permuted_scores, resampled_scores
from rsa_exp.stats.condensed import Rdm
from rsa_exp.stats.draws import Permutations, bootstrap_counts, halves
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.noise_ceiling import bootstrap_rank_ceilings, rank_ceilings
from rsa_exp.stats.permutation import PermutedModels
from rsa_exp.stats.uncertainty import (
    Sampling,
    false_discovery_rate,
    jackknife_error,
    permutation_p_value,
    t_test,
)

INNER = [name for name, metric in METRICS.items() if metric.bootstrap == "weights"]
RANKS = [name for name, metric in METRICS.items() if metric.bootstrap == "ranks"]
TAU = ["tau-a", "tau-b"]
NO_SPLITS = np.zeros((0, 0), dtype=np.uint8)


def related(n_rdm: int, n_cond: int, seed: int, base: int = 99) -> np.ndarray:
    """RDMs that share a part, with ties."""
    n_pairs = n_cond * (n_cond - 1) // 2
    shared = np.random.default_rng(base).random(n_pairs)
    return np.round(shared + np.random.default_rng(seed).random((n_rdm, n_pairs)), 2)


def rdms(rows: np.ndarray) -> list[Rdm]:
    return [Rdm.of(row.copy()) for row in rows]


def readers(rows: np.ndarray) -> list[partial[Rdm]]:
    return [partial(lambda row: Rdm.of(row.copy()), row) for row in rows]


def scorer_of(metric, model, images, splits, n_member):
    if can_weight(metric, []):
        return make_scorer(metric, readers(model), images, splits, n_member)
    return ResamplingScorer(metric, rdms(model), images, splits)


def draws_of(size: int, n_draw: int, purpose: str) -> np.ndarray:
    """Bootstrap draws without those of a single subject, which rsatoolbox gives a ceiling of 1."""
    counts = bootstrap_counts(5, purpose, size, 3 * n_draw + 20)
    return counts[:, (counts > 0).sum(axis=0) > 1][:, :n_draw]


def drawn(rows: np.ndarray, images: np.ndarray, subjects: np.ndarray | None = None) -> RDMs:
    """Resample as rsatoolbox does."""
    both = RDMs(rows).subsample_pattern("index", np.repeat(np.arange(len(images)), images))
    if subjects is None:
        return both
    return both.subsample("index", np.repeat(np.arange(len(rows)), subjects))


# rsatoolbox whitens with a matrix over all pairs, and counts tau in quadratic time.
SMALL = [(metric, 30, 3) for metric in INNER + RANKS + TAU]
LARGE = [(metric, 100, 5) for metric in ("cosine", "rho-a", "tau-a")]
LARGEST = [("corr", 200, 8), ("spearman", 120, 8), ("cosine_cov", 30, 6)]


@pytest.mark.parametrize(("metric", "n_cond", "n_subject"), SMALL + LARGE + LARGEST)
def test_every_draw_and_its_variance_equal_rsatoolbox(metric, n_cond, n_subject):
    n_draw, n_layer = 22, 3
    brain, model = related(n_subject, n_cond, 1), related(n_layer, n_cond, 2)
    images = draws_of(n_cond, n_draw, "images")
    subjects = draws_of(n_subject, n_draw, "subjects")
    entry = METRICS[metric]

    engine = scorer_of(entry, model, images, images[:, :0], n_subject)
    found = engine.score([rdms(brain)])[0]
    ours = found.scores
    if found.pool is not None:
        times = [subjects, None]
        ceilings = [found.pool.ceilings(times[0]), found.full_pool.ceilings(times[0]),
                    found.pool.ceilings()]  # fmt: skip
    else:
        ceilings = list(bootstrap_rank_ceilings(rdms(brain), entry, images, subjects))

    evaluations = np.empty((n_draw, n_layer, 1, 1, 3))
    noise = np.empty((2, n_draw, 1, 3))
    expected = np.empty_like(ours)
    for b in range(n_draw):
        once, everyone = np.ones(n_cond, dtype=int), np.ones(n_subject, dtype=int)
        layers = drawn(model, images[:, b])
        ways = [
            (drawn(brain, images[:, b], subjects[:, b]), layers),
            (drawn(brain, once, subjects[:, b]), RDMs(model)),
            (drawn(brain, images[:, b], everyone), layers),
        ]
        expected[:, :, b] = compare(ways[2][0], layers, metric)
        for way, (data, predicted) in enumerate(ways):
            evaluations[b, :, 0, 0, way] = compare(predicted, data, metric).mean(axis=1)
            noise[:, b, 0, way] = boot_noise_ceiling(data, metric)
    np.testing.assert_allclose(ours, expected, atol=1e-9)

    full = compare(RDMs(brain), RDMs(model), metric)
    share = subjects / n_subject
    scores = np.stack([np.einsum("slb,sb->lb", ours, share), full.T @ share, ours.mean(axis=0)])
    np.testing.assert_allclose(scores, evaluations[:, :, 0, 0].transpose(2, 1, 0), atol=1e-9)
    mean_ceilings = np.stack([np.nanmean(each, axis=1) for each in ceilings])
    np.testing.assert_allclose(mean_ceilings, noise[:, :, 0].transpose(2, 0, 1), atol=1e-9)

    # Variances, degrees of freedom and tests, from the same draws.
    flat = np.concatenate([evaluations[:, :, 0, 0], noise[:, :, 0].transpose(1, 0, 2)], axis=1)
    flat = flat - flat.mean(axis=0)
    variances = np.einsum("bjk,blk->kjl", flat, flat) / (n_draw - 1)
    models = [ModelFixed(str(i), row) for i, row in enumerate(model)]
    reference = Result(
        models, evaluations, metric, "dual_bootstrap", noise, variances,
        dof=min(n_subject, n_cond) - 1, n_rdm=n_subject, n_pattern=n_cond,
    )  # fmt: skip
    sampling = Sampling("dual", n_cond, n_subject, 0.95)
    assert sampling.dof == reference.dof
    np.testing.assert_allclose(sampling.variance(scores), reference.model_var, atol=1e-12)
    pairs = np.stack([scores[:, a] - scores[:, b] for a, b in ((0, 1), (0, 2), (1, 2))], axis=1)
    np.testing.assert_allclose(sampling.variance(pairs), reference.diff_var, atol=1e-12)
    below = scores - mean_ceilings[:, :1]
    np.testing.assert_allclose(sampling.variance(below), reference.noise_ceil_var[:, 0], atol=1e-12)
    estimate, se = full.mean(axis=0), np.sqrt(sampling.variance(scores))
    expected_p = inference_util.t_test_0(estimate[None], reference.model_var, reference.dof)
    np.testing.assert_allclose(t_test(estimate, se, sampling.dof, "greater"), expected_p, atol=1e-9)
    pairwise = inference_util.t_tests(estimate[None], reference.diff_var, reference.dof)
    difference = np.array([estimate[0] - estimate[1]])
    p = t_test(difference, np.sqrt(sampling.variance(pairs))[:1], sampling.dof, "both")
    np.testing.assert_allclose(p, pairwise[0, 1], atol=1e-9)
    spread = sampling.spread(estimate, scores)
    reach = (reference.get_ci(0.95)[1] - reference.get_ci(0.95)[0]) / 2
    np.testing.assert_allclose((spread.high - spread.low) / 2, reach, atol=1e-9)


@pytest.mark.parametrize("kind", ["images", "subjects"])
def test_single_factor_variance_is_corrected_as_in_rsatoolbox(kind):
    draws = np.random.default_rng(0).standard_normal((1, 4, 300))
    sampling = Sampling(kind, 40, 6, 0.9)
    sizes = {"images": {"n_pattern": 40}, "subjects": {"n_rdm": 6}}[kind]
    expected, differences, _ = inference_util.extract_variances(
        np.cov(draws[0]), nc_included=False, **sizes
    )
    np.testing.assert_allclose(sampling.variance(draws), expected, rtol=1e-12)
    np.testing.assert_allclose(
        sampling.variance(draws[:, :1] - draws[:, 1:2])[0], differences[0], rtol=1e-12
    )
    spread = sampling.spread(np.zeros(4), draws)
    limits = np.quantile(draws[0], [0.05, 0.95], -1)
    if kind == "subjects":  # percentiles of few subjects would be too narrow
        limits = student.ppf([[0.05], [0.95]], 5) * np.sqrt(expected)
    np.testing.assert_allclose([spread.low, spread.high], limits)


@pytest.mark.parametrize("metric", INNER)
def test_halves_and_leaving_out_one_image_equal_the_plain_way(metric):
    n_cond, entry = 40, METRICS[metric]
    brain, model = related(3, n_cond, 1), related(2, n_cond, 2)
    splits = halves(3, n_cond, 4)
    found = scorer_of(entry, model, splits[:, :0], splits, 3).score([rdms(brain)])[0]
    for column in range(8):
        members = np.flatnonzero(splits[:, column])
        parts = [RDMs(rows).subset_pattern("index", members) for rows in (brain, model)]
        np.testing.assert_allclose(found.scores[:, :, column], compare(*parts, metric), atol=1e-9)
    left_out = np.stack(
        [
            compare(
                *(RDMs(r).subset_pattern("index", np.delete(np.arange(n_cond), i))
                  for r in (brain, model)), metric,
            )
            for i in range(n_cond)
        ],
        axis=2,
    )  # fmt: skip
    np.testing.assert_allclose(found.without_image, left_out, atol=1e-9)
    one = left_out[0, 0]
    expected = np.sqrt((n_cond - 1) / n_cond * ((one - one.mean()) ** 2).sum())
    np.testing.assert_allclose(jackknife_error(found.without_image)[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("metric", INNER)
def test_single_precision_of_the_quadratic_term_costs_nothing(metric, monkeypatch):
    """At 400 images the error is larger than at the 2000 from which single precision is used."""
    n_cond, entry = 400, METRICS[metric]
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((n_cond, 20))
    square = ((patterns[:, None] - patterns) ** 2).sum(axis=2)[np.triu_indices(n_cond, 1)]
    brain = square + 30 * rng.random((3, len(square)))
    model = square + 30 * rng.random((2, len(square)))
    images = bootstrap_counts(0, "images", n_cond, 30)
    splits = halves(0, n_cond, 5)

    def scores() -> np.ndarray:
        return scorer_of(entry, model, images, splits, 3).score([rdms(brain)])[0].scores

    exact = scores()
    monkeypatch.setattr(weighted_sums, "_SINGLE_FROM", 100)
    np.testing.assert_allclose(scores(), exact, atol=1e-8)


@pytest.mark.parametrize("metric", ["corr", "cosine"])
def test_missing_pairs_are_weighed_as_they_are_resampled(metric):
    """Each ROI and layer over the pairs both have; ceilings over those that all subjects have."""
    n_cond, entry = 25, METRICS[metric]
    brain, model = related(3, n_cond, 1), related(3, n_cond, 2)
    brain[0, 5:30] = np.nan
    brain[1, 100:110] = np.nan
    model[2, 20:60] = np.nan
    images, splits = draws_of(n_cond, 12, "images"), halves(0, n_cond, 3)
    fast = scorer_of(entry, model, images, splits, 3).score([rdms(brain)])[0]
    plain = ResamplingScorer(entry, rdms(model), images, splits).score([rdms(brain)])[0]
    np.testing.assert_allclose(fast.scores, plain.scores, atol=1e-9)
    everyone = ~np.isnan(brain).any(axis=0)
    masked = np.where(everyone, brain, np.nan)
    expected = boot_noise_ceiling(RDMs(masked), metric)
    np.testing.assert_allclose(fast.full_pool.ceilings()[:, :, 0].mean(axis=1), expected, atol=1e-9)


@pytest.mark.parametrize("metric", [*INNER, *RANKS])
@pytest.mark.parametrize("n_cond", [24, 25])
def test_permuting_equals_resampling(metric, n_cond):
    """Both sides permuted and averaged over subjects, or the model alone for each subject."""
    entry = METRICS[metric]
    brain, model = related(4, n_cond, 1), related(3, n_cond, 2)
    permutations = Permutations.draw(1, n_cond, 20)
    models = PermutedModels(entry, readers(model), permutations)
    fast = models.score([readers(brain[:3]), readers(brain[3:])])
    plain = permuted_scores(rdms(brain), rdms(model), entry, permutations.orders())
    np.testing.assert_allclose(fast[0], plain[:3].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(fast[1], plain[3], atol=1e-12)
    alone = PermutedModels(entry, readers(model[1:2]), permutations).score([readers(brain[3:])])
    np.testing.assert_array_equal(alone[0, 0], fast[1, 1])


def test_null_distributions_in_16_bits_give_the_same_p_values(monkeypatch):
    """To within one count, also of RDMs that have few values and of one with an outlier."""
    n_cond, entry = 200, METRICS["corr"]
    rng = np.random.default_rng(0)
    brain, model = (rng.random((n_rdm, n_cond * (n_cond - 1) // 2)) for n_rdm in (4, 3))
    brain[1], model[1] = brain[1].round(1), model[1] < 0.1
    brain[2, 7] = 1000.0
    permutations = Permutations.draw(1, n_cond, 400)

    def scores():
        models = PermutedModels(entry, readers(model), permutations)
        return models.score([[read] for read in readers(brain)])

    exact = scores()
    monkeypatch.setattr(weighted_sums, "_SINGLE_FROM", 100)
    rounded = scores()
    np.testing.assert_allclose(rounded, exact, atol=3e-5)
    np.testing.assert_allclose(rounded[[0, 3]], exact[[0, 3]], atol=1e-6)
    counts = [(null[:, :, 1:] >= null[:, :, :1]).sum(axis=2) for null in (exact, rounded)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert counts[0].min() > 0


def test_combined_permutations_are_as_good_as_independent_ones():
    """Every one is uniform, any two are independent, and the test is exact."""
    n_cond, n_draw, n_study = 5, 14, 3000
    model = np.arange(n_cond)
    ranks, images, pairs = [], [], []
    for seed in range(n_study):
        orders = Permutations.draw(seed, n_cond, n_draw).orders()
        np.testing.assert_array_equal(orders[0], model)
        rng = np.random.default_rng(seed)
        brain = rng.permutation(n_cond)
        scores = model[orders] @ brain + rng.random(n_draw + 1) / 2  # ties are broken at random
        ranks.append((scores[1:] > scores[0]).sum())
        images.append(orders[1:, 0])
        pairs.append([n_cond * one[0] + two[0] for one, two in combinations(orders[1:], 2)])
    for values, size in ((ranks, n_draw + 1), (images, n_cond), (pairs, n_cond**2)):
        count = np.bincount(np.ravel(values), minlength=size)
        expected = count.sum() / size
        assert (np.abs(count - expected) < 6 * np.sqrt(expected * np.size(values[0]))).all()
    # Independent in pairs: the mean over permutations varies as that of independent ones.
    first = np.array(images) == 0
    variance = first.mean(axis=1).var()
    np.testing.assert_allclose(variance, 0.2 * 0.8 / n_draw, rtol=0.1)


@pytest.mark.parametrize("metric", ["corr", "corr_cov", "spearman", "tau-a", "bures"])
def test_constant_rdms_and_too_few_images_have_no_draws(metric):
    n_cond, entry = 12, METRICS[metric]
    brain, model = related(2, n_cond, 1), related(2, n_cond, 2)
    brain[0] = 0.0
    images = bootstrap_counts(0, "images", n_cond, 5)
    images[:, 0] = 0
    images[:2, 0] = 6
    scores = scorer_of(entry, model, images, images[:, :0], 2).score([rdms(brain)])[0].scores
    assert np.isnan(scores[0]).all()
    assert np.isfinite(scores[1, :, 1:]).all()


@pytest.mark.parametrize("metric", INNER + RANKS)
@pytest.mark.parametrize("n_cond", [5, 6, 8])
def test_draws_of_few_images(metric, n_cond):
    """Also those that hold one image more often than half: whitening has a diagonal of 0 there."""
    entry = METRICS[metric]
    brain, model = related(2, n_cond, 1), related(2, n_cond, 2)
    images = bootstrap_counts(0, "images", n_cond, 200)
    images = images[:, (images > 0).sum(axis=0) > 2]
    images[:, 0] = [n_cond // 2 + 1, *[1] * (n_cond - n_cond // 2 - 1), *[0] * (n_cond // 2)]
    fast = scorer_of(entry, model, images, images[:, :0], 2).score([rdms(brain)])[0]
    plain = resampled_scores(rdms(brain), rdms(model), entry, images)
    np.testing.assert_allclose(fast.scores, plain, atol=1e-9)


def test_copies_of_an_image_are_points_at_distance_0_for_matrix_metrics():
    """Bures similarity of a draw is that of the weighted kernels: invariant to splitting images."""
    brain, model = related(1, 10, 1), related(1, 10, 2)
    twice = np.full((10, 1), 2, dtype=np.uint8)
    found = resampled_scores(rdms(brain), rdms(model), METRICS["bures"], twice)
    np.testing.assert_allclose(found[0, 0, 0], compare(RDMs(brain), RDMs(model), "bures"), 1e-6)


@pytest.mark.parametrize("metric", [*RANKS, *TAU])
def test_rank_ceilings_equal_rsatoolbox(metric):
    brain = related(4, 20, 1)
    expected = boot_noise_ceiling(RDMs(brain), metric)
    found = rank_ceilings(rdms(brain), METRICS[metric])
    np.testing.assert_allclose(found.mean(axis=1), expected, atol=1e-9)
    assert np.isnan(rank_ceilings(rdms(brain[:1]), METRICS[metric])).all()


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_bits_do_not_depend_on_threads(n_threads, monkeypatch):
    monkeypatch.setattr("rsa_exp.stats.parallel.n_workers", lambda: n_threads)
    n_cond = 150
    brain, model = related(3, n_cond, 1), related(4, n_cond, 2)
    images, splits = bootstrap_counts(0, "images", n_cond, 40), halves(0, n_cond, 4)
    digest = 0
    for metric in ("corr", "corr_cov", "spearman"):
        entry = METRICS[metric]
        scores = scorer_of(entry, model, images, splits, 3).score([rdms(brain)])[0].scores
        permutations = Permutations.draw(0, n_cond, 33)
        models = PermutedModels(entry, readers(model), permutations)
        null = models.score([[read] for read in readers(brain)])
        digest ^= hash((scores.tobytes(), null.tobytes()))
    _SEEN.add(digest)
    assert len(_SEEN) == 1


_SEEN: set[int] = set()


def test_draws_depend_on_seed_purpose_and_number_alone():
    first = bootstrap_counts(3, "images", 50, 10)
    np.testing.assert_array_equal(bootstrap_counts(3, "images", 50, 20)[:, :10], first)
    assert (first.sum(axis=0) == 50).all()
    assert (bootstrap_counts(4, "images", 50, 10) != first).any()
    assert (bootstrap_counts(3, "subjects", 50, 10) != first).any()
    split = halves(3, 51, 7)
    np.testing.assert_array_equal(split[:, :7] + split[:, 7:], 1)
    orders = Permutations.draw(3, 9, 4).orders()
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(9), (5, 1)))


def test_p_values_of_permutations_and_false_discovery_rate():
    null = np.array([0.1, 0.2, 0.3, np.nan])
    np.testing.assert_allclose(
        permutation_p_value([0.25, 0.3, 1.0, np.nan], null), [0.5, 0.5, 0.25, np.nan]
    )
    assert np.isnan(permutation_p_value(0.1, np.empty(0)))
    q, n_tests = false_discovery_rate([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(q, [0.03, np.nan, 0.04, 0.04])
    assert n_tests == 3
