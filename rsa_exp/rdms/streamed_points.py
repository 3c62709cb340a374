"""Points made of patterns that are read in blocks of images, because they are large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.rdms.readers import PatternSource
from rsa_exp.stats.condensed import BoolArray, FloatArray, IntArray
from rsa_exp.stats.patterns.measurements import PatternOptions
from rsa_exp.stats.points.points import Points

__all__ = ["StreamedPoints", "unusable_rows"]

# Distances that need one image's pattern at a time.
_BY_IMAGE = ("correlation", "cosine", "euclidean")
_BLOCK_BYTES = 1 << 26
# A pattern whose squared length about its mean is this share of that about 0 may be constant.
_ROUNDING = 1e-9


class StreamedPoints(Points):
    """Points of patterns in a file, each image measured once; nothing is kept in memory.

    Parameters
    ----------
    patterns : PatternSource
        Whose `read_rows` reads the matrix.
    index : int
        Which matrix.
    rows : ndarray of int, shape (n_cond,)
        The row of each image.
    distance : {'correlation', 'cosine', 'euclidean'}
        As in `PatternOptions`.
    """

    signs = None

    def __init__(self, patterns: PatternSource, index: int, rows: IntArray, distance: str) -> None:
        self._patterns, self._index, self._rows, self._distance = patterns, index, rows, distance
        self.n_cond, self.n_dim = len(rows), patterns.shape(index)[1]

    @staticmethod
    def can_stream(options: PatternOptions) -> bool:
        """Whether an image's point depends on its own pattern alone."""
        by_itself = options.zscore == "none" and options.min_reliability is None
        return by_itself and options.distance in _BY_IMAGE

    def read(self, start: int, stop: int) -> FloatArray:
        """Read the patterns of some images and scale them."""
        found = self._patterns.read_rows(self._index, self._rows[start:stop])
        values = np.array(found, dtype=np.float64)
        if self._distance == "euclidean":
            values /= np.sqrt(self.n_dim)
            return values
        if self._distance == "correlation":
            values -= values.mean(axis=1, keepdims=True)
        values /= np.sqrt(2 * np.einsum("ij,ij->i", values, values))[:, None]
        return values


def unusable_rows(patterns: PatternSource, index: int, distance: str) -> BoolArray:
    """Mark the rows of a matrix that make no point: not finite, or without a distance.

    Reads all of the matrix in order, which gives it its digest.
    """
    step = max(1, _BLOCK_BYTES // (8 * patterns.shape(index)[1]))
    parts = [_unusable(block, distance) for block in patterns.blocks(index, step)]
    return np.concatenate(parts)


def _unusable(values: NDArray[Any], distance: str) -> BoolArray:
    # A sum is not finite if any of its values is not, or if they are too large to be used.
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", values, values, dtype=np.float64)
        if distance == "correlation":
            means = values.mean(axis=1, dtype=np.float64)
            lengths = squares - len(values[0]) * means**2
        else:
            lengths = squares
        least = _ROUNDING * squares if distance == "correlation" else 0
        usable = np.isfinite(squares) & ((lengths > least) | (distance == "euclidean"))
    return np.asarray(~usable)
