"""Patterns whose matrices are stored one by one: arrays in files, in archives, or in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.stats.condensed import IntArray

__all__ = ["LoadedArray", "Matrix", "MatrixPatterns", "StoredArray"]


class Matrix(Protocol):
    """Numbers in a file, whose shape is known before they are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, in numpy's order of dimensions."""
        ...

    def read(self) -> NDArray[Any]:
        """Read it whole, in native byte order."""
        ...

    def read_rows(self, rows: IntArray) -> NDArray[Any] | None:
        """Read some rows, shape (len(rows), n_column); None if it must be read whole."""
        ...

    def close(self) -> None:
        """Release what it holds open."""
        ...


class StoredArray(Matrix, Protocol):
    """An array of which the type is known too."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which it is stored."""
        ...


@dataclass(frozen=True)
class LoadedArray:
    """An array that had to be read with its file."""

    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape

    def read(self) -> NDArray[Any]:
        """Return it."""
        return self.values

    def read_rows(self, rows: IntArray) -> NDArray[Any]:
        """Return some of its rows."""
        return np.asarray(self.values[rows])

    def close(self) -> None:
        """Nothing is held open."""


class MatrixPatterns(PatternSource):
    """A source of matrices that are read when they are asked for.

    A reader of a format finds the matrices and the names of their rows and calls `_set_matrices`.
    """

    _matrices: Sequence[Matrix] = ()
    path: Path

    def _set_matrices(
        self,
        matrices: Mapping[str, Matrix],
        images: Iterable[object],
        runs: Iterable[object] | None = None,
        sessions: Iterable[object] | None = None,
    ) -> None:
        """Set matrices and labels, and check that they fit each other."""
        self._matrices = list(matrices.values())
        self._set_labels(images, matrices)
        if not matrices or not self.images:
            raise InputError(f"{self.name}: there are no patterns, or no names of images")
        self._set_folds(runs, sessions)
        for kind, labels in {
            "image name": self.images, "run": self.runs, "session": self.sessions
        }.items():  # fmt: skip
            if "" in (labels or ()):
                row = (labels or []).index("") + 1
                raise InputError(f"{self.name}: row {row} of {self.n_row} has no {kind}")
        for row_name, matrix in zip(self.row_names, self._matrices, strict=True):
            self._check_shape(matrix.shape, f"{self.name}: {self.row_kind} '{row_name}'")

    def close(self) -> None:
        """Close what the matrices hold open."""
        for matrix in self._matrices:
            matrix.close()

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_row, n_channel) of a matrix."""
        n_row, n_channel = self._matrices[index].shape
        return n_row, n_channel

    def read_rows(self, index: int, rows: IntArray) -> NDArray[Any] | None:
        """Return some rows of a matrix; None if it must be read whole."""
        return self._matrices[index].read_rows(rows)

    def _fetch(self, index: int) -> NDArray[Any]:
        return self._matrices[index].read()
