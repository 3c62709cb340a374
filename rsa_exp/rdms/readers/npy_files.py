"""numpy's files of one array (``.npy``), whose header is checked before memory is taken.

Python objects, which numpy stores as pickles, and structured types are never loaded.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.plain_matrix import PlainMatrix
from rsa_exp.stats.condensed import IntArray

__all__ = [
    "HEADER_BYTES", "MAGIC", "HeaderError", "NpyFile", "NpyHeader", "NumpyArray", "check_memory",
    "is_plain", "open_npy", "read_header", "type_problem",
]  # fmt: skip

MAGIC = b"\x93NUMPY"

HEADER_BYTES = 4096  # most of a header that is read; that of a matrix of numbers has 128

_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    # 3.0 has UTF-8 for names of fields, and only structured types have fields.
    (3, 0): npy_format.read_array_header_2_0,
}


class HeaderError(ValueError):
    """A header that is not that of an array; the message completes ``its header ...``."""


@dataclass(frozen=True)
class NpyHeader:
    """What the header of an array says.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    dtype : dtype
        Of its elements, as they are stored; maybe an object or a structured type.
    is_fortran : bool
        Whether the first dimension, not the last, varies fastest.
    offset : int
        Byte at which the elements begin.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    offset: int

    @property
    def n_bytes(self) -> int:
        """Bytes that the elements take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def arrange(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the elements, read in the order of the file, as the array in native byte order."""
        native = values.astype(self.dtype.newbyteorder("="), copy=False)
        return native.reshape(-1).reshape(self.shape, order="F" if self.is_fortran else "C")


def read_header(head: bytes) -> NpyHeader:
    """Read the header of an array from the first `HEADER_BYTES` of its file.

    Raises
    ------
    HeaderError
        If it is no header, longer than that, or of an unknown version.
    """
    stream = io.BytesIO(head)
    try:
        version = npy_format.read_magic(stream)
        reader = _READERS.get(version)
        if reader is None:
            major, minor = version
            raise HeaderError(f"is of version {major}.{minor}, expected 1.0, 2.0 or 3.0")
        with warnings.catch_warnings(action="ignore"):  # about types and headers of old Pythons
            shape, is_fortran, dtype = reader(stream)
    except HeaderError:
        raise
    except Exception as error:  # what numpy's parser raises for a made-up header is not documented
        raise HeaderError("is damaged or too long") from error
    if min(shape, default=1) < 0 or len(shape) > 32:  # numpy 1's most dimensions
        raise HeaderError(f"declares the shape {shape!s:.60}")
    return NpyHeader(tuple(map(int, shape)), dtype, is_fortran, stream.tell())


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether a type is one of numbers or text: nothing that a pickle holds, and no structure."""
    return dtype.kind in "biufcSU" and dtype.shape == () and dtype.itemsize > 0


def type_problem(dtype: np.dtype[Any]) -> str:
    """Explain why arrays of a type are not read; completes a sentence."""
    if dtype.hasobject:
        return "has Python objects (a pickle), which are never loaded; save plain numbers or text"
    return f"has the type {dtype!s:.60}; expected plain numbers"


def check_memory(n_bytes: int, what: str) -> None:
    """Raise an `InputError` if so many bytes are more than this machine's memory."""
    with suppress(AttributeError, ValueError, OSError):  # no such question on Windows
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if n_bytes > memory:
            raise InputError(
                f"{what} takes {n_bytes / 1e9:.3g} GB, more than this machine's memory of "
                f"{memory / 1e9:.3g} GB; save it as a .npy file in C order, which is read in parts"
            )


@dataclass(frozen=True)
class NumpyArray:
    """An array that numpy stored in a file, which is not held open."""

    path: Path
    header: NpyHeader

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.header.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type in which it is stored."""
        return self.header.dtype

    def close(self) -> None:
        """Nothing is held open."""


class NpyFile(NumpyArray):
    """The array of a ``.npy`` file; one in C order is not loaded to read some of its rows."""

    def read(self) -> NDArray[Any]:
        """Read the array whole, in native byte order."""
        check_memory(self.header.n_bytes, str(self.path))
        return self.header.arrange(self._read(slice(None)))

    def read_rows(self, rows: IntArray) -> NDArray[Any] | None:
        """Read some rows, their further dimensions in one; None unless in native C order."""
        return None if self.header.is_fortran or not self.dtype.isnative else self._read(rows)

    def _read(self, rows: IntArray | slice) -> NDArray[Any]:
        n_row, *others = self.shape[::-1] if self.header.is_fortran else self.shape
        with closing(
            PlainMatrix(self.path, self.header.offset, (n_row, math.prod(others)), self.dtype)
        ) as matrix:
            return matrix.read(rows)


def open_npy(path: Path) -> NpyFile:
    """Open a ``.npy`` file of an array of one or more dimensions.

    Raises
    ------
    InputError
        If its header is damaged, it has Python objects, or the file ends before the array does.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream.read(HEADER_BYTES))
        size = path.stat().st_size
    except HeaderError as error:
        raise InputError(f"{path} is a damaged .npy file: its header {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from error
    if not is_plain(header.dtype) or header.dtype.kind not in "biuf":
        raise InputError(f"{path} {type_problem(header.dtype)}")
    end = header.offset + header.n_bytes
    if not header.shape or header.n_bytes == 0:
        raise InputError(
            f"{path} has an array of shape {header.shape}, which is empty or one number"
        )
    if end > size:
        raise InputError(
            f"{path} is truncated: it declares an array of shape {header.shape}, up to byte {end}, "
            f"and ends at {size}; copy it again"
        )
    return NpyFile(path, header)
