"""How reliable patterns are, from repeated measurements of the same images."""

from __future__ import annotations

import numpy as np

from rsa_exp.stats.condensed import FloatArray, IntArray
from rsa_exp.stats.patterns.geometry import CrossValidated
from rsa_exp.stats.patterns.measurements import Measurements, group_sums, nearly_constant
from rsa_exp.vocabulary import MIN_IMAGES

__all__ = ["half_correlations", "signal_to_noise", "spearman_brown", "split_half_reliability"]


def split_half_reliability(measurements: Measurements) -> FloatArray:
    """Correlate each channel's responses to images between two halves of the repetitions.

    An image's first, third, fifth ... row is in one half, its second, fourth ... in the other;
    each half is averaged for each image, and the two are correlated over images, as is usual for
    choosing voxels (Tarhan & Konkle 2020, NeuroImage 207:116350). Images with one measurement tell
    nothing and are left out. `spearman_brown` gives the reliability of all repetitions together.

    Parameters
    ----------
    measurements : Measurements
        Rows without any finite value are left out.

    Returns
    -------
    ndarray of shape (n_channel,)
        Pearson correlations; NaN for a channel that is constant in one half or not finite, and for
        all if fewer than three images were repeated.
    """
    values = measurements.values
    present = np.isfinite(values).any(axis=1)
    values = values[present].astype(np.float64)
    finite = np.isfinite(values).all(axis=0)
    result = np.full(values.shape[1], np.nan)
    result[finite] = half_correlations(values[:, finite], measurements.images[present])
    return result


def half_correlations(values: FloatArray, images: IntArray) -> FloatArray:
    """Do the same with finite rows and the image of each."""
    order = np.argsort(images, kind="stable")
    _, first, inverse, counts = np.unique(
        images[order], return_index=True, return_inverse=True, return_counts=True
    )
    n_image = int((counts >= 2).sum())
    if n_image < MIN_IMAGES:
        return np.full(values.shape[1], np.nan)
    odd = (np.arange(len(order)) - first[inverse]) % 2
    used = counts[inverse] >= 2
    halves = 2 * np.unique(inverse[used], return_inverse=True)[1] + odd[used]
    means = group_sums(values[order[used]], halves, 2 * n_image)
    means /= np.bincount(halves)[:, None]
    left, right = means[::2], means[1::2]
    varies = ~(nearly_constant(left) | nearly_constant(right))
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    product = np.einsum("ij,ij->j", left, right)
    squares = np.einsum("ij,ij->j", left, left) * np.einsum("ij,ij->j", right, right)
    result = np.full(len(product), np.nan)
    np.divide(product, np.sqrt(squares), out=result, where=varies & (squares > 0))
    return result


def spearman_brown(half: float) -> float:
    """Reliability of all repetitions, from the correlation r of two halves: ``2 r / (1 + r)``.

    Spearman 1910 and Brown 1910, Br. J. Psychol. 3:271-322. NaN for r = -1.
    """
    return 2 * half / (1 + half) if half > -1 else float("nan")


def signal_to_noise(cells: CrossValidated, images: IntArray) -> float:
    """Signal-to-noise ratio of crossnobis patterns: variances over images, per whitened channel.

    Products of different folds hold no noise on average (Walther et al. 2016, NeuroImage
    137:188-200). So their mean within images minus their mean between images is the variance of
    the true patterns, half the mean crossnobis distance; the mean square of an image's mean
    pattern minus its products between folds is the variance of the noise that is left in it. For
    a ratio q, ``q / (1 + q)`` is the reliability of the mean patterns.

    Parameters
    ----------
    cells : CrossValidated
    images : ndarray of int
        Images that are in at least two folds.

    Returns
    -------
    float
        Below 0 where there is no signal, by chance; NaN if the noise comes out as 0 or less.
    """
    n_image = int(cells.images.max()) + 1
    chosen = np.isin(cells.images, images)
    values, counts = cells.values[chosen], cells.counts[chosen]
    members, folds = cells.images[chosen], cells.folds[chosen]
    own = cells.self_products(images)
    per_image = np.bincount(members, counts, n_image)[images]
    own_divisor = per_image**2 - np.bincount(members, counts**2, n_image)[images]
    n_fold = int(folds.max()) + 1
    per_fold = np.bincount(folds, counts, n_fold)
    divisor = per_fold.sum() ** 2 - np.vdot(per_fold, per_fold) - own_divisor.sum()
    fold_sums = group_sums(values, folds, n_fold)
    total = fold_sums.sum(axis=0)
    between = (np.vdot(total, total) - np.vdot(fold_sums, fold_sums)) / cells.n_channel
    between = (between - np.vdot(own, own_divisor)) / divisor
    means = group_sums(values, members, n_image)[images] / per_image[:, None]
    noise = np.einsum("ij,ij->i", means, means).mean() / cells.n_channel - own.mean()
    return float((own.mean() - between) / noise) if noise > 0 else float("nan")
