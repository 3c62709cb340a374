"""Missing pairs: those that either of two RDMs lacks, and the graph of images without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from rsa_exp.stats.condensed import FloatArray, IntArray, count_pairs, pair_images

__all__ = ["PresentPairs", "group_by_missing", "union"]

# Conjugate gradients end when the residual is this small beside the right-hand side.
_RESIDUAL = 1e-15


class HasMissingPairs(Protocol):
    """A prepared RDM: all that is needed here is which of its pairs are missing."""

    @property
    def missing(self) -> IntArray:
        """Indices of missing pairs, ascending."""


def union(left: IntArray, right: IntArray) -> IntArray:
    """Return the indices of the pairs that are missing in either of two RDMs, ascending."""
    if not len(left) or left is right:
        return right
    return left if not len(right) else np.union1d(left, right)


def group_by_missing(
    brain: HasMissingPairs, models: Sequence[HasMissingPairs]
) -> Iterator[tuple[IntArray, list[int]]]:
    """Group models by the pairs that are missing in them or in the brain RDM.

    Yields
    ------
    missing : ndarray of int
        Indices of the pairs to leave out.
    members : list of int
        Which of `models` share them.
    """
    groups: dict[bytes, list[int]] = {}
    for k, model in enumerate(models):
        groups.setdefault(model.missing.tobytes(), []).append(k)
    for members in groups.values():
        yield union(brain.missing, models[members[0]].missing), members


class PresentPairs:
    """The pairs that are not missing, as a graph on the images.

    Parameters
    ----------
    missing : ndarray of int
        Indices of the pairs that are left out, ascending.
    n_cond : int
        Images.

    Attributes
    ----------
    n_pairs : int
        Pairs that are left.
    degrees : ndarray of shape (n_cond,)
        Pairs that each image is left with.
    """

    def __init__(self, missing: IntArray, n_cond: int) -> None:
        self.missing = missing
        self.n_cond = n_cond
        self.n_pairs = count_pairs(n_cond) - len(missing)
        self._first, self._second = pair_images(missing, n_cond)
        self.degrees = n_cond - 1 - self.image_sums(np.ones(len(missing)))

    def image_sums(self, values: FloatArray) -> FloatArray:
        """Sum, for each image, of values given for the missing pairs."""
        return self._gather(values, values)

    def solve(self, right: FloatArray) -> FloatArray:
        """Solve ``(2 I + M'M) x = right``, M the incidence matrix of the pairs that are left.

        ``2 I + M'M = diag(1 + degrees) + 11' - G`` with G the graph of the missing pairs. If none
        are missing, Sherman-Morrison inverts it; otherwise that inverse is the preconditioner of
        conjugate gradients, which need few steps, each as cheap as missing pairs are few.
        Both sides have shape (n_cond,).
        """
        diagonal = 1 + self.degrees
        inverse = 1 / diagonal
        scale = 1 + inverse.sum()

        def precondition(vector: FloatArray) -> FloatArray:
            scaled: FloatArray = inverse * vector
            return np.asarray(scaled - inverse * (scaled.sum() / scale))

        solution = precondition(right)
        if not len(self.missing):
            return solution

        def apply(vector: FloatArray) -> FloatArray:
            product: FloatArray = diagonal * vector + vector.sum()
            return product - self.image_sums_across(vector)

        residual = right - apply(solution)
        direction = guess = precondition(residual)
        size = float(residual @ guess)
        enough = _RESIDUAL * float(np.linalg.norm(right))
        for _ in range(self.n_cond):
            if float(np.linalg.norm(residual)) <= enough or size <= 0:
                break
            image = apply(direction)
            step = size / float(direction @ image)
            solution = solution + step * direction
            residual = residual - step * image
            guess = precondition(residual)
            size, before = float(residual @ guess), size
            direction = guess + (size / before) * direction
        return solution

    def image_sums_across(self, vector: FloatArray) -> FloatArray:
        """Sum, for each image, of a vector's entries at the images it lacks the pair with."""
        return self._gather(vector[self._second], vector[self._first])

    def _gather(self, to_first: FloatArray, to_second: FloatArray) -> FloatArray:
        sums: FloatArray = np.zeros(self.n_cond)
        sums += np.bincount(self._first, to_first, self.n_cond)
        sums += np.bincount(self._second, to_second, self.n_cond)
        return sums
