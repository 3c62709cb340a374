"""Measurements made fit for computing: what is missing left out, z-scored, channels chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.stats.condensed import BoolArray, FloatArray, IntArray
from rsa_exp.stats.patterns.measurements import (
    Measurements,
    PatternOptions,
    group_sums,
    nearly_constant,
    run_labels,
)
from rsa_exp.stats.patterns.reliability import half_correlations, spearman_brown

__all__ = ["Report", "Rows", "finite_residuals"]

# Squares of larger values, summed, are not finite.
_LARGEST = 1e150


@dataclass
class Report:
    """What is worth saying about patterns.

    Attributes
    ----------
    what : str
        What they are, named at the start of each line; may be empty.
    notices, warnings : list of str
        What was done; what the user should look at.
    facts : dict
        Numbers for the record.
    """

    what: str
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)

    def line(self, text: str) -> str:
        """Name what it is about."""
        return f"{self.what}: {text}" if self.what else text

    def notice(self, text: str) -> None:
        """Say what was done."""
        self.notices.append(self.line(text))

    def warn(self, text: str) -> None:
        """Say what the user should look at."""
        self.warnings.append(self.line(text))

    def error(self, text: str) -> InputError:
        """Make the error that refuses the patterns."""
        return InputError(self.line(text))


class Rows:
    """Rows with finite values only, which are changed step by step.

    Parameters
    ----------
    measurements : Measurements
        Left as they are.
    report : Report
        Gets what is said.

    Attributes
    ----------
    values : ndarray of shape (n_row, n_channel)
    images : ndarray of int, shape (n_row,)
    kept : ndarray of int, shape (n_row,)
        Which rows of the measurements these are.
    channels : ndarray of int, shape (n_channel,)
        Which channels of the measurements these are.
    counts : ndarray of int, shape (n_image,)
        Rows of each image.
    """

    def __init__(self, measurements: Measurements, report: Report) -> None:
        values = measurements.values
        self.measurements, self.report = measurements, report
        usable = np.isfinite(values)
        if values.dtype.kind == "f" and values.dtype.itemsize >= 8:
            usable &= np.abs(values) < _LARGEST
        present = usable.any(axis=1)
        self.kept = np.flatnonzero(present)
        n_row, n_channel = values.shape
        if not len(self.kept):
            raise report.error(f"no row has a finite value (below {_LARGEST:g})")
        if len(self.kept) < n_row:
            report.warn(
                f"{n_row - len(self.kept)} of {n_row} measurements have no finite value and are"
                " left out"
            )
        complete = usable[present].all(axis=0)
        self.channels = np.flatnonzero(complete)
        if not len(self.channels):
            raise report.error(
                f"each of the {n_channel} channels has values that are NaN, infinite or beyond"
                f" {_LARGEST:g}; leave out these rows or set all of their values to NaN"
            )
        if len(self.channels) < n_channel:
            report.warn(
                f"{n_channel - len(self.channels)} of {n_channel} channels have values that are"
                f" NaN, infinite or beyond {_LARGEST:g} and are left out"
            )
            values = values[:, complete]
        self.values: FloatArray = np.array(
            values if len(self.kept) == n_row else values[present], dtype=np.float64
        )
        self.images = measurements.images[present].astype(np.int64)
        self.counts = np.bincount(self.images, minlength=measurements.n_image)
        repetitions = self.counts[self.counts > 0]
        report.facts |= {
            "n_row": n_row,
            "n_row_missing": n_row - len(self.kept),
            "n_channel": n_channel,
            "repetitions_min": int(repetitions.min()),
            "repetitions_max": int(repetitions.max()),
        }

    def keep_channels(self, keep: BoolArray, reason: str) -> None:
        """Leave the other channels out, and say so; refuse to leave out all."""
        if keep.all():
            return
        if not keep.any():
            raise self.report.error(f"no channel is left: all {len(keep)} {reason}")
        self.report.warn(f"{int((~keep).sum())} of {len(keep)} channels {reason} and are left out")
        self.values = self.values[:, keep]
        self.channels = self.channels[keep]

    def labels(self, kind: str, setting: str) -> IntArray:
        """Return each row's run or session, from 0; refused unless all have one."""
        labels = run_labels(self.measurements, kind)
        if labels is None:
            raise self.report.error(f"{setting} needs the {kind} of each row, which is not known")
        labels = labels[self.kept]
        if (labels < 0).any():
            raise self.report.error(
                f"{int((labels < 0).sum())} of {len(labels)} rows have no {kind}, which {setting}"
                " needs; leave them out or give them one"
            )
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)

    def zscore(self, kind: str) -> None:
        """Give each channel mean 0 and standard deviation 1 (of n, not n - 1) over some rows."""
        labels = self.labels(kind, f"zscore={kind}")
        groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
        if alone := sum(len(rows) == 1 for rows in groups):
            raise self.report.error(
                f"zscore={kind} needs at least two measurements to scale over;"
                f" {alone} of {len(groups)} {'sets' if kind == 'all' else kind + 's'} have one"
            )
        constant: BoolArray = np.any(
            [nearly_constant(self.values[rows]) for rows in groups], axis=0
        )
        where = "" if kind == "all" else f" within a {kind}"
        self.keep_channels(~constant, f"are constant{where}, which zscore={kind} cannot scale,")
        for rows in groups:
            block = self.values[rows]
            block -= block.mean(axis=0)
            block /= block.std(axis=0)
            self.values[rows] = block

    def choose_reliable(self, options: PatternOptions) -> None:
        """Report how reliable channels are, and leave out those below the least if one is given."""
        halves = half_correlations(self.values, self.images)
        least, known = options.min_reliability, np.isfinite(halves)
        if known.any():
            mean = float(halves[known].mean())
            self.report.facts["reliability_half"] = mean
            if mean > -1:
                self.report.facts["reliability"] = spearman_brown(mean)
        if least is None:
            return
        if not known.any():
            raise self.report.error(
                f"min_reliability={least:g} needs at least three images that were measured twice"
            )
        chosen = known & (halves >= least)
        if not chosen.any():
            raise self.report.error(
                f"no channel has a split-half reliability of min_reliability={least:g} or more;"
                f" the highest is {halves[known].max():.3f}"
            )
        self.report.notice(f"channels with a split-half reliability of {least:g} or more are used")
        self.values = self.values[:, chosen]
        self.channels = self.channels[chosen]

    def deviations(self) -> tuple[FloatArray, int]:
        """Return the rows' deviations from their image's mean, and their degrees of freedom."""
        dof = len(self.images) - int((self.counts > 0).sum())
        if dof < 1:
            raise self.report.error(
                "no image was measured twice, so that the noise is not known; give residuals, or"
                " use distance=euclidean or correlation"
            )
        return self.values - self.means()[self.images], dof

    def means(self) -> FloatArray:
        """Return each image's mean pattern, shape (n_image, n_channel); 0 without rows."""
        sums = group_sums(self.values, self.images, len(self.counts))
        sums /= np.maximum(self.counts, 1)[:, None]
        return sums


def finite_residuals(residuals: NDArray[np.floating], rows: Rows) -> FloatArray:
    """Take the residuals' channels that the rows have, and leave out what is not finite in either.

    Returns
    -------
    ndarray of shape (n_residual, n_channel)
    """
    n_channel = rows.measurements.values.shape[1]
    if residuals.ndim != 2 or residuals.shape[1] != n_channel or residuals.dtype.kind not in "iuf":
        raise rows.report.error(
            f"residuals are an array of shape {residuals.shape} and type {residuals.dtype}; they"
            f" must be numbers of shape (residuals, {n_channel}): the patterns' channels"
        )
    values = residuals[:, rows.channels].astype(np.float64)
    usable = np.abs(values) < _LARGEST
    present = usable.any(axis=1)
    complete = np.asarray(usable[present].all(axis=0))
    rows.keep_channels(complete, "have residuals that are not finite")
    return values[np.ix_(present, complete)]
