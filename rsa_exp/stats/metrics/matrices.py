"""Metrics of whole matrices: Bures similarity and distance, and the Riemannian distance.

Bures compares second-moment matrices ``G = -H D H / 2``. Its core, the fidelity
``tr (A^1/2 B A^1/2)^1/2``, is the sum of the singular values of ``F_A' F_B`` for any factors with
``F F' = G``. A pivoted Cholesky factor costs n r^2 for rank r (measured RDMs have at most as many
dimensions as there are voxels), an eigenvalue decomposition 9 n^3; so Cholesky comes first, and
eigenvalues only for an RDM that is not Euclidean, whose G has negative ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported at first use: other metrics need none
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray, Rdm, complete_images, kept_pairs
from rsa_exp.stats.missing_pairs import group_by_missing, union

__all__ = ["Matrix", "compare_bures", "compare_bures_metric", "compare_riemann", "prepare_bures"]

# A matrix whose factor does not reproduce it to this relative error is indefinite.
_RESIDUAL = 1e-11
# Up to this rank singular values are taken as they are; beyond, as roots of eigenvalues.
_SMALL = 600


@dataclass(frozen=True)
class Matrix:
    """An RDM prepared for a metric of whole matrices.

    Attributes
    ----------
    rdm : Rdm
        The RDM itself.
    factor : ndarray of shape (n_cond, rank), or None
        ``F`` with ``F diag(signs) F' = G``; None where it is not needed or pairs are missing.
    signs : ndarray of shape (rank,), or None
        1 or -1.
    trace : float
        Of G.
    """

    rdm: Rdm
    factor: FloatArray | None = None
    signs: NDArray[np.float64] | None = None
    trace: float = float("nan")

    @property
    def missing(self) -> NDArray[np.int64]:
        """Indices of missing pairs."""
        return self.rdm.missing

    @property
    def n_cond(self) -> int:
        """Images."""
        return self.rdm.n_cond


def prepare_bures(rdm: Rdm) -> Matrix:
    """Factor the second-moment matrix of an RDM."""
    if len(rdm.missing):
        return Matrix(rdm)
    moments: FloatArray = scipy.spatial.distance.squareform(rdm.values / -2)
    means = moments.mean(axis=0)
    moments += means.mean() - means[:, None] - means[None, :]
    factor, signs = _factor(moments)
    return Matrix(rdm, factor, signs, float(np.trace(moments)))


def _factor(moments: FloatArray) -> tuple[FloatArray, NDArray[np.float64]]:
    """Return F and signs with ``F diag(signs) F' = moments``."""
    size = float(np.linalg.norm(moments))
    if moments.diagonal().min() >= 0 and size > 0:
        lower, pivots, rank, _ = scipy.linalg.lapack.dpstrf(moments, lower=1)
        triangle = np.tril(lower)[:, :rank]
        factor = np.empty_like(triangle)
        factor[pivots - 1] = triangle
        if np.linalg.norm(moments - factor @ factor.T) <= _RESIDUAL * size:
            return factor, np.ones(rank)
    values, axes = scipy.linalg.eigh(moments, check_finite=False)
    used = np.abs(values) > len(values) * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    return axes[:, used] * np.sqrt(np.abs(values[used])), np.sign(values[used])


def _fidelity(brain: Matrix, model: Matrix) -> float:
    """``tr (A^1/2 B A^1/2)^1/2`` as rsatoolbox has it, for indefinite RDMs too.

    Negative eigenvalues are clipped in A and in the product, not in B.
    """
    if brain.factor is None or brain.signs is None or model.factor is None or model.signs is None:
        raise TypeError("Bures metrics compare RDMs prepared for them")
    cross = brain.factor[:, brain.signs > 0].T @ model.factor
    if 0 in cross.shape:
        return 0.0
    if (model.signs > 0).all():
        if min(cross.shape) <= _SMALL:
            return float(scipy.linalg.svdvals(cross, overwrite_a=True, check_finite=False).sum())
        cross = cross if cross.shape[0] <= cross.shape[1] else cross.T
        squares = scipy.linalg.eigvalsh(cross @ cross.T, overwrite_a=True, check_finite=False)
    else:
        squares = scipy.linalg.eigvalsh(
            (cross * model.signs) @ cross.T, overwrite_a=True, check_finite=False
        )
    return float(np.sqrt(np.maximum(squares, 0.0)).sum())


def _over_common_images(
    brain: Matrix, models: Sequence[Matrix]
) -> Iterator[tuple[int, Matrix, Matrix]]:
    """Yield each model's number, and both RDMs over the images that miss no pair in either.

    The brain RDM is prepared once for all models that leave it the same images.
    """
    none = np.empty(0, np.int64)
    for missing, members in group_by_missing(brain, models):
        if not len(missing):
            yield from ((k, brain, models[k]) for k in members)
            continue
        keep = complete_images(missing, brain.n_cond)
        pairs, n_cond = kept_pairs(keep), int(keep.sum())
        left = prepare_bures(Rdm(brain.rdm.values[pairs], none, n_cond))
        for k in members:
            yield k, left, prepare_bures(Rdm(models[k].rdm.values[pairs], none, n_cond))


def compare_bures(brain: Matrix, models: Sequence[Matrix]) -> FloatArray:
    """Bures similarity of one RDM with several, in [0, 1] for Euclidean RDMs; NaN if one is 0."""
    scores = np.full(len(models), np.nan)
    for k, left, right in _over_common_images(brain, models):
        if left.trace > 0 and right.trace > 0:
            scores[k] = _fidelity(left, right) / np.sqrt(left.trace * right.trace)
    return scores


def compare_bures_metric(brain: Matrix, models: Sequence[Matrix]) -> FloatArray:
    """Squared Bures distance of one RDM to several, in the units of a squared distance."""
    scores = np.empty(len(models))
    for k, left, right in _over_common_images(brain, models):
        scores[k] = left.trace + right.trace - 2 * _fidelity(left, right)
    return scores


def compare_riemann(brain: Matrix, models: Sequence[Matrix]) -> FloatArray:
    """Negative Riemannian distance, by rsatoolbox's search; NaN where not positive definite."""
    from rsatoolbox.rdm import compare

    scores = np.full(len(models), np.nan)
    for k, model in enumerate(models):
        missing = union(brain.missing, model.missing)
        pairs = kept_pairs(complete_images(missing, brain.n_cond)) if len(missing) else slice(None)
        left, right = brain.rdm.values[pairs], model.rdm.values[pairs]
        try:
            with np.errstate(invalid="raise", divide="raise"):
                scores[k] = compare(left, right, "neg_riem_dist")[0, 0]
        except (np.linalg.LinAlgError, FloatingPointError):
            continue
    return scores
