"""Scores after permuting the images of the model: the null distribution of a permutation test.

Rows and columns are permuted together, never single pairs (Kriegeskorte, Mur & Bandettini 2008,
Front. Syst. Neurosci. 2:4). Brain RDMs are permuted by the rows and layers by the columns of
`Permutations`, a few thousand pairs at a time, and multiplied all with all while in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.pair_sums import working_type
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, count_pairs
from rsa_exp.stats.draws import Permutations
from rsa_exp.stats.metrics.inner_products import Vector
from rsa_exp.stats.metrics.ranks import Ranks
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import PresentPairs
from rsa_exp.stats.panels import ROWS, add_products, columns_of, inner_products, pack
from rsa_exp.stats.parallel import Progress, ignore, in_order

__all__ = ["PermutedModels", "square_bytes"]

# Pairs multiplied at a time, about: so many stay in the cache.
_PAIRS = 2048
# What the largest entry of an RDM becomes where 16 bits hold it.
_LARGEST = 32767
# Images whose pairs are one task of a thread.
_TASK = 32


@dataclass(frozen=True)
class _Unit:
    """A complete RDM as a vector whose inner products with others are scores.

    Of mean square about 1, in double precision; all NaN where scores are undefined. For whitened
    metrics also image sums, and the solution of ``(2 I + M'M) x = sums``.
    """

    values: FloatArray
    sums: FloatArray | None = None
    solved: FloatArray | None = None


def _unit_vector(vector: Vector) -> _Unit:
    """Scale a prepared, complete RDM of an inner-product metric."""
    n_pairs = len(vector.values)
    norm = vector.square if vector.square > 0 else np.nan
    solved = None
    if vector.sums is not None:
        none: IntArray = np.empty(0, dtype=np.int64)
        solved = PresentPairs(none, vector.n_cond).solve(vector.sums)
        norm -= float(vector.sums @ solved)
    scale = sqrt(n_pairs / norm) if norm > 0 else np.nan
    values = vector.values
    values *= scale
    if vector.sums is None or solved is None:
        return _Unit(values)
    return _Unit(values, vector.sums * scale, solved * scale)


def _unit_ranks(ranks: Ranks, *, divide_by_all: bool) -> _Unit:
    """Scale an RDM's centred ranks: for Spearman's rho by their own norm, for rho-a by the most."""
    n_pairs = len(ranks.codes)
    square = (float(n_pairs) ** 3 - n_pairs) / 12 if divide_by_all else ranks.square
    # Codes are twice the midrank.
    scale = sqrt(n_pairs / square) / 2 if ranks.square > 0 else np.nan
    values = ranks.codes - np.float64(n_pairs + 1)
    values *= scale
    return _Unit(values)


def _unit_of(metric: Metric, rdm: Rdm) -> _Unit:
    """Turn a complete RDM, which is overwritten, into the vector that a metric compares."""
    prepared = metric.prepare(rdm, np.float64)
    if metric.bootstrap == "weights":
        return _unit_vector(prepared)
    return _unit_ranks(prepared, divide_by_all=metric.name == "rho-a")


def _mean_unit(
    metric: Metric, members: Sequence[Callable[[], Rdm]]
) -> tuple[FloatArray, FloatArray | None]:
    """Mean of several RDMs' vectors and image sums: its scores are the means of theirs."""
    first = _unit_of(metric, members[0]())
    values, sums = first.values, first.sums
    for read in members[1:]:
        unit = _unit_of(metric, read())
        values += unit.values
        if sums is not None and unit.sums is not None:
            sums += unit.sums
    values /= len(members)
    return values, sums if sums is None else sums / len(members)


def _unit_of_layer(metric: Metric, read: Callable[[], Rdm]) -> tuple[FloatArray, FloatArray | None]:
    """Vector of a layer, and the solution for its image sums."""
    unit = _unit_of(metric, read())
    return unit.values, unit.solved


@compiled
def _fill_square(values: FloatArray, square: NDArray[Any]) -> None:
    index = 0
    for i in range(len(square)):
        square[i, i] = 0
        for j in range(i + 1, len(square)):
            square[i, j] = square[j, i] = values[index]
            index += 1


def square_bytes(n_cond: int) -> int:
    """Memory for an RDM that is permuted: 2 bytes an entry from 2000 images on, else 8."""
    return n_cond**2 * _square_type(n_cond).itemsize


def _square_type(n_cond: int) -> np.dtype[Any]:
    return np.dtype(np.int16 if working_type(n_cond) is np.float32 else np.float64)


@dataclass(frozen=True)
class _Permuted:
    """RDMs, and the permutations of images under which they are read.

    Attributes
    ----------
    squares : ndarray of shape (n_rdm, n_cond, n_cond)
        In double precision; from 2000 images on in 16 bits, which changes scores by less than 1e-6
        (1e-5 where one pair outweighs all others together), the unpermuted one like the others.
    scales : ndarray of shape (n_rdm,)
        What the RDMs in `squares` were multiplied by; NaN where scores are undefined.
    terms : ndarray of shape (n_rdm, n_cond)
        Image sums, or the solutions; n_cond is 0 for metrics that are not whitened.
    orders : ndarray of uint, shape (n_order, n_cond + n_cond // 2)
        Permutations, each followed by its own first half: in a circle, each image has the same
        number of images that follow it.
    """

    squares: NDArray[Any]
    scales: FloatArray
    terms: FloatArray
    orders: NDArray[Any]

    @classmethod
    def of(
        cls, units: Sequence[Callable[[], tuple[FloatArray, FloatArray | None]]], orders: IntArray
    ) -> _Permuted:
        """Lay vectors, with their terms, out on all cores."""
        n_cond = orders.shape[1]
        dtype = _square_type(n_cond)
        squares: NDArray[Any] = np.empty((len(units), n_cond, n_cond), dtype=dtype)

        def lay_out(index: int) -> tuple[float, FloatArray]:
            values, terms = units[index]()
            largest = max(float(values.max()), -float(values.min()))
            whole = _LARGEST if dtype == np.int16 else largest
            scale = whole / largest if largest > 0 else np.nan
            if dtype == np.int16:
                values *= scale
                np.nan_to_num(np.rint(values, out=values), copy=False)
            _fill_square(values, squares[index])
            return scale, np.empty(0) if terms is None else terms

        scales, terms = zip(*in_order(lay_out, range(len(units))), strict=True)
        # The smaller an index is, the faster, and it cannot be negative.
        small = np.uint16 if n_cond <= np.iinfo(np.uint16).max else np.uint32
        circles = np.concatenate([orders, orders[:, : n_cond // 2]], axis=1).astype(small)
        return cls(squares, np.array(scales), np.stack(terms), circles)

    def permuted_terms(self) -> FloatArray:
        """Terms in every order, of shape (n_order * n_rdm, n_cond)."""
        n_cond = self.terms.shape[1]
        permuted = self.terms[:, self.orders[:, :n_cond]] * self.scales[:, None, None]
        return np.ascontiguousarray(permuted.swapaxes(0, 1)).reshape(-1, n_cond)


@compiled
def _permute(
    squares: NDArray[Any], orders: NDArray[Any], first: int, last: int, panels: NDArray[Any]
) -> None:
    """Put permuted RDMs side by side: the pairs of some images with the half that follows each.

    Lanes are the RDMs in the first order, then those in the second, and so on. A row of a square is
    copied before it is read in random order: in order it comes from memory at full speed.
    """
    n_rdm, n_cond, _ = squares.shape
    half, width = n_cond // 2, panels.shape[2]
    row = np.empty(n_cond, dtype=panels.dtype)
    for p in range(panels.shape[0]):
        panel = panels[p]
        for lane in range(min(width, n_rdm * orders.shape[0] - p * width)):
            q, m = divmod(p * width + lane, n_rdm)
            for i in range(first, last):
                start = (i - first) * half
                stored = squares[m, orders[q, i]]
                for k in range(n_cond):
                    row[k] = stored[k]
                following = orders[q, i + 1 : i + 1 + half]
                for k in range(half):
                    panel[start + k, lane] = row[following[k]]


@compiled
def _add_permuted(
    brains: NDArray[Any],
    brain_orders: NDArray[Any],
    models: NDArray[Any],
    model_orders: NDArray[Any],
    first: int,
    last: int,
    left: NDArray[Any],
    right: NDArray[Any],
    totals: FloatArray,
) -> None:
    """Add the products of all permuted RDMs, over the pairs of some images, to padded totals.

    `left` and `right` are room for panels; their lanes without an RDM are 0.
    """
    n_cond = brains.shape[1]
    half = n_cond // 2
    step = left.shape[1] // half
    for start in range(first, last, step):
        stop = min(start + step, last)
        length = (stop - start) * half
        _permute(brains, brain_orders, start, stop, left)
        _permute(models, model_orders, start, stop, right)
        if n_cond % 2 == 0:  # opposite images meet twice
            for i in range(max(start, half), stop):
                left[:, (i - start + 1) * half - 1] = 0
        add_products(left, right, length, length, totals)


class PermutedModels:
    """A model's layers, to be permuted and compared with brain RDMs.

    Held in memory: each layer as a square, n_cond² entries of 8 bytes (2 from 2000 images on).

    Parameters
    ----------
    metric : Metric
        One with `Metric.has_unit`.
    models : sequence of functions that return an Rdm
        The layers, complete and over the same images, read and laid out on all cores; overwritten.
    permutations : Permutations
        Of the images.
    """

    def __init__(
        self, metric: Metric, models: Sequence[Callable[[], Rdm]], permutations: Permutations
    ) -> None:
        self._metric, self._permutations = metric, permutations
        units = [partial(_unit_of_layer, metric, read) for read in models]
        self._models = _Permuted.of(units, permutations.columns)

    def score(
        self,
        groups: Sequence[Sequence[Callable[[], Rdm]]],
        on_progress: Progress = ignore,
    ) -> FloatArray:
        """Score groups of brain RDMs against every layer under every permutation, on all cores.

        Held in memory besides: a square for each group.

        Parameters
        ----------
        groups : sequence of sequence of functions that return an Rdm
            Complete brain RDMs over the same images, which are overwritten. The score of a group is
            the mean of its members' scores.
        on_progress : callable, optional
            Called in the calling thread with the share of the work just finished.

        Returns
        -------
        ndarray of shape (n_group, n_layer, 1 + n_draw)
            The first is not permuted. The bits of each score depend on its RDMs and permutation
            alone.
        """
        rows, columns = self._permutations.rows, self._permutations.columns
        units = [partial(_mean_unit, self._metric, group) for group in groups]
        brains = _Permuted.of(units, rows)
        n_brain, n_cond, _ = brains.squares.shape
        n_model = len(self._models.squares)
        dtype = working_type(n_cond)
        width, half = columns_of(dtype), n_cond // 2
        depth = max(1, _PAIRS // half) * half
        n_left, n_right = -(-len(rows) * n_brain // ROWS), -(-len(columns) * n_model // width)
        shape = n_left * ROWS, n_right * width

        def work(first: int) -> FloatArray:
            found = np.zeros(shape)
            _add_permuted(
                brains.squares,
                brains.orders,
                self._models.squares,
                self._models.orders,
                first,
                min(first + _TASK, n_cond),
                np.zeros((n_left, depth, ROWS), dtype=dtype),
                np.zeros((n_right, depth, width), dtype=dtype),
                found,
            )
            return found

        totals = np.zeros(shape)
        tasks = range(0, n_cond, _TASK)
        for part in in_order(work, tasks):
            totals += part
            on_progress(1 / len(tasks))
        totals = totals[: len(rows) * n_brain, : len(columns) * n_model]
        if brains.terms.size:
            terms = pack(self._models.permuted_terms(), columns_of(np.float64))
            totals -= inner_products(brains.permuted_terms(), terms)[:, : totals.shape[1]]
        row, column = np.divmod(self._permutations.chosen, len(columns))
        each = totals.reshape(len(rows), n_brain, len(columns), n_model)[row, :, column]
        scale = np.outer(brains.scales, self._models.scales) * count_pairs(n_cond)
        return np.moveaxis(each, 0, 2) / scale[:, :, None]
