"""Compressed data sets: what their chunks become is checked before HDF5 decompresses them.

HDF5 decompresses without a bound: a hundred megabytes of gzip can become a hundred gigabytes. And
where a chunk becomes shorter than it must be, HDF5 (2.0) returns whatever the memory held before.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import h5py

from rsa_exp.errors import InputError, listing

__all__ = ["check_chunks", "check_filters"]

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
    filters, file_size = _filters(values), path.stat().st_size
    n_bytes = math.prod(values.chunks or ()) * values.dtype.itemsize
    most = n_bytes + n_bytes // 8 + _OVERHEAD
    corner = tuple(i - i % height for i, height in zip(leading, values.chunks or (), strict=False))
    for left in range(0, values.shape[-1], values.chunks[-1]) if filters else ():
        info = values.id.get_chunk_info_by_coord((*corner, left))
        if info.byte_offset is None:  # never written
            continue
        if info.size > most or info.byte_offset + info.size > file_size:
            raise OSError("a chunk is larger than it can be")
        skipped, data = values.id.read_direct_chunk((*corner, left))
        for i, code in reversed(list(enumerate(filters))):
            if skipped >> i & 1:
                continue
            if code == _CHECKSUM:
                data = data[:-_CHECKSUM_BYTES]
            elif code == _GZIP:
                data = _inflated(data, most)
        if len(data) != n_bytes:
            raise OSError("a chunk has not the size that it must have")


def _inflated(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error as error:
        raise OSError("a chunk is not gzip data") from error
