"""RDMs from patterns against rsatoolbox, and by brute force where it has no value."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.data import noise as their_noise
from rsatoolbox.rdm import calc_rdm, calc_rdm_unbalanced
from scipy.spatial.distance import pdist, squareform

from rsa_exp.stats.patterns.measurements import Measurements, PatternOptions
from rsa_exp.stats.patterns.noise import noise_covariance
from rsa_exp.stats.patterns.prepare import Prepared, prepare
from rsa_exp.stats.patterns.reliability import spearman_brown, split_half_reliability
from rsa_exp.stats.points.points import condensed_rdm
from rsa_exp.vocabulary import CROSS_VALIDATED, DISTANCES, NOISES, WHITENED

# rsatoolbox sorts its RDMs through an array of integers that it fills with NaN.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")

N_IMAGE, N_CHANNEL, N_RUN = 13, 9, 4


def patterns(
    seed: int = 0, *, n_image: int = N_IMAGE, n_channel: int = N_CHANNEL, n_run: int = N_RUN
) -> Measurements:
    """Each image once in each run, in another order; correlated noise."""
    rng = np.random.default_rng(seed)
    images = np.concatenate([rng.permutation(n_image) for _ in range(n_run)])
    mixing = np.eye(n_channel) + 0.3 * rng.standard_normal((n_channel, n_channel))
    signal = rng.standard_normal((n_image, n_channel)) + 1
    values = signal[images] + rng.standard_normal((len(images), n_channel)) @ mixing
    return Measurements(values, images, n_image, runs=np.repeat(np.arange(n_run), n_image))


def unbalanced(seed: int = 0, n_run: int = 5, n_image: int = N_IMAGE) -> Measurements:
    """Two or three of the runs for each image, at times twice in one."""
    rng = np.random.default_rng(seed)
    cells = [
        (image, run)
        for image in range(n_image)
        for run in rng.choice(n_run, rng.integers(2, 4), replace=False)
        for _ in range(rng.integers(1, 3))
    ]
    images, runs = np.array(cells)[rng.permutation(len(cells))].T
    values = rng.standard_normal((len(cells), N_CHANNEL)) + images[:, None] % 3
    return Measurements(values, images, n_image, runs)


def counts_of(measurements: Measurements) -> Measurements:
    return replace(measurements, values=np.round(np.exp(measurements.values)))


def dataset(measurements: Measurements) -> Dataset:
    descriptors = {"image": measurements.images, "run": measurements.runs}
    return Dataset(measurements.values.astype(float), obs_descriptors=descriptors)


def everyone(prepared: Prepared) -> np.ndarray:
    return np.arange(prepared.n_image)


def theirs(measurements: Measurements, method: str, noise: str = "none") -> np.ndarray:
    """rsatoolbox's RDM, images in the order of their index."""
    data = dataset(measurements)
    data.sort_by("image")
    matrix = None
    if noise != "none":
        matrix = their_noise.prec_from_unbalanced(data, "image", method=noise)
    if method == "poisson_cv":  # its calc_rdm keeps the last fold alone
        return theirs_unbalanced(measurements, method)
    folds = {"cv_descriptor": "run"} if method in CROSS_VALIDATED else {}
    return calc_rdm(data, method, "image", matrix, **folds).dissimilarities[0]


def theirs_unbalanced(measurements: Measurements, method: str, noise: str = "none") -> np.ndarray:
    """RDM of rsatoolbox's way for unequal repetitions, where each pair of rows counts alike."""
    data = dataset(measurements)
    data.sort_by("image")
    matrix = None
    if noise != "none":
        matrix = their_noise.prec_from_unbalanced(data, "image", method=noise)
    return calc_rdm_unbalanced(data, method, "image", matrix, "run").dissimilarities[0]


def mean_patterns(measurements: Measurements) -> np.ndarray:
    return np.stack([measurements.values[measurements.images == i].mean(0) for i in range(N_IMAGE)])


SETTINGS = [
    (distance, noise)
    for distance, noise in product(DISTANCES, NOISES)
    if (distance in WHITENED or noise == "none") and (distance, noise) != ("mahalanobis", "none")
]


