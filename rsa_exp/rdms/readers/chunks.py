"""Rows of compressed data sets, inflated no further than the chunk they belong to."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.hdf5 import FILTERS, INFLATED_BY_HDF5, check_filters

__all__ = ["CompressedRows"]

# What a chunk that cannot be compressed grows by.
_OVERHEAD = 4096


class CompressedRows:
    """A compressed table, read one row at a time.

    HDF5 inflates whatever a chunk holds, without a bound: a hundred megabytes of gzip can be a
    hundred gigabytes. Chunks that are small enough to be safe are left to it; larger ones are
    inflated here, up to the size that they must have.

    Parameters
    ----------
    values : h5py.Dataset
        A table with chunks and filters.
    path : Path
        The file.

    Raises
    ------
    InputError
        If its chunks are large and not compressed by gzip alone.
    """

    def __init__(self, values: h5py.Dataset, path: Path) -> None:
        self._values, self._size = values, path.stat().st_size
        self._filters = check_filters(values, path)
        self._n_bytes = math.prod(values.chunks) * values.dtype.itemsize
        self._by_hdf5 = self._n_bytes <= INFLATED_BY_HDF5
        gzip = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}
        if not self._by_hdf5 and not gzip.issuperset(self._filters):
            raise InputError(
                f"{path.name}: dissimilarities are stored through "
                f"{listing(FILTERS[code] for code in self._filters)} in chunks of {self._n_bytes} "
                f"bytes; use gzip, or chunks of at most {INFLATED_BY_HDF5} bytes, or none"
            )

    def read(self, row: int, out: NDArray[np.float64]) -> None:
        """Read a row into `out`, shape (n_pairs,).

        Raises
        ------
        OSError
            If a chunk is not what it must be.
        """
        height, width = self._values.chunks
        top = row - row % height
        for left in range(0, len(out), width):
            part = out[left : left + width]
            info = self._values.id.get_chunk_info_by_coord((top, left))
            if info.byte_offset is not None:
                self._check(info)
            if self._by_hdf5:
                continue
            if info.byte_offset is None:
                part[:] = self._values.fillvalue
            else:
                part[:] = self._chunk((top, left))[row - top, : len(part)]
        if self._by_hdf5:
            self._values.read_direct(out, source_sel=np.s_[row, :])

    def _check(self, info: Any) -> None:
        """Refuse a chunk that holds more than it can, or lies beyond the end of the file."""
        most = self._n_bytes + self._n_bytes // 8 + _OVERHEAD
        if info.size > most or info.byte_offset + info.size > self._size:
            raise OSError("a chunk is larger than it can be")

    def _chunk(self, at: Sequence[int]) -> NDArray[Any]:
        """Inflate a chunk, shape (height, width)."""
        skipped, data = self._values.id.read_direct_chunk(at)
        dtype = self._values.dtype
        for i, code in reversed(list(enumerate(self._filters))):
            if skipped >> i & 1:
                continue
            if code == h5py.h5z.FILTER_DEFLATE:
                data = _inflated(data, self._n_bytes)
            elif dtype.itemsize > 1:
                each = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
                data = np.ascontiguousarray(each.T).data
        if len(memoryview(data).cast("B")) != self._n_bytes:
            raise OSError("a chunk has not the size that it must have")
        return np.frombuffer(data, dtype).reshape(self._values.chunks)


def _inflated(data: bytes, n_bytes: int) -> bytes:
    """Inflate gzip data that must become `n_bytes`."""
    inflating = zlib.decompressobj()
    try:
        out = inflating.decompress(data, n_bytes + 1)
    except zlib.error as error:
        raise OSError("a chunk is not gzip data") from error
    if len(out) != n_bytes or not inflating.eof:
        raise OSError("a chunk has not the size that it must have")
    return out
