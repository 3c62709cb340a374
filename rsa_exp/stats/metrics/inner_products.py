"""Metrics that are inner products: Pearson, cosine, and both after whitening.

An RDM is centred (or not) once; a score is then one pass over two vectors. Missing pairs are 0, so
they add nothing to a product. What the other RDM's missing pairs take from means, norms and image
sums is subtracted, so the extra cost is in proportion to the number of missing pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, image_sums
from rsa_exp.stats.missing_pairs import PresentPairs, group_by_missing

__all__ = ["Vector", "compare_vectors", "dots", "prepare_vector"]

# Entries per partial sum: the order of summation, and so the last bits, depend on it.
BLOCK = 1 << 15
# Below this share of its sum of squares, the variance of the pairs left is rounding error.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Vector:
    """An RDM prepared for inner products.

    Attributes
    ----------
    values : ndarray of shape (n_pairs,)
        Dissimilarities, centred for correlations; 0 at missing pairs.
    square : float
        Sum of squares; 0 marks an RDM without variance (or, uncentred, all zero).
    missing : ndarray of int
        Indices of missing pairs.
    n_cond : int
        Images.
    centred : bool
        Whether the mean was subtracted.
    sums : ndarray of shape (n_cond,), or None
        Image sums, for whitened metrics.
    """

    values: NDArray[Any]
    square: float
    missing: IntArray
    n_cond: int
    centred: bool
    sums: FloatArray | None = None


@dataclass(frozen=True)
class _Reduced:
    """What is left of a vector's sums when more pairs are left out; its values stay as they are.

    The mean is still to be subtracted from the values, and is from the square (0 where that is no
    more than rounding error) and the image sums.
    """

    mean: float
    square: float
    sums: FloatArray | None


def dots(left: NDArray[Any], rights: Sequence[NDArray[Any]]) -> FloatArray:
    """Inner products of one vector with several, summed block by block in a fixed order.

    Each product depends on its two vectors alone: not on the number of threads, nor on which other
    vectors are asked for. Blocks of `left` stay in the cache while they meet all of `rights`.

    Parameters
    ----------
    left : ndarray of shape (n_pairs,)
        Single precision is summed in single precision within a block of 32768 only.
    rights : sequence of ndarray of shape (n_pairs,)
        Any number of vectors.

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
    sums = image_sums(values, rdm.n_cond) if whitened else None
    square = float(dots(values, [values])[0])
    kept: NDArray[Any] = values.astype(dtype, copy=False)
    return Vector(kept, square, rdm.missing, rdm.n_cond, centred, sums)


def compare_vectors(brain: Vector, models: Sequence[Vector]) -> FloatArray:
    """Pearson r (centred) or cosine of one RDM with several, over the pairs both have.

    Whitened (`Vector.sums`) it is ``x' V^-1 y`` over its norms, with ``V = 2 I + M M'`` and M the
    pairs-by-images incidence matrix of those pairs. By Woodbury
    ``V^-1 = (I - M (2 I + M'M)^-1 M') / 2``, and ``M'x`` are image sums (Diedrichsen et al. 2021).

    Returns
    -------
    ndarray of shape (n_model,)
        In [-1, 1]; NaN where either RDM has no variance (is all zero) on the common pairs.
    """
    products = dots(brain.values, [model.values for model in models])
    scores = np.full(len(models), np.nan)
    for missing, members in group_by_missing(brain, models):
        graph = PresentPairs(missing, brain.n_cond)
        left = _reduce(brain, graph)
        left_norm = left.square
        if left.sums is not None and left.square > 0:
            left_norm -= float(left.sums @ graph.solve(left.sums))
        for k in members:
            right = _reduce(models[k], graph)
            if left.square <= 0 or right.square <= 0:
                continue
            product, norm = products[k] - graph.n_pairs * left.mean * right.mean, right.square
            if left.sums is not None and right.sums is not None:
                solved = graph.solve(right.sums)
                product, norm = product - left.sums @ solved, norm - float(right.sums @ solved)
            if min(left_norm, norm) > 0:
                scores[k] = min(1.0, max(-1.0, product / sqrt(left_norm * norm)))
    return scores


def _reduce(vector: Vector, graph: PresentPairs) -> _Reduced:
    """Subtract from a vector's sums its entries at the pairs that only the other RDM lacks."""
    if len(graph.missing) == len(vector.missing):
        return _Reduced(0.0, vector.square, vector.sums)
    # A vector is 0 at its own missing pairs: they add nothing to `lost`.
    lost = vector.values[graph.missing].astype(np.float64)
    mean = -float(lost.sum()) / graph.n_pairs if vector.centred else 0.0
    square = vector.square - float(lost @ lost) - graph.n_pairs * mean**2
    sums = None
    if vector.sums is not None:
        sums = vector.sums - graph.image_sums(lost) - mean * graph.degrees
    return _Reduced(mean, square if square > _ROUNDING * vector.square else 0.0, sums)
