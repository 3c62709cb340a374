"""RDMs from patterns of images, through points where there are any, else through Gram matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from rsa_exp.stats.condensed import FloatArray, IntArray, count_pairs, put_rows
from rsa_exp.stats.patterns.measurements import group_sums
from rsa_exp.stats.points.points import ArrayPoints, condensed_rdm

__all__ = ["CrossValidated", "Embedded", "Geometry", "poisson_features"]

# Images whose distances to all others are formed at a time: always as many, so that the same
# patterns give the same bits.
_ROWS = 256


class Geometry(ABC):
    """Dissimilarities between images, none of which is undefined for those asked for."""

    @abstractmethod
    def points(self, positions: IntArray) -> ArrayPoints | None:
        """Return the chosen images, each once, as points; None where there is no such form."""

    @abstractmethod
    def rdm(self, positions: IntArray) -> FloatArray:
        """Return the chosen images' condensed RDM, shape (n_pairs,)."""


@dataclass(frozen=True)
class Embedded(Geometry):
    """Distances that are those of points.

    Attributes
    ----------
    values : ndarray of shape (n_image, n_dim)
    signs : ndarray of shape (n_dim,), or None
        As in `rsa_exp.stats.points.points.Points`.
    """

    values: FloatArray
    signs: FloatArray | None = None

    def points(self, positions: IntArray) -> ArrayPoints:
        """Return the points of the chosen images; of all in their order without a copy."""
        whole = np.array_equal(positions, np.arange(len(self.values)))
        return ArrayPoints(self.values if whole else self.values[positions], self.signs)

    def rdm(self, positions: IntArray) -> FloatArray:
        """Return their distances."""
        return condensed_rdm(self.points(positions))


