"""HDF5 files from elsewhere: only what lies in the file itself, and no more than it can hold.

What a file declares is compared with what it holds before any memory is taken for it: a file of
2 kB can declare terabytes, name a part of another file, or hold one long string that a thousand
entries share.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rsa_exp.errors import UNSPEAKABLE, InputError, listing
from rsa_exp.rdms.readers.strings import strings_apart, strings_of

__all__ = [
    "FILTERS", "INFLATED_BY_HDF5", "Column", "check_filters", "columns", "damage_told", "open_hdf5",
    "table",
]  # fmt: skip

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_WRITER = "written by rsatoolbox's RDMs.save(..., file_type='hdf5')"

_MAX_ROWS = 10_000  # RDMs, hence ROIs or layers; an atlas has hundreds
_MAX_LABEL_BYTES = 2**26
_MAX_LABEL = 1024  # characters
_MAX_MEMBERS = 1000  # descriptors
_SMALL_ROW = 2**26  # bytes of a row that is read whatever the file holds
_MAX_CHUNK = 2**28  # bytes; a chunk is inflated whole, one of few rows may be larger
_MOST_SHRUNK = 1032  # no gzip holds more bytes in one

FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
}
"""Those that take no size from the file; each may stand once in a data set's list."""

INFLATED_BY_HDF5 = 2**19
"""Bytes of the largest compressed chunk that HDF5 may inflate: it does so without any bound, and
what so much gzip can swell to is half a gigabyte."""

# What h5py raises for a damaged file, besides OSError.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
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


def open_hdf5(path: Path, hint: str) -> h5py.File:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path : Path
        Which.
    hint : str
        Where the file can be had, added to the message when it is missing.

    Raises
    ------
    InputError
        If it is missing, no regular file, no HDF5 file, a pickle, or truncated.
    """
    tail = f"; {hint}" if hint else ""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"no file {path.name} in {path.parent.absolute()}{tail}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path!s:.200} cannot be opened: {reason}{tail}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder, not an HDF5 file of RDMs{tail}")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a device or a pipe, not an HDF5 file of RDMs{tail}")
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_HDF5_MAGIC))
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from error
    if start != _HDF5_MAGIC:
        pickle = path.suffix in {".pkl", ".pickle", ".p"} or start[:1] == b"\x80"
        raise InputError(
            f"{path.name} is a pickle, which runs code when it is loaded; save it with "
            "rsatoolbox's RDMs.save(..., file_type='hdf5') and use that"
            if pickle
            else f"{path} is not an HDF5 file; expected one {_WRITER}"
        )
    with damage_told(path):
        return h5py.File(path, "r")


def table(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Return a data set of numbers with two dimensions, whose rows can be read.

    Raises
    ------
    InputError
        If it is missing, elsewhere, no table of numbers, compressed in a way that cannot be
        bounded, or declared larger than the file can hold.
    """
    link = file.get(name, getlink=True)
    if link is None:
        raise InputError(
            f"{path.name} has no '{name}' (it has {listing(file)}); expected a file {_WRITER}"
        )
    values = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(values, h5py.Dataset) or not _is_inside(values):
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


def _is_inside(values: h5py.Dataset) -> bool:
    """Whether a data set's numbers lie in the file that names it."""
    return not values.is_virtual and not values.id.get_create_plist().get_external_count()


def _check_extent(values: h5py.Dataset, path: Path) -> None:
    """Refuse a table that declares more, or larger chunks, than the file can hold."""
    declared = values.shape[0] * values.shape[1] * values.dtype.itemsize
    offset = values.id.get_offset() if values.chunks is None else None
    if offset is not None and offset + declared > path.stat().st_size:
        raise InputError(
            f"{path} is truncated: it declares {declared} bytes of '{Path(values.name).name}' from "
            f"byte {offset}, which lie beyond its end; copy it again"
        )
    row, held = 8 * values.shape[1], min(values.id.get_storage_size(), path.stat().st_size)
    if row > max(_SMALL_ROW, _MOST_SHRUNK * held):
        raise InputError(
            f"{path.name} declares rows of {values.shape[1]} dissimilarities, but holds {held} "
            "bytes of them in all: it is damaged or made up"
        )
    chunk = math.prod(values.chunks or ()) * values.dtype.itemsize
    sensible = min(_MOST_SHRUNK * held, max(_MAX_CHUNK, 4 * row, 4 * held))
    if values.chunks is not None and chunk > max(_SMALL_ROW, sensible):
        raise InputError(
            f"{path.name} has dissimilarities in chunks of {chunk} bytes, of {declared} bytes in "
            f"all, for which it holds {held}: use smaller chunks, or none"
        )


