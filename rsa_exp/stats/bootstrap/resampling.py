"""Scores in draws or permutations of images by resampling RDMs, for any metric.

Each costs a whole comparison, so this is for metrics that no weighting of the images expresses:
Kendall's tau, Bures, and ranks or whitened metrics of RDMs with missing pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import Counts, FloatArray, IntArray, Rdm, count_pairs
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.parallel import Progress, ignore, in_order
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["permuted_scores", "resample", "resampled_scores"]


@compiled
def _resample(
    values: FloatArray, images: IntArray, n_cond: int, copies: float, out: FloatArray
) -> None:
    index = 0
    for a in range(images.shape[0]):
        for b in range(a + 1, images.shape[0]):
            i, j = min(images[a], images[b]), max(images[a], images[b])
            if i == j:
                out[index] = copies
            else:
                out[index] = values[i * (2 * n_cond - i - 1) // 2 + j - i - 1]
            index += 1


def resample(rdm: Rdm, images: IntArray, copies: float = np.nan) -> FloatArray:
    """Condensed RDM of some of the images, in any order, each as often as it is named.

    Parameters
    ----------
    rdm : Rdm
        Of all images.
    images : ndarray of int, shape (n_image,)
        Indices of images.
    copies : float
        The dissimilarity of two copies of one image.

    Returns
    -------
    ndarray of shape (n_image (n_image - 1) / 2,)
        In memory of its own.
    """
    out = np.empty(count_pairs(len(images)))
    _resample(rdm.values, images, rdm.n_cond, copies, out)
    return out


def _prepare(rdm: Rdm, metric: Metric, images: IntArray) -> Any:
    # Metrics of whole matrices take a copy as a point at distance 0; others leave such pairs out.
    copies = 0.0 if metric.missing == "images" else np.nan
    return metric.prepare(Rdm.of(resample(rdm, images, copies)), np.float64)


def _each(
    work: Callable[[IntArray], FloatArray],
    draws: Sequence[IntArray],
    shape: tuple[int, int],
    on_progress: Progress,
) -> FloatArray:
    scores = np.empty((*shape, len(draws)))
    for index, result in enumerate(in_order(work, draws)):
        scores[:, :, index] = result
        on_progress(1 / len(draws))
    return scores


def resampled_scores(
    brains: Sequence[Rdm],
    models: Sequence[Rdm],
    metric: Metric,
    counts: Counts,
    on_progress: Progress = ignore,
) -> FloatArray:
    """Scores in bootstrap draws of images.

    Parameters
    ----------
    brains, models : sequence of Rdm
        Over the same images; left as they are.
    metric : Metric
        Any.
    counts : ndarray of uint8, shape (n_cond, n_draw)
        How often each draw contains each image.
    on_progress : callable, optional
        Called in the calling thread with the share of the work just finished.

    Returns
    -------
    ndarray of shape (n_brain, n_model, n_draw)
        NaN where undefined.
    """

    def work(images: IntArray) -> FloatArray:
        if count_pairs(len(np.unique(images))) < MIN_PAIRS:
            return np.full((len(brains), len(models)), np.nan)
        drawn = [_prepare(model, metric, images) for model in models]
        scored = [metric.compare(_prepare(brain, metric, images), drawn) for brain in brains]
        return np.stack(scored)

    indices = np.arange(len(counts))
    draws = [np.repeat(indices, counts[:, draw]) for draw in range(counts.shape[1])]
    return _each(work, draws, (len(brains), len(models)), on_progress)


def permuted_scores(
    brains: Sequence[Rdm],
    models: Sequence[Rdm],
    metric: Metric,
    orders: IntArray,
    on_progress: Progress = ignore,
) -> FloatArray:
    """Scores after the models' images are permuted.

    Parameters
    ----------
    brains, models, metric
        As in `resampled_scores`.
    orders : ndarray of int, shape (n_draw, n_cond)
        Permutations of the images.
    on_progress : callable, optional
        As in `resampled_scores`.

    Returns
    -------
    ndarray of shape (n_brain, n_model, n_draw)
        NaN where undefined.
    """
    same = np.arange(orders.shape[1])
    kept = list(in_order(lambda brain: _prepare(brain, metric, same), brains))

    def work(order: IntArray) -> FloatArray:
        permuted = [_prepare(model, metric, order) for model in models]
        return np.stack([metric.compare(brain, permuted) for brain in kept])

    return _each(work, list(orders), (len(brains), len(models)), on_progress)
