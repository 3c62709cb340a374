"""Metrics that are inner products: Pearson, cosine, and both after whitening.

An RDM is centred (or not) once; a score is then one pass over two vectors. Missing pairs hold 0, so
they add nothing to a product, and what the other RDM's gaps take from the norms and sums is
subtracted: the cost of a gap is the cost of looking at it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from rsa_exp.stats.condensed import (
    BoolArray,
    FloatArray,
    IntArray,
    Rdm,
    image_sums,
    pair_images,
)

__all__ = ["Vector", "compare_vectors", "compare_whitened", "dots", "prepare_vector"]

# Entries per partial sum: the order of summation, and so the last bits, depend on it.
BLOCK = 1 << 15
# Below this share of its sum of squares, the variance that gaps leave an RDM is rounding error.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Vector:
    """An RDM made ready for inner products.

    Attributes
    ----------
    values : ndarray of shape (n_pairs,)
        Dissimilarities, centred for correlations; 0 at missing pairs.
    square : float
        Sum of squares; 0 marks an RDM without variance (or, uncentred, all zero).
    missing : ndarray of int
        Places of missing pairs.
    n_cond : int
        Images.
    centred : bool
        Whether the mean was subtracted.
    sums, solved : ndarray of shape (n_cond,), or None
        For whitened metrics: the image sums, and ``(2 I + M'M)^-1`` times them.
    """

    values: NDArray[Any]
    square: float
    missing: IntArray
    n_cond: int
    centred: bool
    sums: FloatArray | None = None
    solved: FloatArray | None = None


def dots(left: NDArray[Any], rights: Sequence[NDArray[Any]]) -> FloatArray:
    """Inner products of one vector with several, summed block by block in a fixed order.

    Each product depends on its two vectors alone: not on the number of threads, nor on which other
    vectors are asked for. Blocks of `left` stay in the cache while they meet all of `rights`.

    Parameters
    ----------
    left : ndarray of shape (n_pairs,)
        Single precision is summed in single precision within a block of 32768 only.
    rights : sequence of ndarray of shape (n_pairs,)
        As many as you like.

    Returns
    -------
    ndarray of shape (len(rights),)
        In double precision.
    """
    totals = np.zeros(len(rights))
    for start in range(0, len(left), BLOCK):
        block = left[start : start + BLOCK]
        for k, right in enumerate(rights):
            totals[k] += block @ right[start : start + BLOCK]
    return totals


def prepare_vector(rdm: Rdm, dtype: type, *, centred: bool, whitened: bool) -> Vector:
    """Centre an RDM where asked, and sum it up.

    Parameters
    ----------
    rdm : Rdm
        Its values are overwritten.
    dtype : type
        float64 or float32: what is kept. Means, norms and image sums are in double precision.
    centred, whitened : bool
        Which metric this is for.
    """
    values = rdm.values
    if len(rdm.missing) < len(values):
        low, high = np.nanmin(values), np.nanmax(values)
        if centred and low == high:
            values[:] = 0.0  # exactly, where the mean would leave rounding errors
        elif centred:
            values -= np.nanmean(values) if len(rdm.missing) else values.mean()
    values[rdm.missing] = 0.0
    sums = solved = None
    if whitened and not len(rdm.missing):
        # 2 I + M'M = n I + 11' when every pair is there: Sherman-Morrison.
        sums = image_sums(values, rdm.n_cond)
        solved = (sums - sums.sum() / (2 * rdm.n_cond)) / rdm.n_cond
    square = float(dots(values, [values])[0])
    if solved is not None and sums is not None and square > 0:
        square = max(square - float(sums @ solved), 0.0)
    kept: NDArray[Any] = values.astype(dtype, copy=False)
    return Vector(kept, square, rdm.missing, rdm.n_cond, centred, sums, solved)


def compare_vectors(brain: Vector, models: Sequence[Vector]) -> FloatArray:
    """Pearson r (centred) or cosine of one RDM with several, over the pairs both have.

    Returns
    -------
    ndarray of shape (n_model,)
        In [-1, 1]; NaN where either RDM has no variance (is all zero) on the common pairs.
    """
    products = dots(brain.values, [model.values for model in models])
    scores = np.full(len(models), np.nan)
    for k, model in enumerate(models):
        product, left, right = products[k], brain.square, model.square
        if len(brain.missing) or len(model.missing):
            left_sum, left = _left_out(brain, model.missing)
            right_sum, right = _left_out(model, brain.missing)
            if brain.centred:
                n_pairs = len(brain.values) - len(np.union1d(brain.missing, model.missing))
                product -= left_sum * right_sum / n_pairs
                left -= left_sum**2 / n_pairs
                right -= right_sum**2 / n_pairs
        if left > _ROUNDING * brain.square and right > _ROUNDING * model.square:
            scores[k] = min(1.0, max(-1.0, product / sqrt(left * right)))
    return scores


def _left_out(vector: Vector, gaps: IntArray) -> tuple[float, float]:
    """Sum and sum of squares of a vector without the pairs at `gaps`."""
    lost = vector.values[gaps].astype(np.float64)
    total = float(vector.values.sum(dtype=np.float64)) if not vector.centred else 0.0
    return total - float(lost.sum()), vector.square - float(lost @ lost)


def compare_whitened(brain: Vector, models: Sequence[Vector]) -> FloatArray:
    """Whitened Pearson r or cosine: ``x' V^-1 y`` over its norms, with ``V = 2 I + M M'``.

    M is the pairs-by-images incidence matrix of the pairs both RDMs have. By Woodbury
    ``V^-1 = (I - M (2 I + M'M)^-1 M') / 2``, and ``M'x`` are image sums (Diedrichsen et al. 2021).

    Returns
    -------
    ndarray of shape (n_model,)
        In [-1, 1]; NaN where either RDM has no variance.
    """
    scores = np.full(len(models), np.nan)
    complete = [k for k, model in enumerate(models) if not len(model.missing)]
    if brain.sums is not None and complete:
        products = dots(brain.values, [models[k].values for k in complete])
        for k, product in zip(complete, products, strict=True):
            scores[k] = _whitened_score(float(product), brain, models[k])
    for k, model in enumerate(models):
        if len(brain.missing) or len(model.missing):
            gaps = np.union1d(brain.missing, model.missing)
            left, right = (_without(vector, gaps) for vector in (brain, model))
            product = float(dots(left.values, [right.values])[0])
            scores[k] = _whitened_score(product, left, right)
    return scores


def _whitened_score(product: float, left: Vector, right: Vector) -> float:
    if left.sums is None or right.solved is None or not (left.square > 0 and right.square > 0):
        return float("nan")
    whitened = product - float(left.sums @ right.solved)
    return min(1.0, max(-1.0, whitened / sqrt(left.square * right.square)))


def _without(vector: Vector, gaps: IntArray) -> Vector:
    """Prepare a vector anew without the pairs at `gaps`, by a solve of size n_cond."""
    values = vector.values.astype(np.float64)
    values[gaps] = np.nan
    plain = prepare_vector(
        Rdm(values, gaps, vector.n_cond), np.float64, centred=vector.centred, whitened=False
    )
    if plain.square == 0:
        return plain
    sums = image_sums(plain.values, vector.n_cond)
    solved: FloatArray = cho_solve(_factors.of(gaps, vector.n_cond), sums)
    square = max(plain.square - float(sums @ solved), 0.0)
    return Vector(plain.values, square, gaps, vector.n_cond, vector.centred, sums, solved)


class _Factors:
    """Cholesky factors of ``2 I + M'M``; ROIs that miss the same pairs share the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[bytes, tuple[FloatArray, bool]] | None = None

    def of(self, gaps: IntArray, n_cond: int) -> tuple[FloatArray, bool]:
        """Factor for the pairs that are left without `gaps`."""
        mark = xxhash.xxh3_128_digest(gaps.data) + n_cond.to_bytes(8, "little")
        with self._lock:
            if self._last is not None and self._last[0] == mark:
                return self._last[1]
        present: BoolArray = ~np.eye(n_cond, dtype=bool)
        first, second = pair_images(gaps, n_cond)
        present[first, second] = present[second, first] = False
        gram = present.astype(np.float64)
        np.fill_diagonal(gram, 2 + gram.sum(axis=1))
        factor = cho_factor(gram, overwrite_a=True)
        with self._lock:
            self._last = (mark, factor)
        return factor


_factors = _Factors()