@dataclass(frozen=True)
class CrossValidated(Geometry):
    """Distances made of products of measurements in different folds.

    With S_im the sum and N_im the number of image i's rows in fold m, S_i and N_i their sums over
    folds, and P the number of channels, these are ``d_ij = G_ii + G_jj - 2 G_ij`` of

        G_ij = (S_i . S_j - sum_m S_im . S_jm) / (P (N_i N_j - sum_m N_im N_jm)),

    the mean product of two rows of different folds (crossnobis as rsatoolbox's
    ``calc_rdm_unbalanced`` has it, where each pair of rows counts alike). Where all images have
    as many rows in each fold, the divisor is the same for all pairs, and with H an orthonormal
    Helmert matrix of M folds, ``sum_{m != l} S_m S_l = (M - 1) (HS)_0^2 - sum_{k > 0} (HS)_k^2``:
    points with M P dimensions. With unequal numbers there are none; then a pattern that is added to
    all rows does not cancel out, but is multiplied by the noise, so each channel's mean is better
    subtracted before (``zscore``).

    Attributes
    ----------
    values : ndarray of shape (n_cell, n_dim)
        Sum of the rows of each image in each fold where it has any, by image, then fold.
    images, folds, counts : ndarray of int, shape (n_cell,)
        Image, fold and number of rows of each.
    n_channel : int
        P.
    signs : ndarray of shape (n_dim,), or None
        Sign of each dimension in products; None is 1 for all.
    scores : ndarray of shape (n_cell,), or None
        For Poisson distances, where ``N_i s_j + N_j s_i`` of other folds, halved, is taken from
        S_i . S_j: sum of each row's own product s.
    """

    values: FloatArray
    images: IntArray
    folds: IntArray
    counts: IntArray
    n_channel: int
    signs: FloatArray | None = None
    scores: FloatArray | None = None

    def _choose(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Cells of the chosen images by their order and fold, and each one's place in it."""
        places = np.full(max(self.images.max(), positions.max()) + 1, -1)
        places[positions] = np.arange(len(positions))
        cells = np.flatnonzero(places[self.images] >= 0)
        cells = cells[np.argsort(places[self.images[cells]], kind="stable")]
        return cells, places[self.images[cells]]

    def equal_counts(self, positions: IntArray) -> IntArray | None:
        """Rows in each fold, shape (n_fold,), if all chosen images have as many; else None."""
        cells, _ = self._choose(positions)
        if len(cells) % len(positions):
            return None
        folds = self.folds[cells].reshape(len(positions), -1)
        counts = self.counts[cells].reshape(len(positions), -1)
        equal = (folds == folds[0]).all() and (counts == counts[0]).all()
        return counts[0] if equal else None

    def points(self, positions: IntArray) -> ArrayPoints | None:
        """Return points where all chosen images have as many rows in each fold."""
        from scipy.linalg import helmert  # not for other distances

        counts = self.equal_counts(positions)
        if counts is None:
            return None
        n_cond, n_fold = len(positions), len(counts)
        cells, _ = self._choose(positions)
        divisor = float(counts.sum() ** 2 - (counts**2).sum()) * self.n_channel
        scales = np.sqrt(np.r_[n_fold - 1, np.ones(n_fold - 1)] / divisor)
        rotated = (scales[:, None] * helmert(n_fold, full=True)) @ self.values[cells].reshape(
            n_cond, n_fold, -1
        )
        signs = np.outer(
            np.r_[1.0, np.full(n_fold - 1, -1.0)],
            np.ones(self.values.shape[1]) if self.signs is None else self.signs,
        )
        return ArrayPoints(rotated.reshape(n_cond, -1), signs.ravel())

    def rdm(self, positions: IntArray) -> FloatArray:
        """Return the distances; images in one fold alone must not be among the chosen."""
        points = self.points(positions)
        return self._from_gram(positions) if points is None else condensed_rdm(points)

    def _sides(self, cells: IntArray) -> tuple[FloatArray, FloatArray]:
        """Cells as left and right factors of a product."""
        left = self.values[cells]
        right = left if self.signs is None else left * self.signs
        if self.scores is not None:
            scores, counts = self.scores[cells, None], self.counts[cells, None]
            left = np.hstack([left, counts, scores])
            right = np.hstack([right, -scores / 2, -counts / 2])
        return left, right

    def self_products(self, positions: IntArray) -> FloatArray:
        """G_ii of the chosen images, shape (n_cond,); NaN for one in one fold alone."""
        cells, places = self._choose(positions)
        left, right = self._sides(cells)
        counts = self.counts[cells]
        n_cond = len(positions)
        sums = (group_sums(side, places, n_cond) for side in (left, right))
        products = np.einsum("ij,ij->i", *sums)
        products -= np.bincount(places, np.einsum("ij,ij->i", left, right), n_cond)
        divisor = np.bincount(places, counts, n_cond) ** 2 - np.bincount(places, counts**2, n_cond)
        result = np.full(n_cond, np.nan)
        np.divide(products, divisor * self.n_channel, out=result, where=divisor > 0)
        return result

    def _from_gram(self, positions: IntArray) -> FloatArray:
        n_cond = len(positions)
        cells, places = self._choose(positions)
        left, right = self._sides(cells)
        own = self.self_products(positions)
        fold_codes, folds = np.unique(self.folds[cells], return_inverse=True)
        # Rows of each image in all folds and in each, and what is taken from their products.
        counts = np.zeros((n_cond, 1 + len(fold_codes)))
        counts[places, 1 + folds] = self.counts[cells]
        counts[:, 0] = counts.sum(axis=1)
        taken = np.r_[1.0, np.full(len(fold_codes), -1.0)] * counts
        # Folds that hold most images are part of one product, others are subtracted one by one.
        whole = [(group_sums(left, places, n_cond), group_sums(right, places, n_cond))]
        scattered = []
        for fold in range(len(fold_codes)):
            rows = np.flatnonzero(folds == fold)
            place, a, b = places[rows], left[rows], right[rows]
            if 2 * len(rows) < n_cond:
                scattered.append((place, a, b))
            else:
                whole.append((group_sums(-a, place, n_cond), group_sums(b, place, n_cond)))
        panel, other_panel = (np.hstack(parts) for parts in zip(*whole, strict=True))
        condensed = np.empty(count_pairs(n_cond))
        for first in range(0, n_cond, _ROWS):
            block = panel[first : first + _ROWS] @ other_panel[first:].T
            for place, a, b in scattered:
                low, high = np.searchsorted(place, (first, first + _ROWS))
                within = np.ix_(place[low:high] - first, place[low:] - first)
                block[within] -= a[low:high] @ b[low:].T
            # Above 0 where both images are in two folds.
            divisor = taken[first : first + _ROWS] @ counts[first:].T
            divisor *= -self.n_channel / 2
            block /= divisor
            block += own[first : first + _ROWS, None]
            block += own[first:]
            put_rows(condensed, first, block)
        return condensed


def poisson_features(rates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rates and their logarithms as dimensions whose signed products are those of the two.

    The symmetrised Kullback-Leibler divergence of Poisson distributions with rates v and w is
    ``sum (v - w) (log v - log w)``, and ``2 a b = ((a + b)^2 - (a - b)^2) / 2``. Rates get
    rsatoolbox's prior: 0.1 measurements of rate 1.

    Parameters
    ----------
    rates : ndarray of shape (n_row, n_channel)
        Not negative.

    Returns
    -------
    features : ndarray of shape (n_row, 2 n_channel)
    signs : ndarray of shape (2 n_channel,)
        With these, ``features . features`` of two rows is ``(v . log w + w . log v) / 2``.
    scores : ndarray of shape (n_row,)
        ``v . log v`` of each row.
    """
    rates = (rates + 0.1) / 1.1
    logs = np.log(rates)
    # Both get the same spread, so that their squares cancel without a loss of digits.
    spread, log_spread = rates.std(axis=0), logs.std(axis=0)
    ratio = np.ones(len(spread))
    np.divide(log_spread, spread, out=ratio, where=(spread > 0) & (log_spread > 0))
    ratio = np.sqrt(ratio)
    scores = np.einsum("ij,ij->i", rates, logs)
    rates *= ratio / 2
    logs /= 2 * ratio
    signs = np.repeat([1.0, -1.0], rates.shape[1])
    return np.hstack([rates + logs, rates - logs]), signs, scores
