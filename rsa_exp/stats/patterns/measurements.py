"""Response patterns as they come, one row for each measurement, and what is to be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, check_choice
from rsa_exp.stats.condensed import BoolArray, FloatArray, IntArray
from rsa_exp.vocabulary import CROSS_VALIDATED, DISTANCES, FOLDS, NOISES, WHITENED, ZSCORES

__all__ = ["Measurements", "PatternOptions", "group_sums", "nearly_constant", "run_labels"]


# Differences below this share of the values are rounding errors of means.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Measurements:
    """Responses to images: of an ROI's voxels, of sensors, of neurons, of a layer's units.

    Attributes
    ----------
    values : ndarray of shape (n_row, n_channel)
        One row for each measurement, of integers or floats in any unit; NaN where nothing was
        measured. Computed with in float64.
    images : ndarray of int, shape (n_row,)
        Index of each row's image, from 0 to ``n_image - 1``.
    n_image : int
        Images. Some may have no row.
    runs, sessions : ndarray of int, shape (n_row,), or None
        Run and session of each row; a negative label marks a row without one. Where both are
        given, the same run label in two sessions means two runs.

    Raises
    ------
    InputError
        If the arrays do not fit together.
    """

    values: NDArray[Any]
    images: IntArray
    n_image: int
    runs: IntArray | None = None
    sessions: IntArray | None = None

    def __post_init__(self) -> None:
        values = self.values
        if values.ndim != 2 or values.dtype.kind not in "iufb" or not values.size:
            raise InputError(
                f"patterns are an array of shape {values.shape} and type {values.dtype};"
                " they must be numbers of shape (measurements, channels)"
            )
        for name in ("images", "runs", "sessions"):
            labels = getattr(self, name)
            if labels is None and name != "images":
                continue
            if labels.shape != (len(values),) or labels.dtype.kind not in "iu":
                raise InputError(
                    f"{name} are an array of shape {labels.shape} and type {labels.dtype}; there"
                    f" must be one whole number for each of the {len(values)} rows of the patterns"
                    + ("; are the patterns transposed?" if len(labels) == values.shape[1] else "")
                )
        if self.images.min() < 0 or self.images.max() >= self.n_image:
            raise InputError(
                f"images are numbered from {self.images.min()} to {self.images.max()}; with"
                f" {self.n_image} images they must be from 0 to {self.n_image - 1}"
            )


@dataclass(frozen=True)
class PatternOptions:
    """How patterns become an RDM.

    Attributes
    ----------
    distance : str
        One of `rsa_exp.vocabulary.DISTANCES`, with rsatoolbox's values: "correlation" is ``1 - r``,
        "cosine" 1 minus the cosine, "euclidean" the squared distance divided by the number of
        channels, "mahalanobis" the same after whitening by the noise, "crossnobis" its
        cross-validated estimate, which is 0 on average where patterns do not differ (Walther et al.
        2016, NeuroImage 137:188-200; Diedrichsen & Kriegeskorte 2017, PLoS Comput. Biol.
        13:e1005508). "poisson" is the symmetrised Kullback-Leibler divergence of Poisson
        distributions with these rates, and "poisson_cv" its cross-validated estimate (Schütt et al.
        2023, eLife 12:e82566).
    noise : str
        Covariance of the noise, for mahalanobis and crossnobis alone; see
        `rsa_exp.stats.patterns.noise.noise_covariance`.
    folds : str
        For crossnobis and poisson_cv: measurements of the same "run" or "session" are not taken as
        independent of one another.
    zscore : str
        Each channel gets mean 0 and standard deviation 1 over the rows of each "run" or "session",
        or over "all" rows.
    min_reliability : float, optional
        Channels are left out whose split-half reliability is below this; see
        `rsa_exp.stats.patterns.reliability.split_half_reliability`.

    Raises
    ------
    InputError
        If an option is none of its choices, or two do not go together.
    """

    distance: str = "correlation"
    noise: str = "none"
    folds: str = "run"
    zscore: str = "none"
    min_reliability: float | None = None

    def __post_init__(self) -> None:
        check_choice("distance", self.distance, DISTANCES)
        check_choice("noise", self.noise, NOISES)
        check_choice("folds", self.folds, FOLDS)
        check_choice("zscore", self.zscore, ZSCORES)
        if self.distance == "mahalanobis" and self.noise == "none":
            raise InputError(
                "distance=mahalanobis needs the covariance of the noise: set noise=shrinkage_diag,"
                " or use distance=euclidean, which is the same without noise"
            )
        if self.distance not in WHITENED and self.noise != "none":
            raise InputError(
                f"noise={self.noise} has no meaning for distance={self.distance}: the euclidean"
                " distance after noise normalisation is distance=mahalanobis, its cross-validated"
                " estimate distance=crossnobis"
            )
        if self.distance.startswith("poisson") and self.zscore != "none":
            raise InputError(
                f"zscore={self.zscore} makes negative values, and distance={self.distance} is for"
                " counts or rates: set zscore=none"
            )
        least = self.min_reliability
        if least is not None and (
            isinstance(least, bool)
            or not isinstance(least, int | float)
            or not isfinite(least)
            or not -1 <= least <= 1
        ):
            raise InputError(
                f"min_reliability={least!s:.200} is not a correlation: give a number from -1 to 1,"
                " or null for all channels"
            )

    @property
    def cross_validated(self) -> bool:
        """Whether the distance needs folds."""
        return self.distance in CROSS_VALIDATED


def run_labels(measurements: Measurements, kind: str) -> IntArray | None:
    """Label the rows by the folds of an option: "run", "session", or "all" in one.

    Returns
    -------
    ndarray of int, shape (n_row,), or None
        Labels from 0; negative for a row without one. None if nothing is known.
    """
    runs, sessions = measurements.runs, measurements.sessions
    if kind == "all":
        return np.zeros(len(measurements.values), dtype=np.int64)
    labels = sessions if kind == "session" else runs
    if labels is None:
        return None
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    known = labels >= 0
    if kind == "run" and sessions is not None:
        codes += (codes.max() + 1) * np.unique(sessions, return_inverse=True)[1]
        known &= sessions >= 0
    return np.where(known, np.unique(codes, return_inverse=True)[1], -1)


def group_sums(values: FloatArray, groups: IntArray, n_group: int) -> FloatArray:
    """Sum the rows of each group, in their order.

    Parameters
    ----------
    values : ndarray of shape (n_row, n_channel)
    groups : ndarray of int, shape (n_row,)
        From 0 to ``n_group - 1``.
    n_group : int

    Returns
    -------
    ndarray of shape (n_group, n_channel)
        0 for a group without rows.
    """
    from scipy.sparse import csr_array  # not for scores from RDMs

    ends = np.cumsum(np.bincount(groups, minlength=n_group))
    rows = np.argsort(groups, kind="stable")
    members = csr_array(
        (np.ones(len(rows)), rows, np.concatenate(([0], ends))), shape=(n_group, len(rows))
    )
    return np.asarray(members @ values, dtype=np.float64)


def nearly_constant(values: FloatArray) -> BoolArray:
    """Tell which channels are constant over rows but for rounding errors, shape (n_channel,)."""
    low, high = values.min(axis=0), values.max(axis=0)
    result: BoolArray = high - low <= _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return result
