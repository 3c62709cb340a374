"""Square RDMs: what must be true of one that has a condensed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["square_problem"]

# Part of the largest dissimilarity by which rounding may break symmetry, in single precision too.
_ROUNDING = 1e-6


def square_problem(squares: NDArray[Any]) -> str | None:
    """Explain why square matrices are no RDMs; None if they are.

    Parameters
    ----------
    squares : ndarray of shape (..., n_cond, n_cond)
        Real numbers; NaN marks a missing pair.

    Returns
    -------
    str or None
        Completes a sentence: ``has a diagonal that is not 0; ...``.
    """
    tolerance = _ROUNDING * np.max(np.abs(squares), initial=0, where=np.isfinite(squares))
    if (np.abs(np.diagonal(squares, axis1=-2, axis2=-1)) > tolerance).any():
        return "has a diagonal that is not 0; pass dissimilarities, not similarities"
    transposed = squares.swapaxes(-1, -2)
    if not np.allclose(squares, transposed, rtol=0, atol=tolerance, equal_nan=True):
        return "is not symmetric; pass the mean of both triangles"
    return None
