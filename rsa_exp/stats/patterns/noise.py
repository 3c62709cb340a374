"""The covariance of the noise over channels, and patterns whitened by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsa_exp.stats.condensed import FloatArray

__all__ = ["Noise", "noise_covariance"]

# A channel of which this share of its variance, or less, is left when all channels before it are
# known, is a sum of them but for rounding.
_DEPENDENT = 1e-12


@dataclass(frozen=True)
class Noise:
    """A covariance of noise.

    Attributes
    ----------
    covariance : ndarray of shape (n_channel, n_channel), or (n_channel,)
        Or variances alone, where noise is independent between channels.
    shrinkage : float
        Weight of the target, from 0 (sample covariance) to 1.
    """

    covariance: FloatArray
    shrinkage: float

    def whiten(self, values: FloatArray) -> FloatArray:
        """Transform patterns, so that noise has unit variance and is uncorrelated.

        With C the lower Cholesky factor of the covariance this is ``values C^-T``, and the inner
        products of rows are those of the precision matrix.

        Parameters
        ----------
        values : ndarray of shape (n_row, n_channel)

        Returns
        -------
        ndarray of shape (n_row, n_channel)

        Raises
        ------
        numpy.linalg.LinAlgError
            If the covariance has no inverse.
        """
        if self.covariance.ndim == 1:
            return values / np.sqrt(self.covariance)
        from scipy.linalg import solve_triangular  # not for other distances

        factor = np.linalg.cholesky(self.covariance)
        if (np.diagonal(factor) ** 2 <= _DEPENDENT * np.diagonal(self.covariance)).any():
            raise np.linalg.LinAlgError("a channel is a sum of others")
        inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
        return np.asarray(values @ inverse.T)


def noise_covariance(deviations: FloatArray, dof: int, method: str) -> Noise:
    """Estimate the covariance of noise as `rsatoolbox.data.noise` does.

    Parameters
    ----------
    deviations : ndarray of shape (n_row, n_channel)
        Noise alone: residuals of a linear model, or deviations of measurements from the mean of
        their image. No channel is constant. Their mean is subtracted.
    dof : int
        Degrees of freedom: rows minus what was estimated from them (images, or regressors).
    method : {"diag", "full", "shrinkage_eye", "shrinkage_diag"}
        Variances alone; the sample covariance; shrunk towards a multiple of the identity (Ledoit &
        Wolf 2004, J. Multivar. Anal. 88:365-411); shrunk towards its own diagonal (Schäfer &
        Strimmer 2005, Stat. Appl. Genet. Mol. Biol. 4:32).

    Returns
    -------
    Noise
    """
    deviations = deviations - deviations.mean(axis=0)
    if method == "diag":
        return Noise(np.einsum("ij,ij->j", deviations, deviations) / dof, 1.0)
    covariance = deviations.T @ deviations / dof
    if method == "full":
        return Noise(covariance, 0.0)
    if method == "shrinkage_eye":
        shrinkage = _towards_identity(deviations, covariance, dof)
        target = np.full(len(covariance), np.trace(covariance) / len(covariance))
    else:
        shrinkage = _towards_diagonal(deviations, covariance, dof)
        target = np.diagonal(covariance).copy()
    diagonal = shrinkage * target + (1 - shrinkage) * np.diagonal(covariance)
    covariance *= 1 - shrinkage
    np.fill_diagonal(covariance, diagonal)
    return Noise(covariance, shrinkage)


# The sums of x_ij^2 x_ik^2 over rows i and all channels j, k are squares of row sums: no second
# matrix of channels by channels.


def _towards_identity(deviations: FloatArray, covariance: FloatArray, dof: int) -> float:
    n_row, n_channel = deviations.shape
    squares = np.einsum("ij,ij->i", deviations, deviations)
    scale = dof / n_row  # from the unbiased covariance to the mean product
    size = np.vdot(covariance, covariance) * scale**2
    distance = size - (np.trace(covariance) * scale) ** 2 / n_channel
    spread = (np.vdot(squares, squares) / n_row - size) / n_row
    return float(min(spread / distance, 1)) if distance > 0 else 0.0


def _towards_diagonal(deviations: FloatArray, covariance: FloatArray, dof: int) -> float:
    n_row = len(deviations)
    squares = deviations**2 / np.diagonal(covariance)
    spread = np.square(squares.sum(axis=1)).sum() - np.vdot(squares, squares)
    spread /= n_row - 1
    scale = np.sqrt(np.diagonal(covariance)) * np.sqrt((n_row - 1) / dof)
    correlations = covariance / scale / scale[:, None]
    np.fill_diagonal(correlations, 0)
    size = np.vdot(correlations, correlations)
    return float(np.clip(n_row / dof**2 * (spread - size) / size, 0, 1)) if size > 0 else 0.0
