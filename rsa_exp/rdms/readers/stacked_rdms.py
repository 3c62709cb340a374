"""RDMs stored as arrays of several layouts, condensed or square, one or several of a name."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.matrix_patterns import StoredArray
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.squares import square_problem
from rsa_exp.stats.condensed import FloatArray, count_pairs

__all__ = ["StackedRdms"]


class StackedRdms(RdmSource):
    """RDMs in arrays that are read when they are asked for.

    An array has the shape (n_pairs,), (n, n), (k, n_pairs), (k, n, n) or (n, n, k) for n images;
    the k RDMs of an array (sessions, repetitions) are k rows of one name. A reader of a format
    calls `_set_stacks`.
    """

    _stacks: Sequence[tuple[str, StoredArray]] = ()
    path: Path

    def _set_stacks(self, stacks: Sequence[tuple[str, StoredArray]], images: list[object]) -> None:
        """Set the arrays, each with the name of its rows, and check that they fit the images."""
        if not stacks:
            raise InputError(f"{self.name}: there are no RDMs")
        self._set_labels(images, (name for name, _ in stacks))
        if "" in self.images:
            raise InputError(f"{self.name}: image {self.images.index('') + 1} has no name")
        self._stacks = stacks
        self._row_places = []
        for i, (name, stack) in enumerate(stacks):
            self._row_places += [(i, layer) for layer in range(self._depth(name, stack))]
        self._set_labels(images, (stacks[i][0] for i, _ in self._row_places))
        self._lock, self._kept = threading.Lock(), (-1, np.empty((0, 0)))

    def _depth(self, name: str, stack: StoredArray) -> int:
        """Return how many RDMs an array has; an `InputError` if it is none of RDMs."""
        n, shape = self.n_cond, stack.shape
        n_pairs = count_pairs(n)
        is_numeric = stack.dtype.kind in "fiu"
        if is_numeric and n > 1:
            if shape in {(n_pairs,), (n, n)}:
                return 1
            if len(shape) > 1 and shape[0] > 0 and shape[1:] in {(n_pairs,), (n, n)}:
                return shape[0]
            if shape[:2] == (n, n) and len(shape) == 3 and shape[2] > 0:
                return shape[2]
        raise InputError(
            f"{self.name}: {self.row_kind} '{name}' has shape {shape!s:.80} and type "
            f"{stack.dtype}; expected numbers of shape ({n_pairs},) or ({n}, {n}) for {n} images, "
            f"or several of them: (k, {n_pairs}), (k, {n}, {n}) or ({n}, {n}, k); if these are "
            f"patterns, use {self.use_patterns}"
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _fetch(self, row: int) -> FloatArray:
        index, layer = self._row_places[row]
        with self._lock:  # the last array is kept: its other RDMs are read next
            if self._kept[0] != index:
                self._kept = (index, self._condensed(*self._stacks[index]))
            values: FloatArray = self._kept[1][layer]
        return values

    def _condensed(self, name: str, stack: StoredArray) -> FloatArray:
        """Return the RDMs of an array, shape (k, n_pairs), not to be written to."""
        n, values = self.n_cond, stack.read()
        if values.ndim < 3 and values.shape != (n, n):
            condensed = np.asarray(values, np.float64, order="C").reshape(-1, count_pairs(n))
        else:
            condensed = np.stack([self._triangle(name, square) for square in self._squares(values)])
        condensed.flags.writeable = False
        return condensed

    def _squares(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return square RDMs as (k, n, n)."""
        n = self.n_cond
        if values.ndim == 2:
            return values[np.newaxis]
        first = values.shape[1:] == (n, n) and (len(values) != n or not square_problem(values))
        return values if first else np.moveaxis(values, -1, 0)

    def _triangle(self, name: str, square: NDArray[Any]) -> FloatArray:
        from scipy.spatial.distance import squareform  # not for studies without squares

        if problem := square_problem(square):
            raise InputError(f"{self.name}: {self.row_kind} '{name}' {problem}")
        return squareform(square.astype(np.float64), checks=False)
