"""Correlations and cosines of RDMs given by points, whitened or not, without forming any RDM.

Time is linear in the number of images, and memory grows with nothing but the results. The numbers
are those that the RDMs give (`rsa_exp.stats.metrics.inner_products`, with weights
`rsa_exp.stats.bootstrap.inner_products`, permuted `rsa_exp.stats.permutation`), to 1e-9. The
formulas are in `rsa_exp.stats.points.forms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.inner_products import DrawScores, Pool
from rsa_exp.stats.condensed import Counts, FloatArray
from rsa_exp.stats.draws import Permutations
from rsa_exp.stats.metrics.registry import PRECISIONS, Metric
from rsa_exp.stats.parallel import Progress, ignore, in_order, one_blas_thread
from rsa_exp.stats.points.forms import Form, Piece
from rsa_exp.stats.points.passes import Chunk, Vectors, multiply
from rsa_exp.stats.points.points import Points
from rsa_exp.stats.points.sums import FormSums, PairSums

__all__ = ["Cost", "PointComparison"]

# Columns of permuted brains that are multiplied with a layer in one pass, about.
_PERMUTED = 2048


class Cost(NamedTuple):
    """Multiplications that scoring takes.

    Attributes
    ----------
    full : float
        Of `PointComparison.full`.
    without_images : float
        Of `PointComparison.without_images`, which includes `full`; half of them in single precision
        where there are many images.
    draw, permutation : float
        Of one column of weights with all images (a bootstrap draw has 63 %, a half 50 % of them),
        and of one permutation.
    """

    full: float
    without_images: float
    draw: float
    permutation: float


class _Reordered:
    """Vectors in memory, in another order."""

    def __init__(self, vectors: NDArray[Any], order: NDArray[np.integer]) -> None:
        self.n_cond, self.width = vectors.shape
        self._vectors, self._order = vectors, order

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return np.asarray(self._vectors[self._order[start:stop]])


class PointComparison:
    """Layers and brains given by points, compared without forming RDMs.

    Parameters
    ----------
    metric : Metric
        An inner product: corr, cosine, corr_cov or cosine_cov.
    models : sequence of Points
        The layers.
    rois : sequence of sequence of Points
        For each ROI those of its members, then those of its peers, who only serve the noise
        ceiling; all over the layers' images.
    n_member : int
        Members of each ROI.
    precision : {'float64', 'float32'}
        In which the images of a block are multiplied; blocks are added in double precision. Single
        precision takes half of the time and changes scores by less than 1e-6.
    pooled : bool
        Whether an ROI's brains are compared with one another too, for noise ceilings; results have
        pools only then.

    Raises
    ------
    ValueError
        If the metric is another, or the points are not all over as many images.

    Notes
    -----
    Points are read in blocks of at most 512 images, always anew: three times for `full` or
    `without_images` (more often with thousands of dimensions), and once for each draw. Held in
    memory are some blocks, and products of 128 MB for each core and half a gigabyte in all.
    Results have the same bits for any number of cores.
    """

    def __init__(
        self,
        metric: Metric,
        models: Sequence[Points],
        rois: Sequence[Sequence[Points]],
        n_member: int,
        precision: str = "float64",
        *,
        pooled: bool = True,
    ) -> None:
        given = [*models, *(brain for roi in rois for brain in roi)]
        if metric.bootstrap != "weights":
            raise ValueError(f"{metric.name} is no inner product of RDMs")
        if len({points.n_cond for points in given}) > 1:
            raise ValueError("layers and brains are not over the same images")
        self._metric, self._dtype = metric, PRECISIONS[precision]
        self._n_member, self._layers, self._pooled = n_member, range(len(models)), pooled
        self._forms = list(in_order(Form, given))
        ends = np.cumsum([len(models), *map(len, rois)]).tolist()
        self._rois = [range(*pair) for pair in pairwise(ends)]
        self._members = [brain for roi in self._rois for brain in roi[:n_member]]
        self._sums = FormSums(metric, self._forms, self._wanted(), self._dtype)

    def _wanted(self) -> list[tuple[int, list[int]]]:
        """Which forms are multiplied with which others, so that few are read often."""
        brains = {
            brain: list(range(roi.start, brain)) if self._pooled else []
            for roi in self._rois
            for brain in roi
        }
        layers: dict[int, list[int]] = {layer: [] for layer in self._layers}
        # With each layer all brains are read, or with each brain all layers.
        width = [form.width for form in self._forms]
        per_layer = len(layers) * sum(width[brain] for brain in self._members)
        if per_layer <= len(self._members) * sum(width[layer] for layer in layers):
            return [*brains.items(), *((layer, self._members) for layer in layers)]
        for brain in self._members:
            brains[brain] += layers
        return [*layers.items(), *brains.items()]

    @property
    def cost(self) -> Cost:
        """What scoring takes."""
        widths, full = [form.width for form in self._forms], self._sums.multiplications
        across = sum(widths[: len(self._layers)]) * sum(widths[brain] for brain in self._members)
        return Cost(full, 2 * full, full, float(self._forms[0].n_cond * across))

    def full(self, on_progress: Progress = ignore) -> list[DrawScores]:
        """Score every layer against every ROI, with every image once.

        Parameters
        ----------
        on_progress : callable, optional
            Called in the calling thread with the share of the work just finished.

        Returns
        -------
        list of DrawScores
            One for each ROI, of one column; `pool` and `full_pool` are the same, None unless
            pooled.
        """
        with one_blas_thread():
            return self._scores(self._sums.once(on_progress))

    def without_images(self, on_progress: Progress = ignore) -> list[DrawScores]:
        """Score every layer against every ROI with each image left out in turn.

        After `full` this computes half as much; `full` after this costs nothing.

        Parameters
        ----------
        on_progress : callable, optional
            As in `full`.

        Returns
        -------
        list of DrawScores
            One for each ROI, of n_cond columns; `full_pool` has every image once.
        """
        with one_blas_thread():
            return self._scores(self._sums.without_images(on_progress))

    def draws(
        self, counts: Counts, halves: Counts, on_progress: Progress = ignore
    ) -> list[DrawScores]:
        """Score every layer against every ROI in draws of images.

        A draw costs nearly as much as `full`, so that forming the RDMs is faster unless there are
        far more images than dimensions.

        Parameters
        ----------
        counts, halves : ndarray of uint8, shape (n_cond, n_draw)
            How often each image is in each bootstrap draw, and in each half; the columns of results
            are those of both.
        on_progress : callable, optional
            As in `full`.

        Returns
        -------
        list of DrawScores
            One for each ROI, with `without_image` and `pool_without_image`.
        """
        weights = np.concatenate([counts, halves], axis=1)
        share = 2 / (2 + weights.shape[1])

        def first(part: float) -> None:
            on_progress(part * share)

        def rest(part: float) -> None:
            on_progress(part * (1 - share))

        left_out = self.without_images(first)
        with one_blas_thread():
            drawn = self._scores(self._sums.weighted(weights, rest))
        return [
            replace(found, without_image=without.scores, pool_without_image=without.pool)
            for found, without in zip(drawn, left_out, strict=True)
        ]

    def permuted(self, permutations: Permutations, on_progress: Progress = ignore) -> FloatArray:
        """Score every layer against every ROI under every permutation.

        Held in memory besides: the points of all ROIs' members.

        Parameters
        ----------
        permutations : Permutations
            Of the images.
        on_progress : callable, optional
            As in `full`.

        Returns
        -------
        ndarray of shape (n_roi, n_layer, 1 + n_draw)
            Means over an ROI's members. The first is not permuted.
        """
        with one_blas_thread():
            return self._permuted(permutations.orders(), on_progress)

    def _permuted(self, orders: NDArray[np.int64], on_progress: Progress) -> FloatArray:
        n_draw, n_brain, n_layer = len(orders), len(self._members), len(self._layers)
        norms = np.sqrt(self._own(self._sums.once())[1][:, 0])
        # A model in an order scores as the brains in the inverse order do.
        inverse = np.argsort(orders, axis=1)

        def read(index: int) -> NDArray[Any]:
            return self._forms[index].read(0, orders.shape[1]).astype(self._dtype)

        vectors = list(in_order(read, self._members))
        cells = [(draw, brain) for draw in range(n_draw) for brain in range(n_brain)]
        widest = max(each.shape[1] for each in vectors)
        step = max(1, _PERMUTED // widest)
        groups = [cells[start : start + step] for start in range(0, len(cells), step)]
        inner = np.empty((n_brain, n_layer, n_draw))
        for layer in self._layers:
            for group in groups:
                moved = [_Reordered(vectors[brain], inverse[draw]) for draw, brain in group]
                pieces = [Piece(k + 1, 0, each.width) for k, each in enumerate(moved)]
                forms: list[Vectors] = [self._forms[layer], *moved]
                products = multiply(forms, Chunk(0, [], pieces), self._dtype)
                for (draw, brain), product in zip(group, products, strict=True):
                    index = self._members[brain]
                    inner[brain, layer, draw] = self._sums.inner_of(layer, index, product)
                on_progress(1 / (n_layer * len(groups)))
        inner /= norms[self._members, None, None] * norms[None, : len(self._layers), None]
        return np.asarray(inner.reshape(-1, self._n_member, n_layer, n_draw).mean(axis=1))

    def _own(self, sums: PairSums) -> tuple[FloatArray, FloatArray]:
        """Squares of all RDMs, plain and the metric's; NaN where they are rounding error."""
        own = [self._sums.rows[form, form] for form in range(len(self._forms))]
        inner, noise = sums.inner[own], sums.noise[own]
        known = inner > noise
        return np.where(known, sums.plain[own], np.nan), np.where(known, inner, np.nan)

    def _scores(self, sums: PairSums) -> list[DrawScores]:
        """Scores and pools of each ROI."""
        rows, layers = self._sums.rows, self._layers
        plain, inner = self._own(sums)
        full = self._own(self._sums.once())
        found = []
        for roi in self._rois:
            members = roi[: self._n_member]
            cells = np.array([[rows[layer, brain] for layer in layers] for brain in members])
            norms = np.sqrt(inner[members][:, None] * inner[None, : len(layers)])
            scores = np.clip(sums.inner[cells] / norms, -1.0, 1.0)
            if not self._pooled:
                found.append(DrawScores(scores, None))
                continue
            pairs = np.array([[rows[a, b] for a in roi] for b in roi])
            pools = [
                _pool(each.inner[pairs], of_plain[roi], of_inner[roi])
                for each, of_plain, of_inner in (
                    (sums, plain, inner),
                    (self._sums.once(), *full),
                )
            ]
            found.append(DrawScores(scores, None, *pools))
        return found


def _pool(inner: FloatArray, plain: FloatArray, own: FloatArray) -> Pool:
    """Pool RDMs of unit mean square, also where the metric is whitened, as rsatoolbox does."""
    return Pool(inner / np.sqrt(plain[:, None] * plain[None]), np.sqrt(own / plain))