@pytest.mark.parametrize(("distance", "noise"), SETTINGS)
def test_every_distance_equals_rsatoolbox(distance: str, noise: str) -> None:
    measurements = patterns()
    if distance.startswith("poisson"):
        measurements = counts_of(measurements)
    prepared = prepare(measurements, PatternOptions(distance, noise))
    found = prepared.rdm(everyone(prepared))
    if distance == "cosine":
        expected = pdist(mean_patterns(measurements), "cosine")
    else:
        expected = theirs(measurements, distance, noise)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    chosen = np.array([7, 2, 11, 5])
    points = prepared.points(chosen)
    assert points is not None
    part = prepared.rdm(chosen)
    np.testing.assert_array_equal(part, condensed_rdm(points))
    square = np.zeros((N_IMAGE, N_IMAGE))
    square[np.triu_indices(N_IMAGE, 1)] = found
    square += square.T
    np.testing.assert_allclose(part, [square[i, j] for i, j in combinations(chosen, 2)], atol=1e-9)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n_run", [3, 5, 12])
def test_crossnobis_with_unequal_repetitions(noise: str, n_run: int) -> None:
    """Runs that most images are in, and runs that few are in."""
    measurements = unbalanced(n_run=n_run)
    expected = theirs_unbalanced(measurements, "crossnobis", noise)
    prepared = prepare(measurements, PatternOptions("crossnobis", noise))
    assert prepared.points(everyone(prepared)) is None
    np.testing.assert_allclose(prepared.rdm(everyone(prepared)), expected, rtol=1e-9, atol=1e-9)


def test_a_mean_that_does_not_cancel_out_is_said() -> None:
    measurements = unbalanced()
    shifted = replace(measurements, values=measurements.values + 5)
    (warning,) = prepare(shifted, PatternOptions("crossnobis")).warnings
    assert "set zscore=run" in warning
    assert not prepare(shifted, PatternOptions("crossnobis", zscore="run")).warnings
    equal = patterns()
    shifted = replace(equal, values=equal.values + 100)
    found, expected = (prepare(each, PatternOptions("crossnobis")) for each in (shifted, equal))
    assert not found.warnings
    np.testing.assert_allclose(found.rdm(everyone(found)), expected.rdm(everyone(found)), rtol=1e-9)


def test_poisson_cv_with_unequal_repetitions() -> None:
    measurements = counts_of(unbalanced())
    prepared = prepare(measurements, PatternOptions("poisson_cv"))
    assert prepared.points(everyone(prepared)) is None
    expected = theirs_unbalanced(measurements, "poisson_cv")
    np.testing.assert_allclose(prepared.rdm(everyone(prepared)), expected, rtol=1e-9, atol=1e-9)


def test_crossnobis_of_more_images_than_are_formed_at_a_time() -> None:
    """By points, and by Gram matrices when one row more makes the design unequal."""
    measurements = patterns(n_image=600, n_channel=5, n_run=3)
    options = PatternOptions("crossnobis")
    prepared = prepare(measurements, options)
    equal = prepared.rdm(everyone(prepared))
    extra = Measurements(
        np.vstack([measurements.values, measurements.values[-1:]]),
        np.append(measurements.images, 599),
        600,
        np.append(measurements.runs, measurements.runs[measurements.images == 599][0]),
    )
    unequal = prepare(extra, options)
    assert unequal.points(everyone(unequal)) is None
    assert unequal.points(np.arange(599)) is not None
    found = unequal.rdm(everyone(unequal))
    same = np.flatnonzero(np.triu_indices(600, 1)[1] < 599)
    np.testing.assert_allclose(found[same], equal[same], atol=1e-12)
    chosen = np.array([599, 0, 300])
    i, j, k = (np.flatnonzero((np.triu_indices(600, 1)[0] == a) & (np.triu_indices(600, 1)[1] == b))
               for a, b in ((0, 599), (300, 599), (0, 300)))  # fmt: skip
    expected = np.concatenate([found[i], found[j], found[k]])
    np.testing.assert_allclose(unequal.rdm(chosen), expected, atol=1e-12)


