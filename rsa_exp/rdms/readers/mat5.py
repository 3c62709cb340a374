"""MATLAB files of versions 5 to 7.2, whose variables scipy reads.

scipy believes what a file declares, and recurses as deeply as its cells are nested. So the elements
of a variable are followed here first: each must lie within the one that holds it, have the size
that its shape needs, and be of a class that holds data. Objects and function handles are not read.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import UNPRINTABLE, InputError
from rsa_exp.rdms.readers.mat_variables import Variable

__all__ = ["read_mat5"]

_Kind = Literal["numbers", "text", "cells", "structs", "other"]

_HEADER, _MATRIX, _COMPRESSED = 128, 14, 15
_MAX_VARIABLES = 10_000
_HEAD = 2**12  # bytes of a variable that hold its name and shape
_MAX_DEPTH = 8
_PLAUSIBLE = 100  # times: nothing that was measured shrinks further
_SMALL = 2**26  # bytes that a variable may have however small its file
# Bytes of a number by the type it is stored as; of a character likewise.
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_CHARACTERS = {1: 1, 2: 1, 4: 2, 16: 1, 17: 2, 18: 4}
_CELLS, _STRUCTS, _TEXT, _OPAQUE = 1, 2, 4, 17
_NUMERIC = range(6, 16)
_RAISED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
_KINDS: dict[int, _Kind] = {_CELLS: "cells", _STRUCTS: "structs", _TEXT: "text"}


class _DamagedError(Exception):
    """The bytes are no MATLAB file of this version."""


class _RefusedError(Exception):
    """A variable holds what is not read; says what."""


@contextmanager
def _damage_reported(path: Path, name: str = "") -> Iterator[None]:
    what = f"{path.name}: '{name}'" if name else path.name
    try:
        yield
    except _RefusedError as error:
        raise InputError(f"{what} has {error}; save plain arrays instead") from error
    except MemoryError as error:
        raise InputError(f"{what} does not fit into this machine's memory") from error
    # What scipy raises besides its own errors, which are of these kinds.
    except (_DamagedError, struct.error, zlib.error, OSError, *_RAISED) as error:
        raise InputError(
            f"{what} is damaged, truncated, or not of MATLAB's versions 5 to 7.3; copy it again, "
            "or save it with save(..., '-v7')"
        ) from error


@dataclass(frozen=True)
class _Reader:
    """Elements in memory, in the byte order of the file."""

    data: memoryview | bytes
    order: str

    def tag(self, at: int, stop: int) -> tuple[int, int, int, int]:
        """Return type, begin, size of an element's data, and where the next element begins."""
        if at + 8 > stop:
            raise _DamagedError
        kind, size = struct.unpack_from(self.order + "II", self.data, at)
        if kind >> 16:  # at most four bytes of data, within the tag
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin, following = at + 8, at + 8 + -(-size // 8) * 8
        if begin + size > (at + 8 if begin == at + 4 else stop):
            raise _DamagedError
        return kind, begin, size, min(following, stop)

    def header(self, at: int, stop: int) -> tuple[int, bool, tuple[int, ...], str, int]:
        """Return class, whether complex, shape, name, and where the values of a matrix begin."""
        kind, begin, size, at = self.tag(at, stop)
        if (kind, size) != (6, 8):
            raise _DamagedError
        (flags,) = struct.unpack_from(self.order + "I", self.data, begin)
        if flags & 0xFF == _OPAQUE:  # it has no shape
            return flags & 0xFF, False, (), self._name(at, stop)[0], stop
        kind, begin, size, at = self.tag(at, stop)
        if kind != 5 or size % 4 or not 8 <= size <= 128:
            raise _DamagedError
        shape = struct.unpack_from(f"{self.order}{size // 4}i", self.data, begin)
        if min(shape) < 0:
            raise _DamagedError
        name, at = self._name(at, stop)
        return flags & 0xFF, bool(flags & 0x800), shape, name, at

    def _name(self, at: int, stop: int) -> tuple[str, int]:
        _, begin, size, following = self.tag(at, stop)
        return bytes(self.data[begin : begin + size]).decode("latin-1"), following

    def check(self, at: int, stop: int, depth: int = 0) -> None:
        """Follow the elements of a matrix whose data lie from `at` to `stop`."""
        if at == stop and depth:
            return
        if depth > _MAX_DEPTH:
            raise _RefusedError(f"cells or structs more than {_MAX_DEPTH} deep")
        code, is_complex, shape, _, at = self.header(at, stop)
        count = math.prod(shape)
        if code in _NUMERIC or code == _TEXT:
            widths = _NUMBERS if code in _NUMERIC else _CHARACTERS
            for _ in range(1 + is_complex):
                kind, _, size, at = self.tag(at, stop)
                if kind not in widths or (
                    size < count * widths[kind] if code == _TEXT else size != count * widths[kind]
                ):
                    raise _DamagedError
        elif code in (_CELLS, _STRUCTS):
            if code == _STRUCTS:
                _, begin, size, at = self.tag(at, stop)
                length = struct.unpack_from(self.order + "i", self.data, begin)[0] if size else 0
                _, _, size, at = self.tag(at, stop)
                if length <= 0 or size % length:
                    raise _DamagedError
                count *= size // length
            if count * 8 > stop - at:
                raise _DamagedError
            for _ in range(count):
                kind, begin, size, at = self.tag(at, stop)
                if kind != _MATRIX:
                    raise _DamagedError
                self.check(begin, begin + size, depth + 1)
        else:
            raise _RefusedError("an object, a function handle or a sparse matrix")


@dataclass(frozen=True)
class _Place:
    """Where a variable lies in its file."""

    path: Path
    file_header: bytes
    order: str
    name: str
    kind: _Kind
    at: int
    stored: int
    declared: int | None
    """Bytes after decompression; None if it is not compressed."""

    def load(self) -> Any:
        """Read the variable; values as `Variable.load` returns them."""
        with _damage_reported(self.path, self.name):
            found = _wrapped(self.name, self._values())
            if found.kind != self.kind:
                if self.kind == "structs":  # without fields
                    return []
                raise _DamagedError
            return found.load()

    def _values(self) -> object:
        from scipy.io import loadmat  # not for other formats

        if (self.declared or 0) > max(_SMALL, _PLAUSIBLE * self.stored):
            raise _RefusedError(f"{self.declared} bytes compressed to {self.stored}")
        with self.path.open("rb") as stream:
            stream.seek(self.at)
            data = stream.read(self.stored)
        if self.declared is None:
            data = struct.pack(self.order + "II", _MATRIX, self.stored) + data
        else:
            data = zlib.decompressobj().decompress(data, self.declared + 8)
            if len(data) != self.declared + 8:
                raise _DamagedError
        _Reader(data, self.order).check(8, len(data))
        codec = "utf-16-le" if self.order == "<" else "utf-16-be"
        file = io.BytesIO(self.file_header + data)
        read: Any = loadmat  # the types that are published for it leave out streams and codecs
        return read(file, variable_names=[self.name], uint16_codec=codec)[self.name]


def _wrapped(name: str, values: object) -> Variable:
    """Return what scipy has read as a variable."""
    if not isinstance(values, np.ndarray):
        return Variable(name, (), "other", list)
    array: NDArray[Any] = values
    fields = array.dtype.names
    if fields and type(array) is np.ndarray:
        return Variable(
            name, array.shape, "structs",
            lambda: [{f: _wrapped(f, each[f]) for f in fields} for each in array.ravel(order="F")],
        )  # fmt: skip
    if array.dtype.kind == "O":
        return Variable(
            name, array.shape, "cells",
            lambda: [_wrapped(name, each) for each in array.ravel(order="F")],
        )  # fmt: skip
    if array.dtype.kind == "U":
        shape = (array.size, array.dtype.itemsize // 4)
        return Variable(name, shape, "text", lambda: [str(text) for text in array.flat])
    kind: _Kind = "numbers" if array.dtype.kind in "fiub" else "other"
    return Variable(name, array.shape, kind, lambda: array)


def read_mat5(path: Path) -> dict[str, Variable]:
    """Return the variables of a file by name; their values are read when asked for.

    Raises
    ------
    InputError
        If the file is damaged, truncated or of another version. Loading a variable raises the
        same, and if it has objects or function handles, or more bytes than the file can hold.
    """
    found: dict[str, Variable] = {}
    with _damage_reported(path), path.open("rb") as stream:
        size, header = path.stat().st_size, stream.read(_HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        if order is None:
            raise _DamagedError
        at = _HEADER
        while at < size:
            if len(found) >= _MAX_VARIABLES:
                raise _RefusedError(f"more than {_MAX_VARIABLES} variables")
            stream.seek(at)
            kind, stored = struct.unpack(order + "II", stream.read(8))
            if at + 8 + stored > size:
                raise _DamagedError
            head = stream.read(min(stored, _HEAD))
            declared: int | None = None
            if kind == _COMPRESSED:
                head = zlib.decompressobj().decompress(head, _HEAD)
                kind, declared = struct.unpack_from(order + "II", head)
                head = head[8:]
            if kind != _MATRIX:
                raise _DamagedError
            code, is_complex, shape, name, _ = _Reader(head, order).header(0, len(head))
            kind_of: _Kind = _KINDS.get(code, "other")
            if code in _NUMERIC and not is_complex:
                kind_of = "numbers"
            if name and not name.startswith("_") and not UNPRINTABLE.search(name):
                place = _Place(path, header, order, name, kind_of, at + 8, stored, declared)
                found[name] = Variable(name, shape, kind_of, place.load)
            at += 8 + stored
    return found
