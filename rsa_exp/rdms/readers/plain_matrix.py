"""Matrices that a file stores plainly, read by rows: they may be larger than memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.stats.condensed import IntArray

__all__ = ["PlainMatrix"]


class PlainMatrix:
    """A matrix that lies in a file row by row, without compression.

    Rows are read past the library of the format, by several threads at once.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Byte at which the first row begins.
    shape : tuple of int
        (n_row, n_column).
    dtype : dtype
        Of numbers, as they are stored.

    Raises
    ------
    InputError
        If the file ends before the matrix does.
    """

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, int], dtype: np.dtype[Any]
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self._offset = offset
        self._row_bytes = shape[1] * dtype.itemsize
        end = offset + shape[0] * self._row_bytes
        size = path.stat().st_size
        if end > size:
            raise InputError(
                f"{path} is truncated: it declares {shape[0]} rows of patterns up to byte {end}, "
                f"and ends at {size}; copy it again"
            )
        self._descriptor: int | None = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        """Close the file; reading after this is an error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, rows: IntArray | slice = slice(None)) -> NDArray[Any]:
        """Return some rows, or all of them, in memory of their own.

        Raises
        ------
        InputError
            If the file has become shorter.
        """
        if self._descriptor is None:
            raise ValueError(f"{self.path} is closed")
        chosen = np.arange(self.shape[0])[rows]
        values = np.empty((len(chosen), self.shape[1]), dtype=self.dtype)
        buffer = values.reshape(-1).view(np.uint8).data
        # Neighbours in the file are read together.
        ends = np.flatnonzero(np.diff(chosen, append=-2) != 1) + 1
        start = 0
        for stop in ends.tolist():
            self._fill(buffer[start * self._row_bytes : stop * self._row_bytes], int(chosen[start]))
            start = stop
        return values

    def _fill(self, view: memoryview, row: int) -> None:
        offset = self._offset + row * self._row_bytes
        while len(view):
            count = os.preadv(self._descriptor or 0, [view], offset)
            if count == 0:
                raise InputError(f"{self.path} is truncated; copy it again")
            view, offset = view[count:], offset + count