@pytest.mark.parametrize("distance", ["crossnobis", "poisson_cv"])
def test_runs_that_few_of_many_images_are_in(distance: str) -> None:
    """All 300 images, more than are formed at a time, and 13 of them alone."""
    measurements = counts_of(unbalanced(n_run=12, n_image=300))
    prepared = prepare(measurements, PatternOptions(distance))
    assert prepared.points(np.arange(300)) is None
    chosen = np.arange(299, 0, -24)
    found = squareform(prepared.rdm(np.arange(300)))[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(squareform(found, checks=False), prepared.rdm(chosen), atol=1e-11)
    few = np.isin(measurements.images, chosen)
    part = Measurements(
        measurements.values[few], (299 - measurements.images[few]) // 24, 13, measurements.runs[few]
    )
    np.testing.assert_allclose(prepared.rdm(chosen), theirs_unbalanced(part, distance), atol=1e-9)


def test_folds_of_unequal_size_are_weighted_by_pairs_of_rows() -> None:
    """Two rows of each image in one run, one in another: points, and rsatoolbox's other way."""
    measurements = patterns(n_run=3)
    measurements = replace(measurements, runs=np.minimum(measurements.runs, 1))
    prepared = prepare(measurements, PatternOptions("crossnobis"))
    assert prepared.points(everyone(prepared)) is not None
    expected = theirs_unbalanced(measurements, "crossnobis")
    np.testing.assert_allclose(prepared.rdm(everyone(prepared)), expected, atol=1e-9)


def test_an_image_in_one_session_alone_costs_its_own_pairs() -> None:
    measurements = patterns(n_image=30)
    keep = (measurements.images != 4) | (measurements.runs == 2)
    runs = measurements.runs[keep]
    lacking = Measurements(measurements.values[keep], measurements.images[keep], 30, None, runs)
    prepared = prepare(lacking, PatternOptions("crossnobis", folds="session"), what="V1")
    found = prepared.rdm(everyone(prepared))
    assert np.isnan(found).sum() == 29
    assert prepared.undefined.tolist() == [4]
    assert prepared.points(everyone(prepared)) is None
    whole = prepare(measurements, PatternOptions("crossnobis"))
    defined = np.isfinite(found)
    np.testing.assert_allclose(found[defined], whole.rdm(everyone(whole))[defined], atol=1e-12)
    (warning,) = prepared.warnings
    assert warning.startswith("V1: 1 of 30 images are in one session alone")


@pytest.mark.parametrize("method", [name for name in NOISES if name != "none"])
@pytest.mark.parametrize("n_row", [30, 8])
def test_noise_equals_rsatoolbox(method: str, n_row: int) -> None:
    rng = np.random.default_rng(3)
    residuals = rng.standard_normal((n_row, 6)) @ rng.standard_normal((6, 6)) + 5
    expected = their_noise.cov_from_residuals(residuals, dof=n_row - 2, method=method)
    noise = noise_covariance(residuals, n_row - 2, method)
    covariance = np.diag(noise.covariance) if noise.covariance.ndim == 1 else noise.covariance
    np.testing.assert_allclose(covariance, expected, rtol=1e-9, atol=1e-12)
    patterns = rng.standard_normal((4, 6))
    white = noise.whiten(patterns)
    precision = their_noise.prec_from_residuals(residuals, dof=n_row - 2, method=method)
    np.testing.assert_allclose(white @ white.T, patterns @ precision @ patterns.T, rtol=1e-9)
    measurements = Measurements(patterns, np.arange(4), 4)
    options = PatternOptions("mahalanobis", method)
    prepared = prepare(measurements, options, residuals=residuals, dof=n_row - 2)
    data = Dataset(patterns, obs_descriptors={"image": np.arange(4)})
    expected = calc_rdm(data, "mahalanobis", "image", precision).dissimilarities[0]
    np.testing.assert_allclose(prepared.rdm(everyone(prepared)), expected, rtol=1e-9)


def test_covariances_of_one_channel() -> None:
    """The target of shrinkage is the sample covariance itself."""
    deviations = np.random.default_rng(0).standard_normal((20, 1))
    for method in ("full", "shrinkage_eye", "shrinkage_diag"):
        found = noise_covariance(deviations, 19, method).covariance
        np.testing.assert_allclose(found, [[deviations.var(ddof=1)]])


def test_constant_and_zero_patterns_are_undefined() -> None:
    measurements = patterns()
    values = measurements.values.copy()
    values[measurements.images == 3] = 0.1
    values[measurements.images == 5] = 0
    values[:, 2] = np.where(measurements.images == 5, 0, values[:, 2])
    spoiled = replace(measurements, values=values)
    for distance, images in (("correlation", [3, 5]), ("cosine", [5]), ("euclidean", [])):
        prepared = prepare(spoiled, PatternOptions(distance))
        assert prepared.undefined.tolist() == images
        assert len(prepared.warnings) == bool(images)
        assert prepared.facts["n_image_undefined"] == len(images)
        rdm = prepared.rdm(everyone(prepared))
        i, j = np.triu_indices(N_IMAGE, 1)
        assert (np.isnan(rdm) == (np.isin(i, images) | np.isin(j, images))).all()
        expected = pdist(mean_patterns(spoiled), distance) if distance != "euclidean" else None
        if expected is not None:
            defined = ~np.isnan(rdm)
            np.testing.assert_allclose(rdm[defined], expected[defined], atol=1e-12)
        assert prepared.points(np.array([0, 1, 2])) is not None


def test_missing_rows_channels_and_images() -> None:
    measurements = patterns()
    values = measurements.values.copy()
    values[measurements.images == 6] = np.nan  # an image never measured
    values[0] = np.nan  # a missing trial
    values[5, 1], values[9, 4] = np.nan, np.inf
    spoiled = replace(measurements, values=values)
    prepared = prepare(spoiled, PatternOptions("euclidean"), what="subject 1, V1")
    assert prepared.undefined.tolist() == [6]
    assert prepared.facts["n_row_missing"] == N_RUN + (measurements.images[0] != 6)
    assert prepared.facts["n_channel"] - prepared.facts["n_channel_used"] == 2
    assert all(line.startswith("subject 1, V1: ") for line in prepared.warnings)
    assert len(prepared.warnings) == 3
    keep = np.isfinite(np.delete(values, [1, 4], axis=1)).all(axis=1)
    left = Measurements(np.delete(values, [1, 4], axis=1)[keep], measurements.images[keep], N_IMAGE)
    others = np.delete(everyone(prepared), 6)
    expected = prepare(left, PatternOptions("euclidean")).rdm(others)
    np.testing.assert_array_equal(prepared.rdm(others), expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.float16, np.float32])
