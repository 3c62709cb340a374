"""Points made of patterns that are read in blocks of images, because they are large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.rdms.readers import PatternSource
from rsa_exp.stats.condensed import FloatArray, IntArray
from rsa_exp.stats.patterns.measurements import PatternOptions
from rsa_exp.stats.points.points import Points

__all__ = ["StreamedPoints", "row_scales"]

# Distances that need one image's pattern at a time.
_BY_IMAGE = ("correlation", "cosine", "euclidean")
_BLOCK_BYTES = 1 << 24
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
    scales : ndarray of shape (n_row, 2)
        As `row_scales` returns them.
    """

    signs = None

    def __init__(
        self, patterns: PatternSource, index: int, rows: IntArray, scales: FloatArray
    ) -> None:
        self._patterns, self._index, self._rows, self._scales = patterns, index, rows, scales
        self.n_cond, self.n_dim = len(rows), patterns.shape(index)[1]

    @staticmethod
    def can_stream(options: PatternOptions) -> bool:
        """Whether an image's point depends on its own pattern alone."""
        by_itself = options.zscore == "none" and options.min_reliability is None
        return by_itself and options.distance in _BY_IMAGE

    def read(self, start: int, stop: int) -> FloatArray:
        """Read the patterns of some images and scale them."""
        rows = self._rows[start:stop]
        shifts, factors = self._scales[rows].T
        found = np.asarray(self._patterns.read_rows(self._index, rows))
        values: FloatArray = np.subtract(found, shifts[:, None], dtype=np.float64)
        values *= factors[:, None]
        return values


def row_scales(patterns: PatternSource, index: int, distance: str) -> FloatArray:
    """Return what makes points of the rows of a matrix.

    Reads all of the matrix in order, which gives it its digest.

    Returns
    -------
    ndarray of shape (n_row, 2)
        What is subtracted from each row, and by what it is multiplied then; this is NaN for rows
        that make no point: not finite, or without a distance.
    """
    step = max(1, _BLOCK_BYTES // (8 * patterns.shape(index)[1]))
    parts = [_scales(block, distance) for block in patterns.blocks(index, step)]
    return np.concatenate(parts)


def _scales(block: NDArray[Any], distance: str) -> FloatArray:
    n_row, n_channel = block.shape
    values = np.array(block, dtype=np.float64)
    shifts, factors = np.zeros(n_row), np.full(n_row, n_channel**-0.5)
    # A sum is not finite if any of its values is not, or if they are too large to be used.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = np.einsum("ij,ij->i", values, values)
        usable = np.isfinite(squares)
        if distance != "euclidean":
            lengths, least = squares, np.zeros(n_row)
            if distance == "correlation":
                shifts = values.mean(axis=1)
                values -= shifts[:, None]
                lengths, least = np.einsum("ij,ij->i", values, values), _ROUNDING * squares
            usable &= lengths > least
            factors = 1 / np.sqrt(2 * lengths)
    return np.stack([shifts, np.where(usable, factors, np.nan)], axis=1)
