"""The mean of several RDMs of the same images, and of RDMs given by points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.points.points import JoinedPoints, Points

__all__ = ["mean_points", "mean_rdm"]


def mean_rdm(rdms: Iterable[FloatArray]) -> FloatArray:
    """Mean of several RDMs, pair by pair over those that have it.

    Parameters
    ----------
    rdms : iterable of ndarray of shape (n_pairs,)
        At least one; all are overwritten, the first by the mean. NaN marks a missing pair.

    Returns
    -------
    ndarray of shape (n_pairs,)
        NaN where all lack the pair.
    """
    rows = iter(rdms)
    total, more = next(rows), next(rows, None)
    if more is None:
        return total
    count = (~np.isnan(total)).astype(np.int32)
    total[count == 0] = 0.0
    while more is not None:
        present = ~np.isnan(more)
        count += present
        more[~present] = 0.0
        total += more
        more = next(rows, None)
    total[count == 0] = np.nan
    total /= np.maximum(count, 1)
    return total


def mean_points(several: Sequence[Points | None]) -> Points | None:
    """Points whose squared distances are the mean of several RDMs; None if one has no points."""
    known = [points for points in several if points is not None]
    if len(known) < len(several):
        return None
    return known[0] if len(known) == 1 else JoinedPoints(known)
