"""HDF5 files from unknown sources: only what lies in the file itself, and no more than it can hold.

What a file declares is compared with what it holds before any memory is taken for it: a file of
2 kB can declare terabytes, or name a part of another file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rsa_exp.errors import UNPRINTABLE, InputError, listing
from rsa_exp.rdms.readers.chunks import check_chunks, check_filters
from rsa_exp.rdms.readers.variable_strings import read_variable_strings

__all__ = [
    "MAGIC", "StoredDescriptor", "damage_reported", "descriptors_of", "find_descriptors",
    "find_table", "own_item", "read_descriptors",
]  # fmt: skip

MAGIC = b"\x89HDF\r\n\x1a\n"

_MAX_ROWS = 10_000  # RDMs, hence ROIs or layers; an atlas has hundreds
_MAX_LABEL_BYTES = 2**26
_MAX_DESCRIPTORS = 1000
_SMALL_ROW = 2**26  # bytes of a row that is read whatever the file holds
_MAX_CHUNK = 2**28  # bytes, unless rows are large: a chunk is decompressed whole
_MAX_CHUNKS = 2**16  # of a row: HDF5 takes 8 kB for each, also where none was written
_MOST_SHRUNK = 1032  # no gzip shrinks further

# What h5py raises for a damaged file, besides OSError.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError)


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn what h5py raises for a damaged file inside the block into an `InputError`."""
    try:
        yield
    except _DAMAGE as error:
        if "unable to lock file" in str(error):
            raise InputError(
                f"{path} cannot be locked: close it in the program that writes to it, or, if its "
                "file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE"
            ) from error
        raise InputError(f"{path} is a damaged or truncated HDF5 file; copy it again") from error
    except MemoryError as error:
        raise InputError(
            f"{path} declares more than fits into this machine's memory; it is too large or damaged"
        ) from error


