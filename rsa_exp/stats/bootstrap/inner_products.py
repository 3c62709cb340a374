"""Correlations and cosines, whitened or not, under many weightings of the images at once.

All of them are ratios of sums over pairs (`rsa_exp.stats.bootstrap.pair_sums`), so bootstrap draws,
halves of the images, and leaving out one image each cost matrix products and no resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.kept_sums import KeptSums
from rsa_exp.stats.bootstrap.pair_sums import Columns, Factors, PairSums, working_type
from rsa_exp.stats.bootstrap.products import MaskedProducts, Products
from rsa_exp.stats.bootstrap.whitening import image_terms
from rsa_exp.stats.condensed import Counts, FloatArray, IntArray, Rdm, count_pairs
from rsa_exp.stats.metrics.inner_products import Vector
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import union
from rsa_exp.stats.parallel import Progress, ignore, in_order

__all__ = ["DrawScores", "Pool", "WeightedModels"]

# Below this share of the mean square, the variance of a weighted RDM is rounding error.
_ROUNDING = 1e-12

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Pool:
    """Inner products of several subjects' RDMs under K weightings: the noise ceiling follows.

    Attributes
    ----------
    products : ndarray of shape (n_subject, n_subject, K)
        Inner products (the metric's) of the subjects' RDMs, each scaled as it is pooled.
    norms : ndarray of shape (n_subject, K)
        The metric's norms of the RDMs so scaled: 1 unless the metric is whitened.
    """

    products: FloatArray
    norms: FloatArray

    def ceilings(self, counts: NDArray[np.integer] | None = None) -> FloatArray:
        """Score of each subject against the pool of the others and of all (Nili et al. 2014).

        Parameters
        ----------
        counts : ndarray of int, shape (n_subject, K), optional
            How often each subject is drawn; once each by default. The pool of the others leaves out
            all copies of a subject.

        Returns
        -------
        ndarray of shape (2, n_subject, K)
            Lower and upper; NaN for subjects that are not drawn, and for all where fewer than two
            different ones are.
        """
        n_subject = len(self.norms)
        n_column = self.products.shape[2]
        times = np.ones((n_subject, n_column)) if counts is None else np.asarray(counts, np.float64)
        n_column = max(n_column, times.shape[1])
        against = np.einsum("stk,tk->sk", self.products, times)  # each with the sum of all
        square = (against * times).sum(axis=0)
        own = times * np.einsum("ssk->sk", self.products)
        result = np.full((2, n_subject, n_column), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            # The square of the pool of the others, from that of all.
            rest = square - 2 * times * against + times * own
            result[0] = (against - own) / (np.sqrt(np.maximum(rest, 0)) * self.norms)
            result[1] = against / (np.sqrt(square) * self.norms)
        drawn = times > 0
        result[:, ~drawn | (drawn.sum(axis=0) < 2)] = np.nan
        return result


@dataclass(frozen=True)
class DrawScores:
    """Scores of an ROI in draws of images.

    Attributes
    ----------
    scores : ndarray of shape (n_member, n_layer, n_draw)
        In each draw; NaN where undefined.
    without_image : ndarray of shape (n_member, n_layer, n_cond), or None
        With each image left out in turn, for the jackknife; None where that is not cheap.
    pool, full_pool, pool_without_image : Pool or None
        The subjects' inner products in each draw, with every image once (one column), and with each
        image left out in turn; None for metrics that are no inner products.
    """

    scores: FloatArray
    without_image: FloatArray | None = None
    pool: Pool | None = None
    full_pool: Pool | None = None
    pool_without_image: Pool | None = None


class WeightedModels:
    """A model's layers, prepared once and then scored against ROIs.

    Parameters are those of `rsa_exp.stats.bootstrap.engines.make_scorer`, for an inner product; if
    it is whitened no pair may be missing.
    """

    def __init__(
        self,
        metric: Metric,
        models: Sequence[Callable[[], Rdm]],
        counts: Counts,
        halves: Counts,
        n_member: int,
        n_peer: int,
        folder: Path | None,
    ) -> None:
        self._metric, self._n_member = metric, n_member
        columns = Columns.of(counts, 1.0).join(Columns.of(halves, 0.5))
        n_cond = len(columns.deviation)
        # The last column is the study itself: every image once.
        once = np.zeros((n_cond, 1), dtype=columns.deviation.dtype)
        self._columns = columns.join(Columns(np.ones(1), once))
        self._kept = KeptSums(self._columns, folder)
        n_layer, self._products = len(models), Products()
        shape = (n_layer + n_member + n_peer, count_pairs(n_cond))
        self._factors: Factors = np.empty(shape, dtype=working_type(n_cond))

        def lay_out(index: int) -> tuple[IntArray, float]:
            model = metric.prepare(models[index](), np.float64)
            return model.missing, _standardise(model, self._factors[index])

        laid_out = list(in_order(lay_out, range(n_layer)))
        self._missing, self._offsets = map(list, zip(*laid_out, strict=True))
        for index in range(n_layer):
            self._products.index(index)
            self._products.index(index, index)
        self._digests = self._kept.digests(self._factors[:n_layer])
        own = self._kept.pair_sums(self._factors, self._digests, self._products.named[1:])
        self._sums = PairSums.stack([PairSums.of_ones(self._columns), own])

    def score(
        self, rois: Iterable[Sequence[Rdm]], on_progress: Progress = ignore
    ) -> list[DrawScores]:
        """Score every layer against ROIs, as `DrawScorer.score` does."""
        found = []
        for roi in rois:
            found.append(self._score(self._prepare(roi)))
            on_progress(1)
        return found

    def _prepare(self, rdms: Sequence[Rdm]) -> list[Vector]:
        return list(in_order(lambda rdm: self._metric.prepare(rdm, np.float64), rdms))

    def _score(self, brains: Sequence[Vector]) -> DrawScores:
        n_layer, products = len(self._missing), self._products.copy()
        n_factor = n_layer + len(brains)
        pool, offsets = range(n_layer, n_factor), list(self._offsets)
        members = pool[: self._n_member]
        for index, brain in zip(pool, brains, strict=True):
            offsets.append(_standardise(brain, self._factors[index]))
        masked = MaskedProducts([*self._missing, *(brain.missing for brain in brains)], products)
        cells = [[masked.cell(b, m) for m in range(n_layer)] for b in members]
        missing = reduce(union, (brain.missing for brain in brains))
        pairs = [[masked.cell(b, c, missing) for c in pool] for b in pool]
        factors = masked.extend(self._factors[:n_factor])
        digests = [*self._digests, *self._kept.digests(factors[n_layer:])]
        new = products.named[len(self._sums.total) :]
        sums = PairSums.stack([self._sums, self._kept.pair_sums(factors, digests, new)])
        drawn, left_out = sums.weighted, sums.without_image
        inner, inner_left_out = drawn, left_out
        if self._metric.whitened:
            terms = image_terms(factors, products.named, sums.by_image, self._columns)
            inner, inner_left_out = drawn - terms[0], left_out - terms[1]
        given = None if self._metric.centred else np.array(offsets)
        scored = _Cells.of(cells, members, range(n_layer), given)
        pooled = _Cells.of(pairs, pool, pool, given)
        pools = _pool(drawn, inner, pooled)
        return DrawScores(
            _scores(drawn, inner, scored)[:, :, :-1],
            _scores(left_out, inner_left_out, scored),
            Pool(pools.products[:, :, :-1], pools.norms[:, :-1]),
            Pool(pools.products[:, :, -1:], pools.norms[:, -1:]),
            _pool(left_out, inner_left_out, pooled),
        )


class _Cells(NamedTuple):
    """Rows of a table with the sums of 1, x, y, xx, yy and xy, for each pair of two sets of RDMs.

    `sums` has shape (6, n_x, n_y). `offsets` are what was subtracted from x and y before they were
    summed, of shape (n_x, 1, 1) and (1, n_y, 1); None where it does not matter.
    """

    sums: Indices
    offsets: tuple[FloatArray, FloatArray] | None

    @classmethod
    def of(
        cls, cells: list[list[list[int]]], x: range, y: range, offsets: FloatArray | None
    ) -> _Cells:
        """Take apart cells of shape (n_x, n_y, 6)."""
        sums = np.moveaxis(np.array(cells), 2, 0)
        if offsets is None:
            return cls(sums, None)
        return cls(sums, (offsets[x, None, None], offsets[None, y, None]))


def _standardise(vector: Vector, out: NDArray[Any]) -> float:
    """Scale an RDM to unit mean square and centre it into `out`; return what was subtracted.

    Centred also for metrics that are not: sums of centred RDMs lose no digits, and the mean is put
    back where they are combined.
    """
    scale = sqrt(len(vector.values) / vector.square) if vector.square > 0 else 0.0
    if vector.centred:
        np.multiply(vector.values, scale, out=out, casting="same_kind")
        return 0.0
    mean = vector.values.sum() / max(1, len(vector.values) - len(vector.missing))
    np.subtract(vector.values, mean, out=vector.values)
    np.multiply(vector.values, scale, out=out, casting="same_kind")
    out[vector.missing] = 0
    return float(mean * scale)


def _inner(
    plain: FloatArray, inner: FloatArray, cells: _Cells
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Inner products xy, xx and yy of RDMs less their means, or with their offsets put back.

    ``<x - a, y - b> = <x, y> - b <x, 1> - a <1, y> + a b <1, 1>``, where the means a and b are
    plain ones also when the inner product is whitened, and an offset is a negative mean.
    """
    if cells.offsets is None:
        n, a, b = (plain[cells.sums[k]] for k in range(3))
        a, b = a / n, b / n
    else:
        a, b = -cells.offsets[0], -cells.offsets[1]
    one, x, y, xx, yy, xy = (inner[rows] for rows in cells.sums)
    return (
        xy - b * x - a * y + a * b * one,
        _positive(xx - 2 * a * x + a * a * one, xx),
        _positive(yy - 2 * b * y + b * b * one, yy),
    )


def _positive(square: FloatArray, of: FloatArray) -> FloatArray:
    """NaN for a square that is no more than the rounding error of what it is a part of."""
    return np.where(square > _ROUNDING * np.abs(of), square, np.nan)


def _scores(plain: FloatArray, inner: FloatArray, cells: _Cells) -> FloatArray:
    """Scores of shape (n_x, n_y, K) from tables of sums of shape (n_product, K)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        xy, xx, yy = _inner(plain, inner, cells)
        return np.asarray(np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0))


def _pool(plain: FloatArray, inner: FloatArray, cells: _Cells) -> Pool:
    """Pool subjects in each column.

    As in rsatoolbox, RDMs are pooled after scaling to unit mean square (for correlations,
    standard deviation) also where the metric is whitened.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        xy, xx, _ = _inner(plain, inner, cells)
        _, plain_xx, plain_yy = _inner(plain, plain, cells)
        products = xy / np.sqrt(plain_xx * plain_yy)
        norms = np.sqrt(np.einsum("ssk->sk", xx / plain_xx))
    return Pool(products, norms)