def test_types_are_computed_with_in_float64(kind: type) -> None:
    measurements = counts_of(patterns())
    scaled = np.minimum(measurements.values * 10, 250)
    exact = prepare(replace(measurements, values=scaled), PatternOptions("euclidean"))
    same = prepare(replace(measurements, values=scaled.astype(kind)), PatternOptions("euclidean"))
    np.testing.assert_array_equal(exact.rdm(everyone(exact)), same.rdm(everyone(same)))


def test_zscores_within_runs_of_sessions() -> None:
    """A run's label may come back in another session."""
    measurements = patterns()
    values = measurements.values.copy()
    values[measurements.runs == 1, 3] = 2.5
    runs, sessions = measurements.runs % 2, measurements.runs // 2
    spoiled = replace(measurements, values=values, runs=runs, sessions=sessions)
    prepared = prepare(spoiled, PatternOptions("euclidean", zscore="run"))
    (warning,) = prepared.warnings
    assert warning.startswith("1 of 9 channels are constant within a run")
    rest = np.delete(values, 3, axis=1)
    for run in range(N_RUN):
        rows = measurements.runs == run
        rest[rows] = (rest[rows] - rest[rows].mean(0)) / rest[rows].std(0)
    expected = theirs(replace(measurements, values=rest), "euclidean")
    np.testing.assert_allclose(prepared.rdm(everyone(prepared)), expected, rtol=1e-9)
    assert values is spoiled.values  # left as they are
    assert (values[measurements.runs == 1, 3] == 2.5).all()


