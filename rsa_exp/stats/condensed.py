"""The condensed form of an RDM: its upper triangle, row by row, without the diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled

__all__ = [
    "BoolArray", "Counts", "FloatArray", "IntArray", "Rdm", "complete_images", "count_pairs",
    "image_sums", "images_touched", "kept_pairs", "n_cond_of", "put_rows",
]  # fmt: skip

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
Counts: TypeAlias = NDArray[np.uint8]
"""How often images or subjects are in draws, shape (size, n_draw)."""


def count_pairs(n_cond: int) -> int:
    """Pairs of `n_cond` images: ``n_cond (n_cond - 1) / 2``."""
    return n_cond * (n_cond - 1) // 2


def put_rows(condensed: FloatArray, first: int, rows: FloatArray) -> None:
    """Enter rows of a square RDM, from its row and column `first` on, into the condensed form.

    Parameters
    ----------
    condensed : ndarray of shape (n_pairs,)
        Written to.
    first : int
        The first of the rows.
    rows : ndarray of shape (n_row, n_cond - first)
        What is on and below the diagonal is not used.
    """
    n_cond = first + rows.shape[1]
    start = first * (2 * n_cond - first - 1) // 2
    for i, row in enumerate(rows):
        stop = start + n_cond - 1 - first - i
        condensed[start:stop] = row[i + 1 :]
        start = stop


def n_cond_of(n_pairs: int) -> int:
    """Images behind a condensed vector of `n_pairs` entries.

    Raises
    ------
    ValueError
        If no number of images has that many pairs.
    """
    n_cond = (1 + isqrt(1 + 8 * n_pairs)) // 2
    if n_pairs < 1 or count_pairs(n_cond) != n_pairs:
        raise ValueError(f"{n_pairs} is not a number of pairs n (n - 1) / 2")
    return n_cond


@dataclass(frozen=True)
class Rdm:
    """One condensed RDM and which of its pairs are missing.

    Attributes
    ----------
    values : ndarray of shape (n_pairs,)
        Dissimilarities; NaN marks a missing pair.
    missing : ndarray of int, shape (n_missing,)
        Indices of the missing pairs, ascending.
    n_cond : int
        Images.
    """

    values: FloatArray
    missing: IntArray
    n_cond: int

    @classmethod
    def of(cls, values: FloatArray) -> Rdm:
        """Find the missing pairs of a condensed vector, which is kept, not copied."""
        # A sum is NaN if any entry is: one pass without a mask for the usual, complete RDM.
        missing = np.isnan(values).nonzero()[0] if np.isnan(values.sum()) else np.empty(0, np.int64)
        return cls(values, missing, n_cond_of(len(values)))

    @property
    def varies(self) -> bool:
        """Whether it has two different dissimilarities."""
        if len(self.missing) == len(self.values):
            return False
        return bool(np.nanmin(self.values) < np.nanmax(self.values))


@compiled
def _add_image_sums(values: FloatArray, sums: FloatArray) -> None:
    n_cond = sums.shape[0]
    start = 0
    for i in range(n_cond - 1):
        total = 0.0
        for j in range(i + 1, n_cond):
            value = values[start + j - i - 1]
            total += value
            sums[j] += value
        sums[i] += total
        start += n_cond - 1 - i


def image_sums(values: FloatArray, n_cond: int) -> FloatArray:
    """Row sums of the square of a condensed RDM without NaN, which is not built.

    Returns
    -------
    ndarray of shape (n_cond,)
        Sum of each image's dissimilarities to all other images.
    """
    sums = np.zeros(n_cond)
    _add_image_sums(values, sums)
    return sums


def pair_images(pairs: IntArray, n_cond: int) -> tuple[IntArray, IntArray]:
    """Return the two images (i < j) of each pair, given by its index in the condensed vector."""
    starts = np.arange(n_cond - 1, dtype=np.int64)
    starts = starts * (2 * n_cond - starts - 1) // 2
    first = np.searchsorted(starts, pairs, side="right") - 1
    return first, pairs - starts[first] + first + 1


def images_touched(missing: IntArray, n_cond: int) -> int:
    """Images that have at least one pair left when the `missing` ones are taken away."""
    if not len(missing):
        return n_cond
    counts = np.bincount(np.concatenate(pair_images(missing, n_cond)), minlength=n_cond)
    return int((counts < n_cond - 1).sum())


def complete_images(missing: IntArray, n_cond: int) -> BoolArray:
    """Images left when the one with the most missing pairs is dropped until none is missing.

    Returns
    -------
    ndarray of bool, shape (n_cond,)
        True for the images that stay.
    """
    keep = np.ones(n_cond, dtype=bool)
    if not len(missing):
        return keep
    square = np.zeros((n_cond, n_cond), dtype=bool)
    square[pair_images(missing, n_cond)] = True
    square |= square.T
    counts = square.sum(axis=1)
    while counts.any():
        worst = int(counts.argmax())
        keep[worst] = False
        counts -= square[worst]
        counts[worst] = 0
        square[:, worst] = False
    return keep


def kept_pairs(keep: BoolArray) -> BoolArray:
    """Mask of shape (n_pairs,) of the pairs whose two images are both kept."""
    return np.concatenate([keep[i + 1 :] & kept for i, kept in enumerate(keep)])
