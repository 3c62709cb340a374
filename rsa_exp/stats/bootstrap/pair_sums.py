"""Sums over pairs of images under many weightings of the images, as matrix products.

A bootstrap draw that contains image i w_i times gives the pair i < j the weight ``w_i w_j`` (pairs
of copies of one image drop out). A sum over pairs of any entry-by-entry product z of RDMs is then
the quadratic form ``w'Zw / 2``, and many draws are one matrix product. With ``w = c + u``::

    sum_{i<j} w_i w_j z_ij  =  c^2 T  +  c R'u  +  sum_{i<j} u_i u_j z_ij

with T the plain sum and R the image sums of z, both in double precision. Only the last term needs
the matrix product. For centred RDMs it is smaller than the whole by the number of images, so for
many images it is multiplied in single precision at no loss: what it adds to a correlation stays
below 1e-9 (see ``tests/stats/test_bootstrap.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.parallel import in_order, one_blas_thread

__all__ = ["Columns", "Factors", "PairSums", "pair_sums", "working_type"]

# Images per panel of rows: fixed, since the order of summation depends on it.
PANEL = 32
# Products of one panel: with more, they are formed and multiplied a group at a time.
_GROUP = 32
# Columns multiplied at a time.
_TILE = 1024
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
    def tiles(self) -> Iterator[slice]:
        """Slices of columns that are multiplied at a time."""
        for start in range(0, len(self.centre), _TILE):
            yield slice(start, min(start + _TILE, len(self.centre)))


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
        deviation = columns.deviation.sum(axis=0, dtype=np.float64)
        square = np.einsum("ik,ik->k", columns.deviation, columns.deviation, dtype=np.float64)
        total = n_cond * columns.centre + deviation
        square += columns.centre * (total + deviation)
        pairs = (total**2 - square) / 2
        return cls(
            np.array([n_cond * (n_cond - 1) / 2]), np.full((1, n_cond), n_cond - 1.0), pairs[None]
        )


@compiled
def _form(
    factors: Factors, products: Products, start: int, out: NDArray[Any], by_image: FloatArray
) -> None:
    """Multiply factors entry by entry: rows from `start` on, zeros left of the upper triangle.

    `out` has shape (n_product, n_row, n_cond - start). Image sums, of the images from `start` on,
    go to `by_image`.
    """
    n_product, n_row, width = out.shape
    n_cond = start + width
    for m in range(n_product):
        a, b, c = products[m, 0], products[m, 1], products[m, 2]
        for r in range(n_row):
            i = start + r
            n_right = n_cond - 1 - i
            first = i * (2 * n_cond - i - 1) // 2
            last = first + n_right
            out[m, r, : r + 1] = 0
            right = out[m, r, r + 1 :]
            right[:] = factors[a, first:last]
            if b >= 0:
                second = factors[b, first:last]
                for k in range(n_right):
                    right[k] *= second[k]
            if c >= 0:
                third = factors[c, first:last]
                for k in range(n_right):
                    right[k] *= third[k]
            sums = by_image[m, r + 1 :]
            total = 0.0
            for k in range(n_right):
                total += right[k]
                sums[k] += right[k]
            by_image[m, r] += total


@compiled
def _add_weighted(values: NDArray[Any], deviation: NDArray[Any], sums: FloatArray) -> None:
    """Add ``sum_r deviation[r] * values[m, r]`` to `sums` for each product m."""
    n_product, n_row, n_column = values.shape
    for m in range(n_product):
        for r in range(n_row):
            for k in range(n_column):
                sums[m, k] += values[m, r, k] * deviation[r, k]


def pair_sums(
    factors: Factors,
    products: Sequence[tuple[int, ...]],
    columns: Columns,
) -> PairSums:
    """Sum products of RDMs over pairs under each weighting, on all cores.

    Held at a time by each core: the products of 32 rows of images, and their product with 1024
    columns.

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
        for start in range(0, n_cond - 1, PANEL)
        for group in range(0, len(products), _GROUP)
    ]
    by_image = np.zeros((len(products), n_cond))
    weighted = np.zeros((len(products), len(columns.centre)))
    work = partial(_panel, factors, table, columns)
    for (start, group), (sums, quadratic) in zip(tasks, in_order(work, tasks), strict=True):
        members = slice(group, group + _GROUP)
        by_image[members, start:] += sums
        weighted[members] += quadratic
    total = by_image.sum(axis=1) / 2
    with one_blas_thread():
        for tile in columns.tiles:
            linear = by_image @ columns.deviation[:, tile].astype(np.float64)
            weighted[:, tile] += columns.centre[tile] * linear
    weighted += np.outer(total, columns.centre**2)
    return PairSums(total, by_image, weighted)


def _panel(
    factors: Factors, table: Products, columns: Columns, task: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Image sums, and quadratic terms of each column, that one panel of rows adds."""
    start, group = task
    products = table[group : group + _GROUP]
    n_cond, n_column = columns.deviation.shape
    n_row = min(PANEL, n_cond - start)
    formed = np.empty((len(products), n_row, n_cond - start), dtype=factors.dtype)
    by_image = np.zeros((len(products), n_cond - start))
    _form(factors, products, start, formed, by_image)
    quadratic = np.zeros((len(products), n_column))
    for tile in columns.tiles:
        rows = columns.deviation[start:, tile]
        multiplied = formed.reshape(-1, n_cond - start) @ rows
        shape = (len(products), n_row, rows.shape[1])
        _add_weighted(multiplied.reshape(shape), rows[:n_row], quadratic[:, tile])
    return by_image, quadratic
