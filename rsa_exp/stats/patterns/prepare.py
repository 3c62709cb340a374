"""Response patterns made ready, from which RDMs of any chosen images follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import listing
from rsa_exp.stats.condensed import BoolArray, FloatArray, IntArray, count_pairs, kept_pairs
from rsa_exp.stats.patterns.geometry import CrossValidated, Embedded, Geometry, poisson_features
from rsa_exp.stats.patterns.measurements import Measurements, PatternOptions, group_sums
from rsa_exp.stats.patterns.noise import Noise, noise_covariance
from rsa_exp.stats.patterns.reliability import signal_to_noise
from rsa_exp.stats.patterns.rows import Report, Rows, finite_residuals
from rsa_exp.stats.points.points import ArrayPoints
from rsa_exp.vocabulary import MIN_IMAGES

__all__ = ["Prepared", "prepare"]

# A pattern whose deviations from its mean are this share of it is constant but for rounding.
_ROUNDING = 1e-13
# Share of the sum of squares above which the mean of all patterns is worth a warning.
_MUCH = 0.1


@dataclass(frozen=True)
class Prepared:
    """Patterns of images and their distances.

    The same patterns give the same bits if BLAS uses one thread (`rsa_exp.stats.parallel`).

    Attributes
    ----------
    n_image : int
        Images.
    undefined : ndarray of int
        Images, ascending, whose pairs are all NaN: they have no measurement; or their pattern is
        constant (correlation) or zero (cosine); or they are in one fold alone (crossnobis,
        poisson_cv).
    facts : dict of str to float
        Numbers for the record: ``n_row`` measurements and ``n_row_missing`` of these without
        values; ``n_channel`` and ``n_channel_used``; ``n_image_undefined``; ``repetitions_min``
        and ``repetitions_max`` of the images that have any; ``n_fold``; ``noise_dof`` and
        ``noise_shrinkage`` (0 to 1). Where at least three images were repeated,
        ``reliability_half``: mean split-half reliability of channels, before any are chosen by
        it, and ``reliability``: the same after Spearman-Brown. For crossnobis ``snr``, see
        `rsa_exp.stats.patterns.reliability.signal_to_noise`.
    notices, warnings : list of str
        What was done; what the user should look at.
    """

    n_image: int
    undefined: IntArray
    facts: dict[str, float]
    notices: list[str]
    warnings: list[str]
    geometry: Geometry

    def points(self, positions: IntArray) -> ArrayPoints | None:
        """Return the chosen images as points in float64, whose distances are those of `rdm`.

        Parameters
        ----------
        positions : ndarray of int, shape (n_cond,)
            Images, each once.

        Returns
        -------
        ArrayPoints or None
            None if a chosen image is undefined, and for cross-validated distances unless all
            chosen images have as many rows in each fold.
        """
        if not len(positions) or np.isin(positions, self.undefined).any():
            return None
        return self.geometry.points(positions)

    def rdm(self, positions: IntArray) -> FloatArray:
        """Return the chosen images' condensed RDM.

        Parameters
        ----------
        positions : ndarray of int, shape (n_cond,)
            Images, each once, in the RDM's order.

        Returns
        -------
        ndarray of shape (n_pairs,)
            NaN for pairs of undefined images.
        """
        defined = ~np.isin(positions, self.undefined)
        if defined.all() and len(positions) > 1:
            return self.geometry.rdm(positions)
        result = np.full(count_pairs(len(positions)), np.nan)
        if defined.sum() > 1:
            result[kept_pairs(defined)] = self.geometry.rdm(positions[defined])
        return result


def prepare(
    measurements: Measurements,
    options: PatternOptions,
    *,
    residuals: NDArray[np.floating] | None = None,
    dof: int | None = None,
    what: str = "",
    names: Sequence[str] = (),
) -> Prepared:
    """Make patterns ready: clean, z-score, choose channels, estimate the noise, average or sum.

    Repetitions are averaged for each image (cross-validated distances: multiplied between folds).

    Parameters
    ----------
    measurements : Measurements
        Left as they are. Rows without any finite value are left out, and so are channels with
        values that are not finite in other rows.
    options : PatternOptions
    residuals : ndarray of shape (n_residual, n_channel), optional
        Residuals of the model that the patterns were estimated with, in the patterns' units, for
        the covariance of the noise. Without them it comes from the deviations of measurements
        from the mean of their image, with as many degrees of freedom as there are rows more than
        images: `rsatoolbox.data.noise.cov_from_unbalanced`. (rsatoolbox's `cov_from_measurements`
        has too many of these, so that its variances are too small.)
    dof : int, optional
        Degrees of freedom of the residuals: rows minus regressors. Without it, rows minus 1.
    what : str
        What the patterns are (subject, ROI), for messages.
    names : sequence of str, optional
        Names of the images, for messages.

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        If nothing usable is left, or an option needs what is not there: repetitions, runs or
        sessions, at least two folds, more degrees of freedom than channels, values that are not
        negative.
    """
    report = Report(what)
    rows = Rows(measurements, report)
    distance = options.distance
    if options.zscore != "none":
        rows.zscore(options.zscore)
    rows.choose_reliable(options)
    if distance.startswith("poisson") and (negative := int((rows.values < 0).sum())):
        raise report.error(
            f"{negative} values are below 0; distance={distance} is for counts or rates: use"
            " another distance for these patterns"
        )
    noise = _noise(rows, options, residuals, dof)
    report.facts["n_channel_used"] = len(rows.channels)
    _, n_channel = rows.values.shape
    if options.cross_validated:
        geometry: Geometry = _cross_validated(rows, options, noise)
    elif distance == "poisson":
        features, signs, _ = poisson_features(rows.means())
        geometry = Embedded(features / sqrt(n_channel), signs)
    else:
        patterns = rows.means()
        if distance == "correlation":
            lengths = np.linalg.norm(patterns, axis=1)
            patterns -= patterns.mean(axis=1, keepdims=True)
            _scale(patterns, _ROUNDING * lengths)
        elif distance == "cosine":
            _scale(patterns, np.zeros(len(patterns)))
        else:
            patterns = _whiten(patterns, noise, report)
            patterns /= sqrt(n_channel)
        geometry = Embedded(patterns)
    undefined = _undefined(rows, options, geometry, names)
    if distance == "crossnobis" and isinstance(geometry, CrossValidated):
        defined = np.setdiff1d(np.arange(measurements.n_image), undefined)
        if geometry.equal_counts(defined) is None:
            _warn_of_mean(rows, options.folds)
        if isfinite(ratio := signal_to_noise(geometry, defined)):
            report.facts["snr"] = ratio
    return Prepared(
        measurements.n_image, undefined, report.facts, report.notices, report.warnings, geometry
    )


def _scale(patterns: FloatArray, least: FloatArray) -> None:
    """Scale patterns to squared length 1/2 in place, those not above a length to 0."""
    lengths = np.linalg.norm(patterns, axis=1)
    factors = np.zeros(len(lengths))
    np.divide(sqrt(0.5), lengths, out=factors, where=lengths > least)
    patterns *= factors[:, None]


def _noise(
    rows: Rows, options: PatternOptions, residuals: NDArray[np.floating] | None, dof: int | None
) -> Noise | None:
    """Estimate the noise, if it is needed, without the channels that have none."""
    report = rows.report
    if options.noise == "none":
        if residuals is not None:
            report.notice("residuals were given but are not used, as noise=none")
        return None
    if residuals is None:
        deviations, freedom = rows.deviations()
        source = "repetitions"
    else:
        if options.zscore != "none":
            raise report.error(
                f"zscore={options.zscore} changes the unit of patterns, and residuals are in the"
                " unit before: set zscore=none, or give no residuals"
            )
        deviations, source = finite_residuals(residuals, rows), "residuals"
        freedom = len(deviations) - 1 if dof is None else dof
        if not 1 <= freedom < len(deviations):
            raise report.error(
                f"{len(deviations)} residuals with {freedom} degrees of freedom: these must be at"
                " least 1 and fewer than the residuals"
            )
    spread = np.ptp(deviations, axis=0)
    noisy = spread > _ROUNDING * np.abs(rows.values).max(axis=0)
    rows.keep_channels(noisy, "have no noise (constant, or the same in all repetitions)")
    deviations = deviations[:, noisy]
    n_channel = len(rows.channels)
    if options.noise == "full" and n_channel > freedom:
        raise report.error(
            f"noise=full needs at least as many residual degrees of freedom as channels, and there"
            f" are {freedom} for {n_channel} channels: set noise=shrinkage_diag"
        )
    noise = noise_covariance(deviations, freedom, options.noise)
    report.facts |= {"noise_dof": freedom, "noise_shrinkage": noise.shrinkage}
    report.notice(f"the covariance of the noise (noise={options.noise}) is estimated from {source}")
    return noise


def _whiten(values: FloatArray, noise: Noise | None, report: Report) -> FloatArray:
    try:
        return values if noise is None else noise.whiten(values)
    except np.linalg.LinAlgError:
        raise report.error(
            "the covariance of the noise has no inverse, as some channels are sums of others:"
            " set noise=shrinkage_diag or noise=diag"
        ) from None


def _cross_validated(rows: Rows, options: PatternOptions, noise: Noise | None) -> CrossValidated:
    """Sum rows for each image and fold."""
    kind, report = options.folds, rows.report
    labels = rows.labels(kind, f"distance={options.distance}")
    n_fold = int(labels.max()) + 1
    report.facts["n_fold"] = n_fold
    if n_fold < 2:
        raise report.error(
            f"distance={options.distance} needs measurements in at least two {kind}s, and all are"
            f" in one; set folds={'session' if kind == 'run' else 'run'} or another distance"
        )
    codes, cells, counts = np.unique(
        rows.images * n_fold + labels, return_inverse=True, return_counts=True
    )
    images, folds = np.divmod(codes, n_fold)
    n_channel = rows.values.shape[1]
    if options.distance == "crossnobis":
        sums = group_sums(rows.values, cells, len(codes))
        sums = _whiten(sums, noise, report)
        return CrossValidated(sums, images, folds, counts, n_channel)
    features, signs, scores = poisson_features(rows.values)
    sums = group_sums(features, cells, len(codes))
    cell_scores = np.bincount(cells, scores).astype(np.float64)
    return CrossValidated(sums, images, folds, counts, n_channel, signs, cell_scores)


def _warn_of_mean(rows: Rows, kind: str) -> None:
    """Say what a mean pattern does where images have unequal numbers of rows in the folds."""
    mean = rows.values.mean(axis=0)
    share = np.vdot(mean, mean) * len(rows.values) / np.vdot(rows.values, rows.values)
    if share > _MUCH:
        rows.report.warn(
            f"images have unequal numbers of measurements in the {kind}s, so the mean of all"
            f" patterns ({share:.0%} of their sum of squares) does not cancel out of"
            f" distance=crossnobis, but multiplies its noise: set zscore={kind}"
        )


def _undefined(
    rows: Rows, options: PatternOptions, geometry: Geometry, names: Sequence[str]
) -> IntArray:
    """Find the images whose pairs are NaN, and say how many and why."""
    report, absent = rows.report, rows.counts == 0
    undefined = absent.copy()
    if isinstance(geometry, CrossValidated):
        undefined = np.bincount(geometry.images, minlength=len(absent)) < 2
        reason = f"are in one {options.folds} alone"
    elif isinstance(geometry, Embedded) and options.distance in {"correlation", "cosine"}:
        undefined = ~geometry.values.any(axis=1)
        reason = f"have a {'zero' if options.distance == 'cosine' else 'constant'} pattern"
    n_image, n_absent = len(absent), int(absent.sum())
    n_other = int(undefined.sum()) - n_absent
    if n_absent:
        report.warn(
            f"{n_absent} of {n_image} images have no measurement{_named(absent, names)}: their"
            " pairs are NaN"
        )
    if n_other:
        report.warn(
            f"{n_other} of {n_image} images {reason}{_named(undefined & ~absent, names)}: their"
            f" pairs are NaN, as distance={options.distance} is undefined"
        )
    if n_image - undefined.sum() < MIN_IMAGES:
        raise report.error(
            f"{n_image - int(undefined.sum())} of {n_image} images have a defined"
            f" distance={options.distance}; there must be at least {MIN_IMAGES}"
            + (f" ({n_other} {reason})" if n_other else "")
        )
    report.facts["n_image_undefined"] = int(undefined.sum())
    return np.flatnonzero(undefined)


def _named(which: BoolArray, names: Sequence[str]) -> str:
    """List the first of some images in brackets, where names are known."""
    return f" ({listing([names[i] for i in np.flatnonzero(which).tolist()], 3)})" if names else ""
