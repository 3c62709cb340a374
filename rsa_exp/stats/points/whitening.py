"""What whitening subtracts from sums over pairs, for RDMs of points.

The formulas are those of `rsa_exp.stats.bootstrap.whitening`: sums over images alone, of products
of two RDMs' image sums ``X w = U K U'w + w mean``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.parallel import in_order
from rsa_exp.stats.points.forms import Form, block_starts

__all__ = ["image_terms"]

# Columns of weights of one pass.
_GROUP = 32


def image_terms(
    forms: Sequence[Form],
    pairs: Sequence[tuple[int, int]],
    weights: NDArray[np.integer],
    sums: Sequence[FloatArray],
    means: FloatArray,
) -> FloatArray:
    """Sum the terms to be subtracted from sums over pairs, on all cores.

    Parameters
    ----------
    forms : sequence of Form
        The RDMs.
    pairs : sequence of tuple of int
        Indices of two forms each.
    weights : ndarray of shape (n_cond, n_column)
        How often each image is in each draw.
    sums : sequence of ndarray of shape (width, n_column)
        ``U'w`` of each form.
    means : ndarray of shape (n_form, n_column)
        What is subtracted from each RDM's dissimilarities.

    Returns
    -------
    ndarray of shape (n_pair, n_column)
    """
    found = []
    for start in range(0, weights.shape[1], _GROUP):
        group = slice(start, start + _GROUP)
        kept = weights[:, group].astype(np.float64)
        drawn = [
            form.apply(each[:, group], mean[group])
            for form, each, mean in zip(forms, sums, means, strict=True)
        ]
        found.append(_of_group(forms, pairs, kept, drawn, means[:, group]))
    return np.concatenate([np.empty((len(pairs), 0)), *found], axis=1)


def _of_group(
    forms: Sequence[Form],
    pairs: Sequence[tuple[int, int]],
    weights: FloatArray,
    drawn: Sequence[FloatArray],
    means: FloatArray,
) -> FloatArray:
    n_cond, n_column = weights.shape
    total = weights.sum(axis=0)
    a, b = np.array(pairs).T
    starts = block_starts(n_cond, max(form.width for form in forms))

    def work(start: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        stop = min(start + starts.step, n_cond)
        times = weights[start:stop]
        diagonal = 2 + total - 2 * times
        # An image that makes up half of a draw and one more: at most one in a column.
        rows, columns = np.nonzero(diagonal == 0)
        diagonal[rows, columns] = np.inf
        share = times / diagonal
        by_image = np.empty((len(forms), *times.shape))
        for f, form in enumerate(forms):
            np.matmul(form.read(start, stop), drawn[f], out=by_image[f])
            by_image[f] += means[f] * times
        lone = np.full((len(forms), n_column), np.nan)
        lone[:, columns] = by_image[:, rows, columns]
        shared = by_image * share
        products = np.empty((len(pairs), n_column))
        for p, (x, y) in enumerate(pairs):
            np.einsum("ik,ik->k", shared[x], by_image[y], out=products[p])
        return products, shared.sum(axis=1), share.sum(axis=0), lone

    products, singles = np.zeros((len(pairs), n_column)), np.zeros((len(forms), n_column))
    even, lone = np.zeros(n_column), np.full((len(forms), n_column), np.nan)
    for part in in_order(work, starts):
        for into, added in zip((products, singles, even), part[:3], strict=True):
            into += added
        known = np.isfinite(part[3][0])
        lone[:, known] = part[3][:, known]
    terms = products - singles[a] * singles[b] / (1 + even)
    # Where d of one image is 0, its row of the system says w's = b, and the others follow.
    k = np.isfinite(lone[0])
    x, y = lone[a][:, k], lone[b][:, k]
    terms[:, k] = products[:, k] - x * singles[b][:, k] - y * singles[a][:, k]
    terms[:, k] += x * y * (1 + even[k])
    return np.asarray(terms)
