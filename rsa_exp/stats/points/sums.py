"""The metric's inner products of pairs of RDMs given by points, under weightings of the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray, count_pairs
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.parallel import Progress, ignore
from rsa_exp.stats.points.forms import Form, Piece
from rsa_exp.stats.points.passes import Chunk, chunks_of, multiply, row_sums, weighted_sums
from rsa_exp.stats.points.whitening import image_terms

__all__ = ["FormSums", "PairSums"]

# Below this share of the sizes of what it is a sum of, a sum of squares is rounding error.
_ROUNDING: dict[type, float] = {np.float64: 1e-12, np.float32: 1e-6}
# Sums over the pairs of one image in single precision change a score without that image by less
# than `_SINGLE` over the number of images, times how much larger the parts of its sums are than
# they. Where that is at most `_ALLOWED` they take half of the time and are as good as in double.
_SINGLE, _ALLOWED = 1e-6, 2e-10
# Bytes of products that are kept to be used again.
_KEPT_BYTES = 1 << 29


@dataclass(frozen=True)
class PairSums:
    """Sums over pairs of images of products of two RDMs, under K weightings of the images.

    Attributes
    ----------
    plain : ndarray of shape (n_product, K)
        Of centred RDMs if the metric is centred.
    inner : ndarray of shape (n_product, K)
        The metric's inner products: not the same if it is whitened.
    noise : ndarray of shape (n_product, K) or (n_product, 1)
        What may be rounding error.
    """

    plain: FloatArray
    inner: FloatArray
    noise: FloatArray


class _Totals:
    """Running sums of products under one weighting."""

    def __init__(self, n_product: int) -> None:
        self.plain, self.sizes, self.crossed = np.zeros((3, n_product))

    def add(self, row: int, product: FloatArray, matrix: FloatArray) -> None:
        """Add what one piece of M adds to ``tr(K M L M') / 2``; `matrix` is ``K M L``."""
        each = product * matrix
        self.plain[row] += each.sum() / 2
        self.sizes[row] += np.abs(each, out=each).sum() / 2


_Follow = Callable[[int, list[FloatArray], _Totals], None]


class FormSums:
    """Products of RDMs, computed when they are asked for.

    Parameters
    ----------
    metric : Metric
        An inner product.
    forms : sequence of Form
        The RDMs.
    wanted : sequence of (int, sequence of int)
        Indices of forms, and of those with which each is multiplied, besides itself. Where the
        others come first, their norms are known when single precision may be chosen.
    dtype : type
        In which blocks of images are multiplied.

    Attributes
    ----------
    rows : dict of (int, int) to int
        Where the results have the product of two forms, in either order.
    """

    def __init__(
        self,
        metric: Metric,
        forms: Sequence[Form],
        wanted: Sequence[tuple[int, Sequence[int]]],
        dtype: type,
    ) -> None:
        self._metric, self._forms, self._dtype = metric, forms, dtype
        self._n_cond = forms[0].n_cond
        pairs = [(form, other) for form, others in wanted for other in (form, *others)]
        self.rows = {pair: row for row, (x, y) in enumerate(pairs) for pair in ((x, y), (y, x))}
        self._pairs = np.array(pairs)
        self._own = np.array([self.rows[form, form] for form in range(len(forms))])
        self._chunks = [chunk for each in wanted for chunk in chunks_of(forms, *each)]
        blocks = [len(chunk.blocks(forms)) for chunk in self._chunks]
        work = [chunk.multiplications(forms) for chunk in self._chunks]
        self.multiplications = self._n_cond * sum(work)
        self._shares = [part / sum(work) / n for part, n in zip(work, blocks, strict=True)]
        self._kept: dict[int, list[FloatArray]] = {}
        self._found: PairSums | None = None

    @cached_property
    def _vectors(self) -> list[FloatArray]:
        """``U'1`` of each form."""
        ones = np.ones((self._n_cond, 1))
        return [found[:, 0] for found in weighted_sums(self._forms, ones)]

    @cached_property
    def _means(self) -> FloatArray:
        sums = [vector[:, None] for vector in self._vectors]
        return self._means_of(sums, np.array([2.0 * count_pairs(self._n_cond)]))[:, 0]

    def _means_of(self, sums: Sequence[FloatArray], n_pairs: FloatArray) -> FloatArray:
        """Return what centring subtracts, (n_form, n_column): means over ordered pairs."""
        if not self._metric.centred:
            return np.zeros((len(sums), len(n_pairs)))
        totals = [form.total(each) for form, each in zip(self._forms, sums, strict=True)]
        return np.stack(totals) / np.where(n_pairs > 0, n_pairs, np.nan)

    @cached_property
    def _image_totals(self) -> FloatArray:
        """Sum of each form's image sums, twice that over pairs: 0 if it is centred."""
        if self._metric.centred:
            return np.zeros(len(self._forms))
        sums = zip(self._forms, self._vectors, strict=True)
        return np.array([form.total(vector[:, None])[0] for form, vector in sums])

    def _matrix(
        self, chunk: Chunk, piece: Piece, product: FloatArray, means: FloatArray
    ) -> FloatArray:
        """``K M L`` of a piece of M; what stands for its mirror image too is doubled."""
        left, right = self._forms[chunk.form], self._forms[piece.form]
        matrix = left.apply(product, means[chunk.form], chunk.first(piece))
        matrix = right.apply(matrix.T, means[piece.form], piece.start).T
        if piece.form == chunk.form:
            matrix[piece.stop - piece.start :] *= 2
        return matrix

    def once(self, on_progress: Progress = ignore) -> PairSums:
        """Return sums with every image once, K = 1; computed the first time."""
        if self._found is None:
            self._found = self._pass(on_progress, None)
        return self._found

    def _pass(self, on_progress: Progress, follow: _Follow | None) -> PairSums:
        """Multiply all with all, and do what is to follow each chunk."""
        totals, means = _Totals(len(self._pairs)), self._means
        for index, chunk in enumerate(self._chunks):
            if index in self._kept:
                products = self._kept[index]
                on_progress(self._shares[index] * len(chunk.blocks(self._forms)))
            else:
                tick = partial(on_progress, self._shares[index])
                products = multiply(self._forms, chunk, self._dtype, on_block=tick)
            matrices = []
            for piece, product in zip(chunk.pieces, products, strict=True):
                row = self.rows[chunk.form, piece.form]
                matrix = self._matrix(chunk, piece, product, means)
                totals.add(row, product, matrix)
                if self._metric.whitened:
                    left, right = self._ends(chunk, piece)
                    totals.crossed[row] += left @ matrix @ right
                matrices.append(matrix)
            if follow is not None:
                follow(index, matrices, totals)
            elif sum(each.nbytes for kept in self._kept.values() for each in kept) < _KEPT_BYTES:
                self._kept[index] = products
        return self._combine(totals)

    def _ends(self, chunk: Chunk, piece: Piece) -> tuple[FloatArray, FloatArray]:
        """``U'1`` of the two forms of a piece, where it has rows and columns."""
        left, right = self._vectors[chunk.form], self._vectors[piece.form]
        return left[chunk.first(piece) :], right[piece.start : piece.stop]

    def _combine(self, totals: _Totals) -> PairSums:
        """Subtract the diagonal and what whitening does, where every image is there once."""
        x, y = self._pairs.T
        diagonal = self._n_cond * self._means[x] * self._means[y] / 2
        plain, sizes = totals.plain - diagonal, totals.sizes + np.abs(diagonal)
        inner = plain
        if self._metric.whitened:
            terms = self._whitening(self._image_products(totals.crossed, x, y), x, y)
            inner, sizes = plain - terms, sizes + np.abs(terms)
        noise = sizes * _ROUNDING[self._dtype]
        return PairSums(plain[:, None], inner[:, None], noise[:, None])

    def _image_products(self, crossed: Any, x: Any, y: Any) -> Any:
        """Sum products of two RDMs' image sums, given ``1'U (K M L) V'1``."""
        means, totals, n_cond = self._means, self._image_totals, self._n_cond
        additive = means[y] * totals[x] + means[x] * totals[y] - n_cond * means[x] * means[y]
        return crossed + additive

    def _whitening(self, products: Any, x: Any, y: Any) -> Any:
        """Return what whitening subtracts, given sums of products of image sums."""
        totals, n_cond = self._image_totals, self._n_cond
        return (products - totals[x] * totals[y] / (2 * n_cond)) / n_cond

    def inner_of(self, x: int, y: int, product: FloatArray) -> float:
        """Inner product of two RDMs with every image once, from ``U'PV`` for any permutation P."""
        piece = Piece(y, 0, self._forms[y].width)
        matrix = self._matrix(Chunk(x, [], [piece]), piece, product, self._means)
        inner = float(np.vdot(matrix, product))
        inner = (inner - self._n_cond * self._means[x] * self._means[y]) / 2
        if self._metric.whitened:
            crossed = self._vectors[x] @ matrix @ self._vectors[y]
            inner -= self._whitening(self._image_products(crossed, x, y), x, y)
        return float(inner)

    def without_images(self, on_progress: Progress = ignore) -> PairSums:
        """Return sums without each image in turn, K = n_cond; `once` is known then too."""
        n_cond, means, totals = self._n_cond, self._means, self._image_totals
        plain = np.zeros((len(self._pairs), n_cond))  # first, what each image's pairs add
        inner = np.zeros_like(plain) if self._metric.whitened else plain
        image_sums = np.empty((len(self._forms), n_cond))
        rounding = np.full(len(self._pairs), _ROUNDING[self._dtype])
        image_products = np.empty(0)

        def half(share: float) -> None:
            on_progress(share / 2)

        def follow(index: int, matrices: list[FloatArray], sums: _Totals) -> None:
            nonlocal image_products
            chunk, image_products = self._chunks[index], sums.crossed
            dtype = self._second_type(chunk, sums)
            left, right = self._linear(chunk, matrices)
            tick = partial(half, self._shares[index])
            found = row_sums(self._forms, chunk, matrices, dtype, left, right, tick)
            image_sums[chunk.form] = found[1][-1] + means[chunk.form]
            for k, piece in enumerate(chunk.pieces):
                row = self.rows[chunk.form, piece.form]
                plain[row] += found[0][k]
                rounding[row] = max(rounding[row], _ROUNDING[dtype])
                if self._metric.whitened:  # X (Y 1) + Y (X 1), by image
                    inner[row] += found[1][k]
                    if piece.form != chunk.form:
                        inner[row] += found[2][k - len(chunk.own)]

        self._found = once = self._pass(half, follow)
        self._kept.clear()
        for row, (x, y) in enumerate(self._pairs.tolist()):
            a, b, mean = image_sums[x], image_sums[y], means[x] * means[y]
            own = plain[row] - mean
            plain[row] = once.plain[row] - own
            if self._metric.centred:
                plain[row] -= a * b / count_pairs(n_cond - 1)
            if self._metric.whitened:
                crossed = inner[row] + 2 * (means[x] * b + means[y] * a - mean)
                products = self._image_products(image_products[row], x, y) - a * b - crossed + own
                single = (totals[x] - 2 * a) * (totals[y] - 2 * b) / (n_cond - 1)
                single /= 1 if self._metric.centred else 2
                inner[row] = plain[row] - (products - single) / (n_cond - 1)
        noise = once.noise * (rounding / _ROUNDING[self._dtype])[:, None]
        return PairSums(plain, inner, noise)

    def _second_type(self, chunk: Chunk, sums: _Totals) -> type:
        """In which to sum over the pairs of one image: in single precision where that is safe."""
        unknown = bool(chunk.own) and chunk.own[-1].stop < self._forms[chunk.form].width
        if self._dtype is np.float32 or unknown:
            return self._dtype
        own = self._own[[chunk.form, *(piece.form for piece in chunk.others)]]
        so_far = self._combine(sums)
        square, noise = so_far.inner[own, 0], so_far.noise[own, 0]
        varies = square > noise
        larger = (noise[varies] / _ROUNDING[self._dtype] / square[varies]).max(initial=0)
        return np.float32 if larger * _SINGLE <= _ALLOWED * self._n_cond else np.float64

    def _linear(
        self, chunk: Chunk, matrices: Sequence[FloatArray]
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Vectors whose products with u and v give image sums, and for whitening ``X (Y 1)``."""
        form, vector = self._forms[chunk.form], self._vectors[chunk.form]
        alone = form.apply(vector[:, None], self._means[chunk.form])
        if not self._metric.whitened:
            return alone, []
        left, right = np.zeros((form.width, len(matrices))), []
        for k, (piece, matrix) in enumerate(zip(chunk.pieces, matrices, strict=True)):
            first, second = self._ends(chunk, piece)
            left[chunk.first(piece) :, k] = matrix @ second
            if piece.form == chunk.form:
                left[piece.start : piece.stop, k] += matrix.T @ first
            else:
                right.append(matrix.T @ first)
        return np.concatenate([left, alone], axis=1), right

    def weighted(self, weights: NDArray[Any], on_progress: Progress = ignore) -> PairSums:
        """Return sums under each column of weights, integers of shape (n_cond, K)."""
        x, y = self._pairs.T
        n_column, shape = weights.shape[1], (len(self._pairs), weights.shape[1])
        sums = weighted_sums(self._forms, weights)
        squares = np.einsum("ik,ik->k", weights, weights, dtype=np.float64)
        means = self._means_of(sums, weights.sum(axis=0, dtype=np.float64) ** 2 - squares)
        plain, sizes = np.empty(shape), np.empty(shape)
        for k in range(n_column):
            totals = _Totals(len(self._pairs))
            for index, chunk in enumerate(self._chunks):
                products = multiply(
                    self._forms,
                    chunk,
                    self._dtype,
                    weights=weights[:, k],
                    on_block=partial(on_progress, self._shares[index] / n_column),
                )
                for piece, product in zip(chunk.pieces, products, strict=True):
                    matrix = self._matrix(chunk, piece, product, means[:, k])
                    totals.add(self.rows[chunk.form, piece.form], product, matrix)
            plain[:, k], sizes[:, k] = totals.plain, totals.sizes
        diagonal = squares * means[x] * means[y] / 2
        plain -= diagonal
        sizes += np.abs(diagonal)
        inner = plain
        if self._metric.whitened:
            terms = image_terms(self._forms, self._pairs.tolist(), weights, sums, means)
            inner = plain - terms
            sizes += np.abs(terms)
        return PairSums(plain, inner, sizes * _ROUNDING[self._dtype])
