"""Sums over pairs of images under many weightings of the images, as matrix products.

A bootstrap draw that contains image i w_i times gives the pair i < j the weight ``w_i w_j`` (pairs
of copies of one image drop out). A sum over pairs of any entry-by-entry product z of RDMs is then
the quadratic form ``w'Zw / 2``, and many draws are one matrix product. With ``w = c + u``::

    sum_{i<j} w_i w_j z_ij  =  c^2 T  +  c R'u  +  sum_{i<j} u_i u_j z_ij

with T the plain sum and R the image sums of z, both in double precision. Only the last term needs
the matrix product (`rsa_exp.stats.panels`). For centred RDMs it is smaller than the whole by the
number of images, so for many images it is multiplied in single precision at no loss: what it adds
to a correlation stays below 1e-9 (see ``tests/stats/test_bootstrap.py``).

The sums of a product under a weighting have bits that depend on its factors and on that weighting
alone: not on what else is summed, nor on the number of cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.panels import DEPTH, ROWS, columns_of, multiply, pack
from rsa_exp.stats.parallel import in_order

__all__ = ["Columns", "Factors", "PairSums", "pair_sums", "working_type"]

# Images whose rows are one task of a thread, in panels of 12, and products of one task.
_TASK = 4 * ROWS
_GROUP = 16
# From this many images on the quadratic term is multiplied in single precision.
_SINGLE_FROM = 2000

Factors = NDArray[Any]
Products = NDArray[np.int64]


def working_type(n_cond: int) -> type:
    """Type in which products of RDMs of so many images are multiplied."""
    return np.float32 if n_cond >= _SINGLE_FROM else np.float64


@dataclass(frozen=True)
class Columns:
    """Weightings of the images, one a column: ``w = centre + deviation``.

    Attributes
    ----------
    centre : ndarray of shape (n_column,)
        About the mean weight: 1 for bootstrap draws, 1/2 for halves.
    deviation : ndarray of shape (n_cond, n_column)
        Weight less centre, in the working type, which represents small integers and halves exactly.
    """

    centre: FloatArray
    deviation: NDArray[Any]

    @classmethod
    def of(cls, weights: NDArray[Any], centre: float) -> Columns:
        """Split weights of shape (n_cond, n_column) into centre and deviation."""
        dtype = working_type(len(weights))
        deviation: NDArray[Any] = np.array(weights, dtype=dtype, order="C")
        deviation -= dtype(centre)
        return cls(np.full(weights.shape[1], centre), deviation)

    def join(self, other: Columns) -> Columns:
        """Append another set of columns."""
        return Columns(
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.deviation, other.deviation], axis=1),
        )

    @property
    def totals(self) -> FloatArray:
        """Sum of the weights of each column."""
        drawn = self.deviation.sum(axis=0, dtype=np.float64)
        return np.asarray(len(self.deviation) * self.centre + drawn)

    @cached_property
    def panels(self) -> NDArray[Any]:
        """Deviations side by side, of shape (n_panel, n_cond, width)."""
        return pack(self.deviation.T, columns_of(self.deviation.dtype))


@dataclass(frozen=True)
class PairSums:
    """Sums over pairs i < j of several products of RDMs.

    Attributes
    ----------
    total : ndarray of shape (n_product,)
        Every pair once.
    by_image : ndarray of shape (n_product, n_cond)
        Over the pairs of each image.
    weighted : ndarray of shape (n_product, n_column)
        Pair i < j with the weight w_i w_j.
    """

    total: FloatArray
    by_image: FloatArray
    weighted: FloatArray

    @property
    def without_image(self) -> FloatArray:
        """Sums without one image each, of shape (n_product, n_cond)."""
        return self.total[:, None] - self.by_image

    @classmethod
    def stack(cls, parts: Sequence[PairSums]) -> PairSums:
        """Join sums of different products."""
        columns = ([getattr(part, name) for part in parts] for name in vars(parts[0]))
        return cls(*map(np.concatenate, columns))

    @classmethod
    def of_ones(cls, columns: Columns) -> PairSums:
        """Sum the RDM that is 1 everywhere, in closed form: how many pairs there are."""
        n_cond = len(columns.deviation)
        total = columns.totals
        square = np.einsum("ik,ik->k", columns.deviation, columns.deviation, dtype=np.float64)
        square += columns.centre * (2 * total - n_cond * columns.centre)
        pairs = (total**2 - square) / 2
        return cls(
            np.array([n_cond * (n_cond - 1) / 2]), np.full((1, n_cond), n_cond - 1.0), pairs[None]
        )


@compiled
def _form(
    factors: Factors,
    product: Products,
    start: int,
    rows: NDArray[Any],
    panel: NDArray[Any],
    by_image: FloatArray,
) -> None:
    """Multiply factors entry by entry and put rows from `start` on side by side in `panel`.

    `panel` has shape (n_cond - start, ROWS), with zeros up to the diagonal; `rows` is room for it.
    Image sums, of the images from `start` on, are added to `by_image`.
    """
    length = panel.shape[0]
    n_cond = start + length
    a, b, c = product
    for r in range(min(ROWS, length)):
        i = start + r
        n_right = length - 1 - r
        first = i * (2 * n_cond - i - 1) // 2
        last = first + n_right
        right, one = rows[r, r + 1 : length], factors[a, first:last]
        if b >= 0:
            second = factors[b, first:last]
            for k in range(n_right):
                right[k] = one[k] * second[k]
        else:
            for k in range(n_right):
                right[k] = one[k]
        if c >= 0:
            third = factors[c, first:last]
            for k in range(n_right):
                right[k] *= third[k]
        sums = by_image[r + 1 :]
        total = 0.0
        for k in range(n_right):
            total += right[k]
            sums[k] += right[k]
        by_image[r] += total
    for k in range(length):
        for r in range(ROWS):
            panel[k, r] = rows[r, k]


@compiled
def _add_sums(
    factors: Factors,
    products: Products,
    panels: NDArray[Any],
    first: int,
    last: int,
    by_image: FloatArray,
    weighted: FloatArray,
) -> None:
    """Add what the rows of some images contribute to image sums, and to the quadratic terms."""
    n_product, width, n_cond = products.shape[0], panels.shape[2], panels.shape[1]
    formed = np.empty((n_product, n_cond - first, ROWS), dtype=factors.dtype)
    rows = np.zeros((ROWS, n_cond - first), dtype=factors.dtype)
    multiplied = np.empty((ROWS, width), dtype=factors.dtype)
    for start in range(first, last, ROWS):
        length = n_cond - start
        rows[:, :] = 0
        for m in range(n_product):
            panel = formed[m]
            _form(factors, products[m], start, rows, panel[:length], by_image[m, start - first :])
        for p in range(panels.shape[0]):
            deviation = panels[p]
            deviation = deviation[start:]
            for depth in range(0, length, DEPTH):
                to = min(depth + DEPTH, length)
                for m in range(n_product):
                    panel = formed[m]
                    multiply(panel[depth:to], deviation[depth:to], multiplied)
                    sums = weighted[m, p * width : (p + 1) * width]
                    for r in range(min(ROWS, length)):
                        for k in range(width):
                            sums[k] += multiplied[r, k] * deviation[r, k]


@compiled
def _add_linear(by_image: FloatArray, panels: NDArray[Any], linear: FloatArray) -> None:
    """Sum image sums times deviations, in double precision."""
    width = panels.shape[2]
    for p in range(panels.shape[0]):
        for i in range(panels.shape[1]):
            for m in range(by_image.shape[0]):
                for k in range(width):
                    linear[m, p * width + k] += by_image[m, i] * panels[p, i, k]


def pair_sums(
    factors: Factors,
    products: Sequence[tuple[int, ...]],
    columns: Columns,
) -> PairSums:
    """Sum products of RDMs over pairs under each weighting, on all cores.

    Held at a time by each core: 16 products of 12 rows of images.

    Parameters
    ----------
    factors : ndarray of shape (n_factor, n_pairs)
        Condensed RDMs in the working type, 0 where a pair is missing.
    products : sequence of tuple of int
        Each one to three indices into `factors`.
    columns : Columns
        Weightings of the images.

    Returns
    -------
    PairSums
        The same bits for any number of threads.
    """
    n_cond = len(columns.deviation)
    table = np.full((len(products), 3), -1, dtype=np.int64)
    for index, product in enumerate(products):
        table[index, : len(product)] = product
    tasks = [
        (start, group)
        for start in range(0, n_cond - 1, _TASK)
        for group in range(0, len(products), _GROUP)
    ]
    n_column, padded = len(columns.centre), columns.panels.shape[0] * columns.panels.shape[2]
    by_image = np.zeros((len(products), n_cond))
    weighted = np.zeros((len(products), padded))

    def work(task: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        start, group = task
        members = table[group : group + _GROUP]
        sums = np.zeros((len(members), n_cond - start))
        quadratic = np.zeros((len(members), padded))
        last = min(start + _TASK, n_cond)
        _add_sums(factors, members, columns.panels, start, last, sums, quadratic)
        return sums, quadratic

    for (start, group), (sums, quadratic) in zip(tasks, in_order(work, tasks), strict=True):
        members = slice(group, group + _GROUP)
        by_image[members, start:] += sums
        weighted[members] += quadratic
    linear = np.zeros(weighted.shape)
    _add_linear(by_image, columns.panels, linear)
    total = by_image.sum(axis=1) / 2
    weighted = weighted[:, :n_column] + columns.centre * linear[:, :n_column]
    weighted += np.outer(total, columns.centre**2)
    return PairSums(total, by_image, weighted)