def check_filters(values: h5py.Dataset, path: Path) -> list[int]:
    """Return the filters of a data set, in the order in which they were applied.

    Raises
    ------
    InputError
        If what they give cannot be bounded.
    """
    made = values.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    strange = [code for code in filters if code not in FILTERS]
    if strange or len(set(filters)) < len(filters):
        raise InputError(
            f"{path.name}: '{values.name}' is stored through the filters "
            f"{listing(FILTERS.get(code, code) for code in filters)}; each of "
            f"{listing(FILTERS.values())} may be used once; write it again with rsatoolbox"
        )
    return filters


@dataclass(frozen=True)
class Column:
    """A descriptor: labels of rows or of images, not yet read.

    Attributes
    ----------
    name : str
        What it is called.
    length : int
        How many labels it declares.
    is_text : bool
        Whether they are strings.
    path : Path
        The file.
    fetch : callable
        Reads the labels as HDF5 holds them.
    """

    name: str
    length: int
    is_text: bool
    path: Path
    fetch: Callable[[], list[object]]

    def read(self) -> list[str]:
        """Return the labels.

        Raises
        ------
        InputError
            If they take more memory than labels can, or are not text of one line.
        """
        texts = [_text(value, self.path, self.name) for value in self.fetch()]
        bad = next((t for t in texts if UNSPEAKABLE.search(t) or len(t) > _MAX_LABEL), None)
        if bad is not None:
            raise InputError(
                f"{self.path.name}: descriptor '{self.name}' has a name with control characters "
                f"or of more than {_MAX_LABEL} characters: {bad[:40]!a}"
            )
        return texts


def columns(file: h5py.File, group_name: str, path: Path) -> dict[str, Column] | None:
    """Return the descriptors of a group by name; None if the file itself has no such group.

    A descriptor is a data set of one dimension or an attribute. What is a link, lies elsewhere or
    holds neither numbers nor strings is none.

    Parameters
    ----------
    file : h5py.File
        An open file.
    group_name : str
        ``pattern_descriptors`` or ``rdm_descriptors``.
    path : Path
        The file's.

    Raises
    ------
    InputError
        If there are more than descriptors can be.
    """
    if not isinstance(file.get(group_name, getlink=True), h5py.HardLink):
        return None
    group = file[group_name]
    if not isinstance(group, h5py.Group):
        return None
    count = max(len(group), len(group.attrs))
    if count > _MAX_MEMBERS:
        raise InputError(
            f"{path.name}: '{group_name}' holds {count} descriptors; at most {_MAX_MEMBERS} can be"
        )
    found: dict[str, tuple[tuple[int, ...] | None, np.dtype[Any], Callable[[], list[object]]]] = {}
    for name in group:
        item = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
        if isinstance(item, h5py.Dataset) and _is_inside(item):
            found[name] = (
                item.shape,
                item.dtype,
                partial(_of_dataset, item, group_name, name, path),
            )
    for name in group.attrs:
        held = group.attrs.get_id(name)
        fetch = partial(_of_attribute, group.attrs, group_name, name, path)
        found[name] = (held.shape, held.dtype, fetch)
    return {
        name: Column(name, shape[0], _is_text(dtype), path, fetch)
        for name, (shape, dtype, fetch) in found.items()
        if shape is not None and len(shape) == 1
        if dtype.kind in "biuf" or _is_text(dtype)
        if not UNSPEAKABLE.search(name)
    }


def _is_text(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None


def _of_dataset(values: h5py.Dataset, group_name: str, name: str, path: Path) -> list[object]:
    """Read a data set of labels."""
    filters = check_filters(values, path)
    chunk = math.prod(values.chunks or ()) * values.dtype.itemsize
    if filters and chunk > INFLATED_BY_HDF5:
        raise InputError(
            f"{path.name}: descriptor '{name}' is compressed in chunks of {chunk} bytes; at most "
            f"{INFLATED_BY_HDF5} can be; write it again with rsatoolbox"
        )
    _check_bytes(values.dtype.itemsize * len(values), name, path)
    if values.dtype.kind != "O":
        return list(values[()])
    strings = strings_of(values, path)
    return list(strings_apart(path, group_name, name) if strings is None else strings)


def _of_attribute(
    attributes: h5py.AttributeManager, group_name: str, name: str, path: Path
) -> list[object]:
    """Read an attribute of labels."""
    held = attributes.get_id(name)
    _check_bytes(held.dtype.itemsize * held.shape[0], name, path)
    if held.dtype.kind == "O":
        return list(strings_apart(path, group_name, name))
    return list(attributes[name])


def _check_bytes(size: int, name: str, path: Path) -> None:
    if size > _MAX_LABEL_BYTES:
        raise InputError(
            f"{path.name}: descriptor '{name}' declares {size} bytes of names; at most "
            f"{_MAX_LABEL_BYTES} are read"
        )


def _text(value: object, path: Path, key: str) -> str:
    """Return a label as text; HDF5 holds fixed-length bytes, variable-length bytes or str."""
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: descriptor '{key}' is not UTF-8 text") from error
