"""Numbers of one HDF5 data set of any number of dimensions, read whole or some columns of them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.chunks import check_filters, read_chunk
from rsa_exp.rdms.readers.plain_matrix import PlainMatrix
from rsa_exp.stats.condensed import IntArray

__all__ = ["StoredArray", "is_numeric"]

_SMALL = 2**26  # bytes that are read whatever the file holds
_MOST_SHRUNK = 1032  # no gzip shrinks further
_MAX_CHUNK = 2**28  # bytes: a chunk is decompressed whole
_MAX_CHUNKS = 2**20
_MAX_COMPACT = 2**16  # bytes that HDF5 stores beside a data set's description


def is_numeric(values: h5py.Dataset) -> bool:
    """Whether a data set has real numbers or booleans, of at most 8 bytes, and at least one."""
    shape = values.shape
    return (
        values.dtype.kind in "fiub"
        and values.dtype.itemsize <= 8
        and bool(shape)
        and 0 not in shape
    )


class StoredArray:
    """Numbers of a data set, also as a matrix: the first dimension x all others together.

    Chunks are decompressed here and not by HDF5 (`rsa_exp.rdms.readers.chunks`). May be used from
    several threads.

    Attributes
    ----------
    shape : tuple of int
        As stored.
    dtype : dtype
        As stored.
    plain : PlainMatrix or None
        Reads rows, where the numbers lie in the file row by row.

    Raises
    ------
    InputError
        If the file declares more than it can hold, or stores the numbers in a way that is not read.
    """

    def __init__(self, values: h5py.Dataset, path: Path) -> None:
        self.shape: tuple[int, ...] = values.shape
        self.dtype: np.dtype[Any] = values.dtype
        self.plain: PlainMatrix | None = None
        self._values, self._path = values, path
        what = f"{path.name}: '{values.name}'"
        self._n_bytes = math.prod(self.shape) * self.dtype.itemsize
        if not is_numeric(values):
            raise InputError(
                f"{what} has shape {self.shape} and type {self.dtype}; expected numbers"
            )
        if values.id.get_type() != h5py.h5t.py_create(values.dtype, logical=True):
            raise InputError(f"{what} has numbers of an unusual type; store them as float32")
        layout = values.id.get_create_plist().get_layout()
        if layout == h5py.h5d.CHUNKED:
            self._check_chunked(what)
        elif layout == h5py.h5d.CONTIGUOUS:
            offset = values.id.get_offset()
            if offset is None:
                raise InputError(f"{what} declares {self._n_bytes} bytes but was never written")
            shape = (self.shape[0], math.prod(self.shape[1:]))
            self.plain = PlainMatrix(path, offset, shape, self.dtype)
        elif self._n_bytes > _MAX_COMPACT:
            raise InputError(f"{what} declares {self._n_bytes} bytes, which it cannot hold")

    def _check_chunked(self, what: str) -> None:
        values, chunks = self._values, self._values.chunks
        check_filters(values, self._path)
        held = min(values.id.get_storage_size(), self._path.stat().st_size)
        if self._n_bytes > max(_SMALL, _MOST_SHRUNK * held):
            raise InputError(
                f"{what} declares {self._n_bytes} bytes, but the file holds {held} bytes of them: "
                "it is damaged or made up"
            )
        counts = (-(-size // step) for size, step in zip(self.shape, chunks, strict=True))
        chunk = math.prod(chunks) * self.dtype.itemsize
        if chunk > max(_MAX_CHUNK, 4 * self._n_bytes // self.shape[0]):
            raise InputError(f"{what} has chunks of {chunk} bytes; use smaller chunks, or none")
        if math.prod(counts) > _MAX_CHUNKS * max(1, self._n_bytes >> 32):
            raise InputError(f"{what} has chunks of {chunk} bytes; use larger chunks, or none")

    def close(self) -> None:
        """Release the file; reading after this is an error."""
        if self.plain is not None:
            self.plain.close()

    def read(self) -> NDArray[Any]:
        """Return all numbers, in the shape they are stored in; OSError if they are damaged."""
        if self.plain is not None:
            return self.plain.read().reshape(self.shape)
        if self._values.chunks is None:
            return np.asarray(self._values[()])
        values = np.empty(self.shape, self.dtype)
        steps = self._values.chunks
        for corner in itertools.product(*map(range, itertools.repeat(0), self.shape, steps)):
            part = values[tuple(map(slice, corner, map(int.__add__, corner, steps)))]
            part[...] = self._chunk(corner)[tuple(map(slice, part.shape))]
        return values

    def _chunk(self, corner: tuple[int, ...]) -> NDArray[Any]:
        chunk = read_chunk(self._values, corner)
        if chunk is None:
            return np.full(self._values.chunks, self._values.fillvalue, self.dtype)
        return chunk

    def read_columns(self, columns: IntArray) -> NDArray[Any]:
        """Return some columns, shape (shape[0], len(columns)), with no more than one chunk besides.

        Parameters
        ----------
        columns : ndarray of int, shape (n_chosen,)
            Indices into the dimensions after the first, counted together. Chunks without any of
            them are not read.
        """
        n_row = self.shape[0]
        values = np.empty((n_row, len(columns)), self.dtype)
        if self.plain is not None:
            for row in range(n_row):
                values[row] = self.plain.read(slice(row, row + 1))[0, columns]
            return values
        if self._values.chunks is None:
            return np.asarray(self._values[()]).reshape(n_row, -1)[:, columns]
        height, *steps = self._values.chunks
        places = np.stack(np.unravel_index(columns, self.shape[1:]))
        sizes = np.array(steps)[:, None]
        corners, group_of = np.unique(places // sizes, axis=1, return_inverse=True)
        order = np.argsort(group_of.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(group_of.ravel()))[:-1]
        for number, group in enumerate(np.split(order, ends)):
            corner = [int(i) for i in corners[:, number] * sizes[:, 0]]
            within = tuple((places % sizes)[:, group])
            for top in range(0, n_row, height):
                chunk = self._chunk((top, *corner))[: n_row - top]
                values[top : top + height, group] = chunk[(slice(None), *within)]
        return values