def find_table(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Return a data set of numbers with two dimensions, whose rows can be read.

    Raises
    ------
    InputError
        If it is missing, a link, not a table of numbers, or declared larger than the file can
        hold.
    """
    if name not in file:
        raise InputError(
            f"{path.name} has no '{name}' (it has {listing(file)}); write it with rsatoolbox; if "
            "it holds patterns, use data=patterns (for a model, model=features)"
        )
    values = _dataset(file, name)
    if values is None:
        raise InputError(f"{path.name}: '{name}' is not a data set within the file itself")
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise InputError(
            f"{path.name}: '{name}' has shape {values.shape} and type {values.dtype}; "
            "expected numbers of shape (n_rdm, n_pairs)"
        )
    if values.shape[0] > _MAX_ROWS:
        raise InputError(
            f"{path.name} declares {values.shape[0]} RDMs; at most {_MAX_ROWS} are read"
        )
    check_filters(values, path)
    _check_extent(values, path)
    return values


def own_item(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return a group, or a data set whose values lie in the file itself; no link is followed."""
    item = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
    if isinstance(item, h5py.Dataset):
        elsewhere = item.is_virtual or item.id.get_create_plist().get_external_count()
        return None if elsewhere else item
    return item if isinstance(item, h5py.Group) else None


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return a data set whose values lie in the file itself, without following a link."""
    values = own_item(group, name)
    return values if isinstance(values, h5py.Dataset) else None


def _check_extent(values: h5py.Dataset, path: Path) -> None:
    """Refuse a table that declares more, or other chunks, than the file can hold."""
    n_rows, n_pairs = values.shape
    declared = n_rows * n_pairs * values.dtype.itemsize
    offset = values.id.get_offset() if values.chunks is None else None
    if offset is not None and offset + declared > path.stat().st_size:
        raise InputError(
            f"{path} is truncated: it declares {declared} bytes of '{Path(values.name).name}' from "
            f"byte {offset}, which lie beyond its end; copy it again"
        )
    row, held = 8 * n_pairs, min(values.id.get_storage_size(), path.stat().st_size)
    if row > max(_SMALL_ROW, _MOST_SHRUNK * held):
        raise InputError(
            f"{path.name} declares rows of {n_pairs} dissimilarities, but holds {held} bytes of "
            "them in all: it is damaged or made up"
        )
    chunk = math.prod(values.chunks or ()) * values.dtype.itemsize
    narrow = values.chunks is not None and n_pairs > _MAX_CHUNKS * values.chunks[1]
    if narrow or chunk > max(_MAX_CHUNK, 4 * row):
        raise InputError(
            f"{path.name} has dissimilarities in chunks of {chunk} bytes, of {declared} bytes in "
            f"all: use {'larger' if narrow else 'smaller'} chunks, or none"
        )


@dataclass(frozen=True)
class StoredDescriptor:
    """A descriptor in a file: a data set of one dimension, or (`values` is None) an attribute."""

    group: h5py.Group
    name: str
    length: int
    is_text: bool
    dtype: np.dtype[Any]
    values: h5py.Dataset | None


def find_descriptors(
    file: h5py.File, group_name: str, path: Path
) -> dict[str, StoredDescriptor] | None:
    """Return the descriptors of a group by name; None if the file itself has no such group.

    Links are not followed; what has neither numbers nor strings is left out. An `InputError` if
    there are more than descriptors can be.
    """
    group = own_item(file, group_name)
    return descriptors_of(group, path) if isinstance(group, h5py.Group) else None


def descriptors_of(group: h5py.Group, path: Path) -> dict[str, StoredDescriptor]:
    """Return the descriptors in a group by name, as `find_descriptors` does."""
    count, name = max(len(group), len(group.attrs)), group.name.lstrip("/") or "/"
    if count > _MAX_DESCRIPTORS:
        raise InputError(
            f"{path.name}: '{name}' has {count} descriptors; at most {_MAX_DESCRIPTORS} can be"
        )
    stored = {name: values for name in group if (values := _dataset(group, name)) is not None}
    everything = stored | {name: group.attrs.get_id(name) for name in group.attrs}
    found = {}
    for name, item in everything.items():
        shape, dtype = item.shape, item.dtype
        is_text = dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None
        usable = (dtype.kind in "biuf" or is_text) and not UNPRINTABLE.search(name)
        if usable and shape is not None and len(shape) == 1:
            values = item if isinstance(item, h5py.Dataset) else None
            found[name] = StoredDescriptor(group, name, shape[0], is_text, dtype, values)
    return found


def read_descriptors(path: Path, chosen: Sequence[StoredDescriptor]) -> list[Sequence[object]]:
    """Read the values of descriptors of one file, as HDF5 stores them.

    Raises
    ------
    InputError
        If they take more memory than labels can, or are compressed by an unknown filter.
    OSError, ValueError
        If they are damaged.
    """
    for descriptor in chosen:
        values = descriptor.values
        chunk = math.prod(values.chunks or ()) if values is not None else 0
        size = max(chunk, descriptor.length) * descriptor.dtype.itemsize
        if size > _MAX_LABEL_BYTES:
            raise InputError(
                f"{path.name}: descriptor '{descriptor.name}' declares {size} bytes of names; at "
                f"most {_MAX_LABEL_BYTES} are read"
            )
        if values is not None:
            check_filters(values, path)
    variable = [(d.group.name, d.name) for d in chosen if d.dtype.kind == "O"]
    strings = iter(read_variable_strings(path, variable) if variable else ())
    return [next(strings) if d.dtype.kind == "O" else _read_fixed(d, path) for d in chosen]


def _read_fixed(descriptor: StoredDescriptor, path: Path) -> Sequence[object]:
    """Read numbers, or strings of fixed length."""
    if descriptor.values is None:
        return list(descriptor.group.attrs[descriptor.name])
    check_chunks(descriptor.values, path)
    return list(descriptor.values[()])
