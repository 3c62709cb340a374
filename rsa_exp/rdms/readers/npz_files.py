"""numpy's archives of arrays (``.npz``), of which only plain arrays are read.

An archive of a few kB can declare terabytes, and gigabytes that are zeros fit into megabytes: what
a member declares is compared with what its bytes can become before memory is taken for it.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import UNPRINTABLE, InputError
from rsa_exp.rdms.readers.name_lists import label_texts
from rsa_exp.rdms.readers.npy_files import (
    HEADER_BYTES,
    HeaderError,
    NumpyArray,
    check_memory,
    is_plain,
    read_header,
    type_problem,
)
from rsa_exp.stats.condensed import IntArray

__all__ = ["MAGIC", "NpzMember", "is_label", "is_text", "open_npz", "read_texts"]

MAGIC = b"PK\x03\x04"

_MOST_SHRUNK = 1032  # deflate shrinks no further
_MAX_MEMBERS = 10_000
_MAX_TEXT_BYTES = 2**26
_MAX_NAME = 1024  # characters
_BLOCK = 2**20
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, IndexError,
    KeyError, RuntimeError, OverflowError,
)  # fmt: skip


class _Bounded(io.FileIO):
    """A file of which zipfile reads no more at a time than a directory of archives can take."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 2**23:
            raise OSError("the directory of the archive is too large")
        return super().read(-1 if size is None else size) or b""


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what a damaged one raises inside the block becomes an `InputError`."""
    try:
        with _Bounded(path) as stream, zipfile.ZipFile(stream) as archive:
            yield archive
    except _DAMAGE as error:
        raise InputError(
            f"{path} is a damaged .npz file ({error!s:.200}); copy it again"
        ) from error


@dataclass(frozen=True)
class NpzMember(NumpyArray):
    """An array of an archive, read whole each time."""

    name: str

    def read(self) -> NDArray[Any]:
        """Read the array whole, in native byte order; an `InputError` if it is damaged."""
        what = f"{self.path.name}: '{self.name.removesuffix('.npy')}'"
        if not is_plain(self.dtype):
            raise InputError(f"{what} {type_problem(self.dtype)}")
        check_memory(self.header.n_bytes, what)
        with _archive(self.path) as archive, archive.open(self.name) as member:
            member.read(self.header.offset)
            values = np.empty(math.prod(self.shape), dtype=self.dtype)
            view = values.view(np.uint8).data
            for start in range(0, len(view), _BLOCK):
                block = view[start : start + _BLOCK]
                block[:] = member.read(len(block))
            if member.read(1):  # at the end, zipfile compares the checksum
                raise EOFError(f"'{self.name}' has changed")
        return self.header.arrange(values)

    def read_rows(self, rows: IntArray) -> None:
        """Return None: it must be read whole."""


def open_npz(path: Path) -> dict[str, NpzMember]:
    """Open an archive of arrays.

    Returns
    -------
    dict of str to NpzMember
        The arrays by name, in the order of the archive; also those of Python objects, which
        `NpzMember.read` refuses.

    Raises
    ------
    InputError
        If the archive is damaged, encrypted, compressed otherwise than numpy does, has a member
        that is no array or declares more than its bytes can become, or names of members that are
        repeated or lead out of a folder.
    """
    with _archive(path) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS:
            raise InputError(f"{path} has {len(members)} members; at most {_MAX_MEMBERS} are read")
        found: dict[str, NpzMember] = {}
        for member in members:
            key = member.filename.removesuffix(".npy")
            if problem := _problem(member, path.stat().st_size, key in found):
                raise InputError(f"{path}: member '{member.filename:.100}' {problem}")
            with archive.open(member) as stream:
                head = stream.read(HEADER_BYTES)
            try:
                header = read_header(head)
            except HeaderError as error:
                raise InputError(f"{path}: the header of '{key:.100}' {error}") from error
            is_object = header.dtype.hasobject
            if not is_object and header.offset + header.n_bytes != member.file_size:
                raise InputError(
                    f"{path}: '{key:.100}' declares an array of shape {header.shape!s:.80} and "
                    f"type {header.dtype!s:.40}, but has {member.file_size - header.offset} bytes"
                )
            found[key] = NpzMember(path, header, member.filename)
    return found


def _problem(member: zipfile.ZipInfo, archive_size: int, is_repeated: bool) -> str:
    """Explain why a member of an archive is not read; empty if it is."""
    if is_repeated:
        return "is there twice"
    name = member.filename
    if UNPRINTABLE.search(name) or len(name) > _MAX_NAME or not name.endswith(".npy"):
        return "is not an array of numpy (NAME.npy)"
    if name[0] in "/\\" or ".." in re.split(r"[/\\]", name):
        return "has a path that leads out of the archive"
    if member.flag_bits & 1:
        return "is encrypted; save the arrays with numpy.savez"
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is compressed otherwise than numpy does; save the arrays with numpy.savez"
    most = _MOST_SHRUNK if member.compress_type == zipfile.ZIP_DEFLATED else 1
    if member.file_size > most * min(member.compress_size, archive_size):
        return f"declares {member.file_size} bytes, more than its part of the file can become"
    return ""


def read_texts(path: Path, members: Mapping[str, NpzMember], key: str) -> list[object]:
    """Read a member of one dimension as labels; an `InputError` if it is too large for that."""
    if members[key].header.n_bytes > _MAX_TEXT_BYTES:
        raise InputError(
            f"{path.name}: '{key}' has {members[key].header.n_bytes} bytes of names; at most "
            f"{_MAX_TEXT_BYTES} are read"
        )
    return label_texts(members[key].read())


def is_label(member: NpzMember) -> bool:
    """Whether an array can hold labels: numbers or text in one dimension."""
    return len(member.shape) == 1 and member.dtype.kind in "biufSU" and is_plain(member.dtype)


def is_text(member: NpzMember) -> bool:
    """Whether an array holds text."""
    return member.dtype.kind in "SU"