def test_reliability_by_halves() -> None:
    measurements = patterns(n_image=20)
    values = measurements.values.copy()
    values[:, 0] = np.random.default_rng(9).standard_normal(len(values))  # noise alone
    values[:, 1] = 0.1
    measurements = replace(measurements, values=values)
    halves = np.zeros((2, 20, N_CHANNEL))
    for image in range(20):
        rows = values[measurements.images == image]
        halves[:, image] = rows[::2].mean(0), rows[1::2].mean(0)
    found = split_half_reliability(measurements)
    expected = [np.corrcoef(*halves[:, :, k])[0, 1] for k in range(N_CHANNEL) if k != 1]
    np.testing.assert_allclose(np.delete(found, 1), expected, atol=1e-12)
    assert np.isnan(found[1])
    options = PatternOptions(min_reliability=0.3)
    prepared = prepare(measurements, options)
    assert prepared.facts["n_channel_used"] == (found >= 0.3).sum() < N_CHANNEL - 1
    mean = np.mean(expected)
    assert prepared.facts["reliability_half"] == pytest.approx(mean)
    assert prepared.facts["reliability"] == pytest.approx(2 * mean / (1 + mean))
    assert len(prepared.notices) == 1
    chosen = replace(measurements, values=values[:, found >= 0.3])
    np.testing.assert_allclose(
        prepared.rdm(everyone(prepared)), prepare(chosen, PatternOptions()).rdm(np.arange(20))
    )
    assert np.isnan(spearman_brown(-1.0))


def test_images_measured_once_tell_nothing_of_reliability() -> None:
    measurements = patterns()
    once = np.unique(measurements.images, return_index=True)[1]
    single = Measurements(measurements.values[once], measurements.images[once], N_IMAGE)
    assert np.isnan(split_half_reliability(single)).all()
    assert "reliability" not in prepare(single, PatternOptions()).facts
    some = np.union1d(once, np.flatnonzero(measurements.images < 6))
    mixed = Measurements(measurements.values[some], measurements.images[some], N_IMAGE)
    six = np.flatnonzero(measurements.images < 6)
    only = Measurements(measurements.values[six], measurements.images[six], N_IMAGE)
    np.testing.assert_array_equal(split_half_reliability(mixed), split_half_reliability(only))


def test_signal_to_noise_of_crossnobis() -> None:
    """Signal variance 4, noise variance 1 in each of 4 runs: a ratio of 16 for their mean."""
    rng = np.random.default_rng(0)
    images = np.tile(np.arange(300), 4)
    signal = 2 * rng.standard_normal((300, 40)) + 3
    values = signal[images] + rng.standard_normal((1200, 40))
    measurements = Measurements(values, images, 300, np.repeat(np.arange(4), 300))
    prepared = prepare(measurements, PatternOptions("crossnobis", "diag"))
    assert prepared.facts["snr"] == pytest.approx(16, rel=0.05)
    signal_variance = prepared.rdm(everyone(prepared)).mean() / 2
    biased = prepare(measurements, PatternOptions("mahalanobis", "diag"))
    total = biased.rdm(everyone(biased)).mean() / 2
    ratio = signal_variance / (total - signal_variance)
    assert prepared.facts["snr"] == pytest.approx(ratio, rel=0.02)
    lost = rng.random(1200) > 0.1
    rest = Measurements(values[lost], images[lost], 300, measurements.runs[lost])
    found = prepare(rest, PatternOptions("crossnobis", "diag"))
    assert found.points(everyone(found)) is None
    assert found.facts["snr"] == pytest.approx(0.9 * 16, rel=0.1)


def test_the_same_bits_again() -> None:
    for measurements in (patterns(), unbalanced()):
        first, again = (
            prepare(measurements, PatternOptions("crossnobis", "shrinkage_diag")) for _ in range(2)
        )
        np.testing.assert_array_equal(first.rdm(everyone(first)), again.rdm(everyone(again)))
