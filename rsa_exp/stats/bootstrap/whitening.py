"""The term that whitening subtracts from a sum over pairs, under many weightings of the images.

With ``V = 2 I + M M'`` (M the pairs-by-images incidence matrix of a draw, in which copies of an
image are images of their own) and the image sums ``a = Xw``, ``b = Yw``, Woodbury and
Sherman-Morrison give::

    2 x' V^-1 y  =  sum_{i<j} w_i w_j x_ij y_ij  -  (w a)' s,    (diag(d) + 1 w') s = b,

with ``d = 2 + N - 2 w`` and N the sum of w (Diedrichsen et al. 2021). What is subtracted is a sum
over images alone: ``sum w a b / d  -  (sum w a / d) (sum w b / d) / (1 + sum w / d)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.pair_sums import Columns, Factors
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, IntArray
from rsa_exp.stats.panels import ROWS, columns_of, inner_products, pack
from rsa_exp.stats.parallel import in_order

__all__ = ["image_terms"]

# Images whose rows are one task of a thread.
_TASK = 4 * ROWS


@compiled
def _rows(factors: Factors, start: int, out: NDArray[Any]) -> None:
    """Whole rows of RDMs as squares, from `start` on; `out` is (n_factor, n_row, n_cond)."""
    n_factor, n_row, n_cond = out.shape
    for f in range(n_factor):
        for j in range(start):
            first = j * (2 * n_cond - j - 1) // 2 + start - j - 1
            for r in range(n_row):
                out[f, r, j] = factors[f, first + r]
        for r in range(n_row):
            i = start + r
            out[f, r, i] = 0
            first = i * (2 * n_cond - i - 1) // 2
            for k in range(n_cond - 1 - i):
                out[f, r, i + 1 + k] = factors[f, first + k]
                if i + 1 + k < start + n_row:
                    out[f, i + 1 + k - start, i] = factors[f, first + k]


@compiled
def _add_terms(
    sums: NDArray[Any],
    share: FloatArray,
    pairs: IntArray,
    products: FloatArray,
    singles: FloatArray,
) -> None:
    """Add some images' ``share a b`` to `products` and ``share a`` to `singles`.

    `sums` are the image sums a, of shape (n_factor, n_row, n_column); `share` is w / d, of shape
    (n_row, n_column).
    """
    n_factor, n_row, n_column = sums.shape
    for r in range(n_row):
        for f in range(n_factor):
            for k in range(n_column):
                singles[f, k] += share[r, k] * sums[f, r, k]
        for p in range(pairs.shape[0]):
            a, b = pairs[p, 0], pairs[p, 1]
            for k in range(n_column):
                products[p, k] += share[r, k] * sums[a, r, k] * sums[b, r, k]


def image_terms(
    factors: Factors,
    named: Sequence[tuple[int, ...]],
    by_image: FloatArray,
    columns: Columns,
) -> tuple[FloatArray, FloatArray]:
    """Sum the terms that whitening subtracts from sums over complete RDMs, on all cores.

    Parameters
    ----------
    factors, columns
        As in `pair_sums`; no pair is missing.
    named : sequence of tuple of int
        Products of none (which is 1), one or two factors.
    by_image : ndarray of shape (n_product, n_cond)
        Sums of those products over the pairs of each image.

    Returns
    -------
    weighted : ndarray of shape (n_product, n_column)
        To be subtracted from the sums under each column's weights.
    without_image : ndarray of shape (n_product, n_cond)
        To be subtracted from the sums with each image left out in turn.
    """
    n_factor, n_cond = len(factors), by_image.shape[1]
    # The RDM of ones is one more factor.
    pairs = np.array([(*name, n_factor, n_factor)[:2] for name in named], dtype=np.int64)
    indices = {name: index for index, name in enumerate(named)}
    alone = [indices[(factor,)] for factor in range(n_factor)]
    plain = by_image[[*alone, indices[()]]]
    n_column = len(columns.centre)
    products = np.zeros((len(named), n_column))
    singles = np.zeros((n_factor + 1, n_column))
    even = np.zeros(n_column)
    lone = np.full((n_factor + 1, n_column), np.nan)
    crossed = np.empty((n_factor + 1, n_factor + 1, n_cond))  # X_f (X_g 1), by image
    work = partial(_panel, factors, plain, columns, pairs)
    starts = range(0, n_cond, _TASK)
    for start, part in zip(starts, in_order(work, starts), strict=True):
        for total, added in zip((products, singles, even), part[:3], strict=True):
            total += added
        found = np.isfinite(part[3][0])
        lone[:, found] = part[3][:, found]
        crossed[:n_factor, :, start : start + _TASK] = part[4]
    crossed[n_factor] = plain.sum(axis=1)[:, None] - plain
    a, b = pairs.T
    weighted = products - singles[a] * singles[b] / (1 + even)
    # Where d of one image is 0, its row of the system says w's = b, and the others follow.
    k = np.isfinite(lone[0])
    x, y = lone[a][:, k], lone[b][:, k]
    weighted[:, k] = products[:, k] - x * singles[b][:, k] - y * singles[a][:, k]
    weighted[:, k] += x * y * (1 + even[k])
    return weighted, _without_image(by_image, plain, pairs, crossed)


def _panel(
    factors: Factors, plain: FloatArray, columns: Columns, pairs: IntArray, start: int
) -> tuple[FloatArray, ...]:
    """Products, singles, even terms, sums of the image whose d is 0 (else NaN), and crossed."""
    n_factor, (n_cond, n_column) = len(factors), columns.deviation.shape
    rows = slice(start, min(start + _TASK, n_cond))
    n_row = rows.stop - start
    squares = np.empty((n_factor, n_row, n_cond), dtype=factors.dtype)
    _rows(factors, start, squares)
    flat = squares.reshape(-1, n_cond)
    alone = pack(plain, columns_of(plain.dtype))
    crossed = inner_products(flat.astype(np.float64), alone)[:, : len(plain)]
    crossed = crossed.reshape(n_factor, n_row, -1)
    products, singles = np.zeros((len(pairs), n_column)), np.zeros((n_factor + 1, n_column))
    even, lone = np.zeros(n_column), np.full((n_factor + 1, n_column), np.nan)
    deviation, centre = columns.deviation[rows], columns.centre
    total = columns.totals
    weights = centre + deviation
    diagonal = 2 + total - 2 * weights
    # An image that makes up half of a draw and one more: at most one in a column.
    rows_of_lone, columns_of_lone = np.nonzero(diagonal == 0)
    diagonal[rows_of_lone, columns_of_lone] = np.inf
    share = weights / diagonal
    sums = np.empty((n_factor + 1, n_row, n_column))
    sums[:-1] = inner_products(flat, columns.panels)[:, :n_column].reshape(n_factor, n_row, -1)
    sums[:-1] += centre * plain[:-1, rows, None]
    sums[-1] = total - weights
    lone[:, columns_of_lone] = sums[:, rows_of_lone, columns_of_lone]
    _add_terms(sums, share, pairs, products, singles)
    even += share.sum(axis=0)
    return products, singles, even, lone, crossed.transpose(0, 2, 1)


def _without_image(
    by_image: FloatArray, plain: FloatArray, pairs: IntArray, crossed: FloatArray
) -> FloatArray:
    """Terms without one image each: all others have weight 1, and ``d = n - 1`` for each."""
    n_cond = plain.shape[1]
    a, b = pairs.T
    # Every other image's sums less its pair with the one left out, multiplied out.
    product = (plain[a] * plain[b]).sum(axis=1, keepdims=True) - plain[a] * plain[b]
    product += by_image - crossed[a, b] - crossed[b, a]
    single = plain.sum(axis=1, keepdims=True) - 2 * plain
    return np.asarray((product - single[a] * single[b] / (2 * (n_cond - 1))) / (n_cond - 1))
