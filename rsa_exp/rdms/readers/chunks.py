"""Compressed data sets: what their chunks become is checked before HDF5 decompresses them.

HDF5 decompresses without a bound: a hundred megabytes of gzip can become a hundred gigabytes. And
where a chunk becomes shorter than it must be, HDF5 (2.0) returns whatever the memory held before.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing

__all__ = ["check_chunks", "check_filters", "read_chunk"]

_Buffer: TypeAlias = bytes | memoryview

_GZIP, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE
_CHECKSUM, _CHECKSUM_BYTES = h5py.h5z.FILTER_FLETCHER32, 4
_OVERHEAD = 4096  # bytes by which what cannot be compressed grows


def _filters(values: h5py.Dataset) -> list[int]:
    made = values.id.get_create_plist()
    return [made.get_filter(i)[0] for i in range(made.get_nfilters())]


def check_filters(values: h5py.Dataset, path: Path) -> None:
    """Raise an `InputError` if a data set uses filters whose chunks `check_chunks` cannot check."""
    filters = _filters(values)
    if not {_GZIP, _SHUFFLE, _CHECKSUM}.issuperset(filters) or len(set(filters)) < len(filters):
        raise InputError(
            f"{path.name}: '{values.name}' is stored through the filters {listing(filters)} "
            "(HDF5's numbers); write it again uncompressed, or with gzip"
        )


def check_chunks(values: h5py.Dataset, path: Path, *leading: int) -> None:
    """Check the chunks along the last dimension; OSError if one has not the size it must have.

    `leading` are indices in the other dimensions: the row of a table. The data set has filters that
    `check_filters` allows.
    """
    corner = tuple(i - i % height for i, height in zip(leading, values.chunks or (), strict=False))
    for left in range(0, values.shape[-1], values.chunks[-1]) if _filters(values) else ():
        _check_stored(values, path, (*corner, left))


def read_chunk(values: h5py.Dataset, corner: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the chunk that begins at the indices `corner`; None where none was written.

    HDF5 itself decompresses nothing. The data set has filters that `check_filters` allows, and a
    type that is stored as numpy has it. OSError if the chunk has not the size it must have.
    """
    data = _decoded(values, *_stored(values, corner), unshuffle=True)
    return None if data is None else np.frombuffer(data, values.dtype).reshape(values.chunks)


def _most(values: h5py.Dataset) -> int:
    """Return the most bytes that a chunk can have as it is stored."""
    n_bytes: int = math.prod(values.chunks or ()) * values.dtype.itemsize
    return n_bytes + n_bytes // 8 + _OVERHEAD


def _stored(values: h5py.Dataset, corner: tuple[int, ...]) -> tuple[int, _Buffer | None]:
    """Return the filters that a chunk skipped, and its bytes as stored; None if never written.

    To ask HDF5 for a chunk's size first would take as long as there are chunks: those that do not
    fit into the buffer, which are damaged, and those that are missing are asked for afterwards.
    """
    buffer = np.empty(_most(values), np.uint8)
    try:
        skipped, data = values.id.read_direct_chunk(corner, out=buffer)
    except (OSError, RuntimeError, ValueError):
        if values.id.get_chunk_info_by_coord(corner).byte_offset is None:
            return 0, None
        raise
    return skipped, data


def _check_stored(values: h5py.Dataset, path: Path, corner: tuple[int, ...]) -> None:
    """Compare the size of a chunk that HDF5 will decompress with what it must be."""
    most = _most(values)
    info = values.id.get_chunk_info_by_coord(corner)
    if info.byte_offset is None:  # never written
        return
    if info.size > most or info.byte_offset + info.size > path.stat().st_size:
        raise OSError("a chunk is larger than it can be")
    _decoded(values, *values.id.read_direct_chunk(corner))


def _decoded(
    values: h5py.Dataset, skipped: int, data: _Buffer | None, *, unshuffle: bool = False
) -> _Buffer | None:
    """Return a chunk's bytes, decompressed (and their shuffling undone)."""
    if data is None:
        return None
    n_bytes = math.prod(values.chunks or ()) * values.dtype.itemsize
    view = memoryview(data).cast("B")
    for i, code in reversed(list(enumerate(_filters(values)))):
        if skipped >> i & 1:
            continue
        if code == _CHECKSUM:
            view = view[:-_CHECKSUM_BYTES]
        elif code == _GZIP:
            view = memoryview(_inflated(view, _most(values)))
        elif unshuffle and len(view) == n_bytes:
            shuffled = np.frombuffer(view, np.uint8).reshape(values.dtype.itemsize, -1)
            view = memoryview(shuffled.T.tobytes())
    if len(view) != n_bytes:
        raise OSError("a chunk has not the size that it must have")
    return view


def _inflated(data: _Buffer, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error as error:
        raise OSError("a chunk is not gzip data") from error
