"""Taking the pairs of chosen images out of a condensed row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, count_pairs

__all__ = ["PairGather"]


class PairGather:
    """Takes the pairs of chosen images from a condensed row, in a chosen order.

    The index of every pair is made once and serves all rows of a file; no square is built. Memory:
    4 bytes a pair taken (8 beyond 92 681 images).

    Parameters
    ----------
    positions : ndarray of int, shape (n_common,)
        Indices of the chosen images in the row.
    n_cond : int
        Images in the row.
    """

    def __init__(self, positions: NDArray[np.intp], n_cond: int) -> None:
        small = count_pairs(n_cond) <= np.iinfo(np.uint32).max
        self._index = np.empty(count_pairs(len(positions)), np.uint32 if small else np.int64)
        # Pair (p < q) lies at base[p] + q.
        base = np.arange(n_cond, dtype=np.int64)
        base = base * (2 * n_cond - base - 3) // 2 - 1
        _fill_index(positions.astype(np.int64), base, self._index)

    def __call__(self, row: FloatArray) -> FloatArray:
        """Return the condensed RDM of the chosen images, in their order and memory of its own."""
        out = np.empty(len(self._index))
        _gather(row, self._index, out)
        return out


@compiled
def _fill_index(positions: NDArray[np.int64], base: NDArray[np.int64], index: NDArray) -> None:  # type: ignore[type-arg]
    k = 0
    for i in range(positions.shape[0] - 1):
        p = positions[i]
        for j in range(i + 1, positions.shape[0]):
            q = positions[j]
            index[k] = base[min(p, q)] + max(p, q)
            k += 1


@compiled
def _gather(row: FloatArray, index: NDArray, out: FloatArray) -> None:  # type: ignore[type-arg]
    for k in range(index.shape[0]):
        out[k] = row[index[k]]
