"""Scores after permuting the images of the model: the null distribution of a permutation test.

Rows and columns are permuted together, never single pairs (Kriegeskorte, Mur & Bandettini 2008,
Front. Syst. Neurosci. 2:4). Each permuted layer is formed once, a few thousand pairs at a time, and
compared with all brain RDMs while it is in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from rsa_exp.stats.bootstrap.pair_sums import working_type
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, count_pairs
from rsa_exp.stats.metrics.inner_products import Vector
from rsa_exp.stats.metrics.ranks import Ranks
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import PresentPairs
from rsa_exp.stats.parallel import in_order

__all__ = ["PermutedModels"]

# Permutations formed together, and pairs of each: so many stay in the cache.
_TOGETHER = 16
_PAIRS = 8192


@dataclass(frozen=True)
class _Unit:
    """A complete RDM as a vector whose inner products with others are scores.

    Of mean square about 1, in the working type; all NaN where scores are undefined. For whitened
    metrics also image sums, and the solution of ``(2 I + M'M) x = sums``.
    """

    values: NDArray[Any]
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
    values: NDArray[Any] = (vector.values * scale).astype(working_type(vector.n_cond), copy=False)
    if vector.sums is None or solved is None:
        return _Unit(values)
    return _Unit(values, vector.sums * scale, solved * scale)


def _unit_ranks(ranks: Ranks, *, divide_by_all: bool) -> _Unit:
    """Scale an RDM's centred ranks: for Spearman's rho by their own norm, for rho-a by the most."""
    n_pairs = len(ranks.codes)
    square = (float(n_pairs) ** 3 - n_pairs) / 12 if divide_by_all else ranks.square
    # Codes are twice the midrank.
    scale = sqrt(n_pairs / square) / 2 if ranks.square > 0 else np.nan
    centred = ranks.codes - np.float64(n_pairs + 1)
    return _Unit((centred * scale).astype(working_type(ranks.n_cond)))


def _unit_of(metric: Metric, rdm: Rdm) -> _Unit:
    """Turn a complete RDM, which is overwritten, into the vector that a metric compares."""
    prepared = metric.prepare(rdm, np.float64)
    if metric.bootstrap == "weights":
        return _unit_vector(prepared)
    return _unit_ranks(prepared, divide_by_all=metric.name == "rho-a")


@compiled
def _circular_rows(values: NDArray[Any], n_cond: int, out: NDArray[Any]) -> None:
    """Lay a condensed RDM out as n_cond rows: of image i its pairs with the next n_cond // 2.

    Images follow one another in a circle, so that all rows have the same length. The rows of a
    permuted square are read in random order; rows of this length use each of them evenly, where
    rows of the upper triangle would use most of them hardly.
    """
    half = n_cond // 2
    for i in range(n_cond):
        for k in range(half):
            j = (i + 1 + k) % n_cond
            a, b = min(i, j), max(i, j)
            out[i, k] = values[a * (2 * n_cond - a - 1) // 2 + b - a - 1]
    if n_cond % 2 == 0:  # opposite images meet twice
        out[half:, half - 1] = 0


@compiled
def _permute(
    squares: NDArray[Any], orders: NDArray[Any], start: int, stop: int, out: NDArray[Any]
) -> None:
    """Form rows `start` to `stop` of permuted RDMs, as `_circular_rows` lays them out, end to end.

    Each of `orders` is a permutation followed by its own first half. A row of a square is copied
    before it is read in random order: in order it comes from memory at full speed.
    """
    n_model, n_cond, _ = squares.shape
    half = n_cond // 2
    n_order = orders.shape[0]
    source = np.empty(n_cond, dtype=squares.dtype)
    for m in range(n_model):
        for q in range(n_order):
            row = out[m * n_order + q]
            index = 0
            for i in range(start, stop):
                stored = squares[m, orders[q, i]]
                for k in range(n_cond):
                    source[k] = stored[k]
                neighbours = orders[q, i + 1 : i + 1 + half]
                for k in range(half):
                    row[index + k] = source[neighbours[k]]
                index += half


class PermutedModels:
    """A model's layers, to be permuted and compared with brain RDMs.

    Held in memory: each layer as a square, n_cond² entries of 8 bytes (4 from 2000 images on).

    Parameters
    ----------
    metric : Metric
        One with `Metric.has_unit`.
    models : sequence of Rdm
        The layers, complete and over the same images; overwritten.
    orders : ndarray of int, shape (n_draw, n_cond)
        Permutations of the images.
    """

    def __init__(self, metric: Metric, models: Sequence[Rdm], orders: IntArray) -> None:
        self._metric = metric
        units = list(in_order(partial(_unit_of, metric), models))
        n_cond = orders.shape[1]
        # The smaller an index is, the faster, and it cannot be negative.
        circles = [orders, orders[:, : n_cond // 2]]
        small = np.uint16 if n_cond <= np.iinfo(np.uint16).max else np.uint32
        self._orders = np.concatenate(circles, axis=1).astype(small)
        self._solved = [unit.solved for unit in units if unit.solved is not None]
        shape = (len(units), n_cond, n_cond)
        self._squares = np.empty(shape, dtype=units[0].values.dtype)
        for square, unit in zip(self._squares, units, strict=True):
            square[:] = squareform(unit.values, checks=False)

    def score(
        self,
        brains: Sequence[Callable[[], Rdm]],
        on_progress: Callable[[int], object] | None = None,
    ) -> FloatArray:
        """Score brain RDMs against every layer under every permutation, on all cores.

        Parameters
        ----------
        brains : sequence of functions that return an Rdm
            Complete brain RDMs over the same images, read and laid out on all cores; overwritten.
        on_progress : callable, optional
            Called in the calling thread with the number of permutations just finished.

        Returns
        -------
        ndarray of shape (n_brain, n_layer, n_draw)
            The same bits for any number of threads.
        """
        n_model, n_cond, _ = self._squares.shape
        circular = np.empty((len(brains), n_cond, n_cond // 2), dtype=self._squares.dtype)

        def lay_out(index: int) -> FloatArray | None:
            unit = _unit_of(self._metric, brains[index]())
            _circular_rows(unit.values, n_cond, circular[index])
            return unit.sums

        each = [sums for sums in in_order(lay_out, range(len(brains))) if sums is not None]
        sums = np.stack(each) if each else None
        scores = np.empty((len(brains), n_model, len(self._orders)))
        chunks = range(0, len(self._orders), _TOGETHER)
        stop = Event()
        work = partial(self._chunk, circular.reshape(len(brains), -1), sums, stop)
        for start, part in zip(chunks, in_order(work, chunks, stop), strict=True):
            scores[:, :, start : start + part.shape[2]] = part
            if on_progress is not None:
                on_progress(part.shape[2])
        return scores

    def _chunk(
        self, brains: NDArray[Any], sums: FloatArray | None, stop: Event, first: int
    ) -> FloatArray:
        orders = self._orders[first : first + _TOGETHER]
        n_model, n_cond, _ = self._squares.shape
        half = n_cond // 2
        step = max(1, _PAIRS // half)
        totals = np.zeros((len(brains), n_model * len(orders)))
        room = np.empty(totals.shape[1] * step * half, dtype=brains.dtype)
        for start in range(0, n_cond, step):
            if stop.is_set():
                break
            last = min(start + step, n_cond)
            length = (last - start) * half
            formed = room[: totals.shape[1] * length].reshape(-1, length)
            _permute(self._squares, orders, start, last, formed)
            totals += brains[:, start * half : last * half] @ formed.T
        scores = totals.reshape(len(brains), n_model, len(orders))
        if sums is not None:
            for m, solved in enumerate(self._solved):
                scores[:, m] -= sums @ solved[orders[:, :n_cond]].T
        return np.asarray(scores / count_pairs(n_cond))
