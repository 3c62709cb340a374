"""RDMs as bilinear forms of points, so that sums over pairs of images need no pair.

With a_i an image's squared length, a point's own dimensions x_i, and S their signs::

    d_ij  =  a_i + a_j - 2 x_i' S x_j  =  u_i' K u_j,    u_i = (x_i, a_i - level, 1),

and the same with d - mean, which only changes one entry of K. On the diagonal d is 0, and
``u_i' K u_i`` is -mean. For two RDMs with forms K and L, weights w, Q the sum of w^2, and
``M = U' diag(w) V``, all sums over pairs follow from M, which is linear in the number of images::

    sum_{i,j != i} w_i w_j x_ij y_ij  =  tr(K M L M') - Q mean_x mean_y
    sum_{j != i} w_j x_ij y_ij        =  u_i' (K M L) v_i - w_i mean_x mean_y
    sum_{j != i} w_j x_ij             =  u_i' K U'w + w_i mean_x

Points are moved to about their centre and scaled first, which changes no correlation or cosine and
keeps the digits that subtracting would lose.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.points.points import Points

__all__ = ["Form", "Piece", "block_starts", "pieces_of"]

# Images read at a time, fewer where that would be more than so many bytes. The order of all sums,
# and so their last bits, depends on it.
_IMAGES = 512
_BYTES = 1 << 26
# Images whose centre stands for that of all, in so many runs of neighbours.
_SAMPLE = 2048
_RUNS = 8
# What is left of lengths after moving points, below this share of what they were, is rounding.
_ROUNDING = 1e-24


class Form:
    """An RDM of points as ``u_i' K u_j``, with u of `width` entries, two more than dimensions.

    Parameters
    ----------
    points : Points
        Read in part here: where the points are about, and how far apart.
    """

    def __init__(self, points: Points) -> None:
        self.n_cond, self.n_dim, self.width = points.n_cond, points.n_dim, points.n_dim + 2
        self._points, self._signs = points, points.signs
        ones = np.ones(self.n_dim)
        self._diagonal = -2 * (ones if points.signs is None else np.asarray(points.signs))
        length = min(self.n_cond, _SAMPLE)
        starts: list[int] = [0]
        if length < self.n_cond:
            length = _SAMPLE // _RUNS
            starts = np.linspace(0, self.n_cond - length, _RUNS).astype(int).tolist()
        sample = np.concatenate([points.read(start, start + length) for start in starts])
        self._centre = sample.mean(axis=0, dtype=np.float64)
        self._scale, self._level = 1.0, 0.0
        raw = float(np.einsum("ij,ij->", sample, sample, dtype=np.float64))
        sample = sample - self._centre
        square = max(float(np.einsum("ij,ij->", sample, sample)), _ROUNDING * raw) / len(sample)
        if square > 0:
            self._scale = square**-0.5
        self._level = float(self._squares(sample * self._scale).mean())

    def _squares(self, values: FloatArray) -> FloatArray:
        if self._signs is None:
            return np.asarray(np.einsum("ij,ij->i", values, values))
        return np.asarray(np.einsum("ij,ij,j->i", values, values, self._signs))

    def read(self, start: int, stop: int) -> FloatArray:
        """Return u of images `start` to `stop`, shape (stop - start, width)."""
        vectors = np.empty((stop - start, self.width))
        values = vectors[:, : self.n_dim]
        np.subtract(self._points.read(start, stop), self._centre, out=values)
        values *= self._scale
        np.subtract(self._squares(values), self._level, out=vectors[:, -2])
        vectors[:, -1] = 1
        return vectors

    def apply(self, rows: NDArray[Any], mean: float | FloatArray, start: int = 0) -> FloatArray:
        """Multiply K with a matrix.

        Parameters
        ----------
        rows : ndarray of shape (n_row, n_column)
            The matrix's rows from `start` on: its last two, or none of them, are among these.
        mean : float or ndarray of shape (n_column,)
            What is subtracted from all dissimilarities, for each column.
        start : int
            Of the rows.

        Returns
        -------
        ndarray of shape (n_row, n_column)
            The same rows of the product.
        """
        result = np.empty(rows.shape)
        n_dim = min(self.n_dim - start, len(rows))
        diagonal = self._diagonal[start : start + n_dim, None]
        np.multiply(rows[:n_dim], diagonal, out=result[:n_dim])
        if len(rows) > n_dim:
            result[-2] = rows[-1]
            result[-1] = rows[-2] + (2 * self._level - mean) * rows[-1]
        return result

    def total(self, sums: FloatArray, mean: float | FloatArray = 0.0) -> FloatArray:
        """Sum ``w_i w_j u_i' K u_j`` over all i and j, given `sums` ``U'w``, (width, n_column)."""
        return np.asarray(np.einsum("ik,ik->k", sums, self.apply(sums, mean)))


class Piece(NamedTuple):
    """Neighbouring columns of the u of one form: the last two are never apart."""

    form: int
    start: int
    stop: int


def pieces_of(index: int, form: Form, most: int) -> list[Piece]:
    """Cut a form's columns into pieces of about `most`."""
    starts = list(range(0, form.n_dim, most))
    return [Piece(index, *ends) for ends in zip(starts, [*starts[1:], form.width], strict=True)]


def block_starts(n_cond: int, width: int) -> range:
    """First images of the blocks in which vectors of so many entries are read; the step is theirs.

    They depend on nothing else, so that sums have the same bits for any number of cores.
    """
    return range(0, n_cond, max(1, min(_IMAGES, _BYTES // (8 * width))))
