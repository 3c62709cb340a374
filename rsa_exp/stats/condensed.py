"""The condensed form of an RDM: its upper triangle, row by row, without the diagonal."""

from collections.abc import Iterator
from math import isqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "count_pairs", "image_sums", "incident_pairs", "n_cond_of"]

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]


def count_pairs(n_cond: int) -> int:
    """Pairs of `n_cond` images: ``n_cond (n_cond - 1) / 2``."""
    return n_cond * (n_cond - 1) // 2


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


def _rows(n_cond: int) -> Iterator[tuple[int, int, int]]:
    """Yield (image i, start, stop) of the entries (i, i+1), ..., (i, n-1) of a condensed vector."""
    start = 0
    for i in range(n_cond - 1):
        stop = start + n_cond - 1 - i
        yield i, start, stop
        start = stop


def image_sums(rdms: FloatArray) -> FloatArray:
    """Sum of each image's dissimilarities to all other images.

    Parameters
    ----------
    rdms : ndarray of shape (n_rdm, n_pairs)
        Condensed RDMs without NaN.

    Returns
    -------
    ndarray of shape (n_rdm, n_cond)
        Row sums of the square RDMs, without building the squares.
    """
    n_cond = n_cond_of(rdms.shape[1])
    sums = np.zeros((len(rdms), n_cond))
    for i, start, stop in _rows(n_cond):
        block = rdms[:, start:stop]
        sums[:, i] += block.sum(axis=1)
        sums[:, i + 1 :] += block
    return sums


def incident_pairs(keep: BoolArray) -> BoolArray:
    """Mask of the pairs whose two images are both kept.

    Parameters
    ----------
    keep : ndarray of bool, shape (n_cond,)
        Images that stay.

    Returns
    -------
    ndarray of bool, shape (n_pairs,)
        True where both images of the pair stay.
    """
    mask = np.empty(count_pairs(len(keep)), dtype=bool)
    for i, start, stop in _rows(len(keep)):
        mask[start:stop] = keep[i + 1 :] & keep[i]
    return mask
