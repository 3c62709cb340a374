"""From bootstrap draws to standard errors, intervals and p values.

References
----------
Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566 (dual bootstrap). Benjamini &
Hochberg 1995, J. R. Stat. Soc. B 57:289 (false discovery rate). Phipson & Smyth 2010, Stat. Appl.
Genet. Mol. Biol. 9:39 (permutation p values are never 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy  # its parts are imported at first use: scores alone need none
from numpy.typing import ArrayLike, NDArray

from rsa_exp.stats.condensed import FloatArray
from rsa_exp.vocabulary import MIN_DRAWS

__all__ = [
    "Kind", "Sampling", "Spread", "false_discovery_rate", "jackknife_error", "permutation_p_value",
    "t_test",
]  # fmt: skip

Kind = Literal["images", "subjects", "dual", "jackknife"]

# rsatoolbox's floor of a variance in its t tests.
_FLOOR = float(np.finfo(float).eps)


class Spread(NamedTuple):
    """Standard errors and confidence intervals of estimates; NaN where there are too few draws."""

    se: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Sampling:
    """What the bootstrap resampled, which is what results generalise to.

    Attributes
    ----------
    kind : {'images', 'subjects', 'dual', 'jackknife'}
        New images for these subjects, new subjects for these images, or new of both; by the
        jackknife new images too, whose draws leave out each image once.
    n_images, n_subjects : int
        How many were resampled.
    level : float
        Confidence level, such as 0.95.
    """

    kind: Kind
    n_images: int
    n_subjects: int
    level: float

    @property
    def ways(self) -> tuple[str, ...]:
        """Factors that are resampled along the first axis of draws: both, or one of them."""
        return ("both", "subjects", "images") if self.kind == "dual" else (self.kind,)

    @property
    def dof(self) -> int:
        """Degrees of freedom of t tests, as in rsatoolbox."""
        sizes = {"subjects": self.n_subjects, "dual": min(self.n_images, self.n_subjects)}
        return sizes.get(self.kind, self.n_images) - 1

    @property
    def method(self) -> str:
        """Name of the intervals in tables (column ``ci_method``)."""
        if self.kind == "jackknife":
            return f"jackknife over images, t({self.dof})"
        how = "percentile" if self.kind == "images" else f"t({self.dof})"
        return f"{self.kind} bootstrap, {how}"

    def variance(self, draws: FloatArray) -> FloatArray:
        """Variance of a statistic, corrected for the finite number of images or subjects.

        Parameters
        ----------
        draws : ndarray of shape (n_way, ..., n_draw)
            Ways as in `ways`. NaN draws are left out.

        Returns
        -------
        ndarray of shape (...)
            NaN where fewer than 20 draws are defined. For the dual bootstrap rsatoolbox's corrected
            sum, not less than either single variance and not more than that of both. For the
            jackknife ``(n - 1) / n`` times the sum of squares (Efron & Stein 1981, Ann. Stat.
            9:586), NaN where any is undefined.
        """
        if self.kind == "jackknife":
            return jackknife_error(draws[0]) ** 2
        each = _variances(draws)
        image = self.n_images / (self.n_images - 1)
        if self.kind == "images":
            return np.asarray(each[0] * image)
        subject = self.n_subjects / (self.n_subjects - 1)
        if self.kind == "subjects":
            return np.asarray(each[0] * subject)
        both, subjects, images = each
        interaction = both - subjects - images
        total = subject * subjects + image * images - subject * image * interaction
        total = np.maximum(np.maximum(total, subject * subjects), image * images)
        return np.asarray(np.minimum(total, both))

    def spread(self, estimate: FloatArray, draws: FloatArray) -> Spread:
        """Give standard errors, and intervals: percentiles for images, else t.

        Percentiles of draws of both factors would be too wide by a third: each draw has the
        variance of both and their interaction on top. Those of a few subjects would be too narrow:
        of three, they contain the truth in 74 % of studies, not 95 % (`docs/calibration.md`).

        Parameters
        ----------
        estimate : ndarray of shape (...)
            From all data; draws give its spread only.
        draws : ndarray of shape (n_way, ..., n_draw)
            As in `variance`.
        """
        se = np.sqrt(self.variance(draws))
        tails = (1 - self.level) / 2, (1 + self.level) / 2
        if self.kind != "images":
            reach = scipy.special.stdtrit(self.dof, tails[1]) * se
            return Spread(se, estimate - reach, estimate + reach)
        low, high = _percentiles(draws[0], tails)
        defined = np.isfinite(se) & np.isfinite(estimate)
        return Spread(se, np.where(defined, low, np.nan), np.where(defined, high, np.nan))


def _variances(draws: FloatArray) -> FloatArray:
    """Variance over the last axis, undefined draws left out."""
    defined = np.isfinite(draws)
    n = defined.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(defined, draws, 0.0).sum(axis=-1) / n
        squares = np.where(defined, draws - mean[..., None], 0.0)
        return np.where(n >= MIN_DRAWS, (squares**2).sum(axis=-1) / (n - 1), np.nan)


def _percentiles(draws: FloatArray, tails: tuple[float, float]) -> FloatArray:
    if np.isfinite(draws).all():
        return np.asarray(np.quantile(draws, tails, axis=-1))
    flat = draws.reshape(-1, draws.shape[-1])
    found = np.full((2, len(flat)), np.nan)
    for index, row in enumerate(flat):
        defined = row[np.isfinite(row)]
        if len(defined) >= MIN_DRAWS:
            found[:, index] = np.quantile(defined, tails)
    return found.reshape(2, *draws.shape[:-1])


def t_test(
    estimate: ArrayLike, se: ArrayLike, dof: int, tail: Literal["greater", "both"]
) -> FloatArray:
    """P value of an estimate against 0.

    Parameters
    ----------
    estimate, se : array_like
        Of one shape.
    dof : int
        Degrees of freedom.
    tail : {'greater', 'both'}
        One-sided, or two-sided.

    Returns
    -------
    ndarray
        NaN where either is NaN, and where an estimate other than 0 has a standard error of 0.
    """
    value, spread = np.asarray(estimate, dtype=float), np.asarray(se, dtype=float)
    ratio = value / np.sqrt(np.maximum(spread**2, _FLOOR))
    ratio = np.where((spread == 0) & (value != 0), np.nan, ratio)
    if tail == "greater":
        return np.asarray(scipy.special.stdtr(dof, -ratio))
    return np.asarray(2 * scipy.special.stdtr(dof, -np.abs(ratio)))


def permutation_p_value(observed: ArrayLike, null: FloatArray) -> FloatArray:
    """P value ``(k + 1) / (N + 1)``, k of N null values being as large as the observed one.

    Parameters
    ----------
    observed : array_like of shape (...)
        Observed values.
    null : ndarray of shape (..., N) or (N,)
        Values under the null hypothesis. Those within 1e-9 of the observed one count as equal to
        it: the same value may have been summed in another order.

    Returns
    -------
    ndarray of shape (...)
        In (0, 1]; NaN where the observed or all null values are, or N is 0.
    """
    found = np.asarray(observed, dtype=float)
    defined = np.isfinite(null).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        count = (null >= found[..., None] - 1e-9).sum(axis=-1)
    p = (count + 1) / (defined + 1)
    return np.where(np.isfinite(found) & (defined > 0), p, np.nan)


def false_discovery_rate(p: ArrayLike) -> tuple[FloatArray, int]:
    """Benjamini-Hochberg q values over a family.

    Parameters
    ----------
    p : array_like
        P values of one family; NaN where there was no test.

    Returns
    -------
    q : ndarray
        Of the shape of `p`, NaN where `p` is.
    n_tests : int
        Number of tests in the family.
    """
    values = np.asarray(p, dtype=float)
    defined = np.isfinite(values)
    q = np.full(values.shape, np.nan)
    if defined.any():
        q[defined] = scipy.stats.false_discovery_control(np.clip(values[defined], 0.0, 1.0))
    return q, int(defined.sum())


def jackknife_error(left_out: FloatArray) -> FloatArray:
    """Return the standard error from estimates with one image left out each.

    Parameters
    ----------
    left_out : ndarray of shape (..., n_cond)
        Estimates without each image.

    Returns
    -------
    ndarray of shape (...)
        NaN where any of them is undefined.
    """
    n_cond = left_out.shape[-1]
    deviation: NDArray[np.float64] = left_out - left_out.mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt((n_cond - 1) / n_cond * (deviation**2).sum(axis=-1)))
