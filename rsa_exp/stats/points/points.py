"""RDMs whose dissimilarities are squared distances of points: what response patterns give.

With z an image's pattern, centred and of unit length, ``1 - r`` is half the squared distance of two
z; cosine, (squared) Euclidean and Mahalanobis distances are squared distances after another
scaling; crossnobis is a difference of squared distances, so that some dimensions count negatively.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray, count_pairs, put_rows

__all__ = ["ArrayPoints", "JoinedPoints", "Points", "condensed_rdm"]

# Images whose distances to all others are formed at a time: always as many, so that the same points
# give the same bits.
_ROWS = 256


class Points(ABC):
    """An RDM as one point for each image: ``d_ij = sum_k sign_k (x_ik - x_jk)^2``.

    No pair is missing.

    Attributes
    ----------
    n_cond : int
        Images.
    n_dim : int
        Dimensions.
    signs : ndarray of shape (n_dim,), or None
        1 or -1 for each dimension; None is 1 for all.
    """

    n_cond: int
    n_dim: int
    signs: FloatArray | None

    @abstractmethod
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the points of images `start` to `stop`, shape (stop - start, n_dim).

        float64 or float32, finite, not to be written to. May be called from several threads.
        """


class ArrayPoints(Points):
    """Points in memory.

    Parameters
    ----------
    values : ndarray of float64 or float32, shape (n_cond, n_dim)
        Not copied.
    signs : ndarray of shape (n_dim,), optional
        As in `Points`.
    """

    def __init__(self, values: NDArray[Any], signs: FloatArray | None = None) -> None:
        self.n_cond, self.n_dim = values.shape
        self.signs = signs
        self._values = values.view()
        self._values.flags.writeable = False

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a view."""
        return self._values[start:stop]


class JoinedPoints(Points):
    """Points whose squared distances are the mean of those of several ones.

    Parameters
    ----------
    parts : sequence of Points
        Of the same images.
    """

    def __init__(self, parts: Sequence[Points]) -> None:
        self.n_cond, self.n_dim = parts[0].n_cond, sum(part.n_dim for part in parts)
        signed = any(part.signs is not None for part in parts)
        signs = [np.ones(part.n_dim) if part.signs is None else part.signs for part in parts]
        self.signs = np.concatenate(signs) if signed else None
        self._parts = parts

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the parts' points side by side, scaled by the root of their number."""
        parts = [part.read(start, stop) for part in self._parts]
        return np.concatenate(parts, axis=1) / sqrt(len(parts))


def condensed_rdm(points: Points) -> FloatArray:
    """Form all dissimilarities, in the calling thread; float64 whatever the points are.

    Parameters
    ----------
    points : Points
        Held in memory whole.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Where no dimension counts negatively, no dissimilarity is below 0.
    """
    n_cond, signs = points.n_cond, points.signs
    left = np.array(points.read(0, n_cond), dtype=np.float64)
    left -= left.mean(axis=0)  # distances stay the same, and lose fewer digits
    right = left if signs is None else left * signs
    squares = np.einsum("ij,ij->i", left, right)
    condensed = np.empty(count_pairs(n_cond))
    for first in range(0, n_cond, _ROWS):
        block = left[first : first + _ROWS] @ right[first:].T
        block *= -2
        block += squares[first : first + _ROWS, None]
        block += squares[first:]
        if signs is None:
            np.maximum(block, 0, out=block)
        put_rows(condensed, first, block)
    return condensed
