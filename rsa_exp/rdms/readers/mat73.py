"""MATLAB files of version 7.3: HDF5, with MATLAB's own header before it.

Arrays lie transposed; texts are arrays of UTF-16; cells and the fields of struct arrays are
references to what lies in ``#refs#``; a struct is a group. No link is followed, and what a data set
declares is compared with what the file holds (`rsa_exp.rdms.readers.stored_array`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import UNPRINTABLE, InputError
from rsa_exp.rdms.readers.chunks import check_chunks, check_filters
from rsa_exp.rdms.readers.hdf5 import damage_reported, own_item
from rsa_exp.rdms.readers.mat_variables import Variable
from rsa_exp.rdms.readers.stored_array import StoredArray, is_numeric

__all__ = ["Mat73"]

_MAX_REFERENCES = 2**20
_MAX_VARIABLES = 10_000


class Mat73:
    """A file of version 7.3, open for reading.

    Attributes
    ----------
    variables : dict of str to Variable
        By name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with damage_reported(path):
            self._file = h5py.File(path, "r")
            try:
                self.variables = self._members(self._file)
            except BaseException:
                self._file.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _members(self, group: h5py.Group) -> dict[str, Variable]:
        if len(group) > _MAX_VARIABLES:
            raise InputError(f"{self._path.name} has more than {_MAX_VARIABLES} variables")
        names = [n for n in group if not n.startswith("#") and not UNPRINTABLE.search(n)]
        return {name: self._variable(name, own_item(group, name)) for name in names}

    def _variable(self, name: str, item: object) -> Variable:
        """Return a group or data set as a variable."""
        if isinstance(item, h5py.Group):
            return self._struct(name, item)
        if not isinstance(item, h5py.Dataset) or not item.shape:
            return Variable(name, (), "other", list)
        kind, shape = self._class(item), item.shape[::-1]
        if "MATLAB_empty" in item.attrs or 0 in shape:  # the former holds the shape instead
            return Variable(name, (0, 0), "text" if kind == "char" else "numbers", list)
        if item.dtype == h5py.ref_dtype:
            if kind != "cell":
                return Variable(name, shape, "other", list)
            return Variable(name, shape, "cells", lambda: self._cells(name, item))
        if kind == "char" and item.dtype.kind == "u" and len(shape) == 2:
            return Variable(name, shape, "text", lambda: _texts(self._values(item)))
        numeric = is_numeric(item) and kind not in ("char", "function_handle", "object")
        own = "MATLAB_object_decode" not in item.attrs and "MATLAB_sparse" not in item.attrs
        return Variable(
            name, shape, "numbers" if numeric and own else "other", lambda: self._values(item)
        )

    def _class(self, item: h5py.Group | h5py.Dataset) -> str:
        """Return MATLAB's name of a class; empty if there is none."""
        if "MATLAB_class" not in item.attrs:
            return ""
        attribute = item.attrs.get_id("MATLAB_class")
        if attribute.dtype.kind != "S" or attribute.shape != ():
            return ""
        return bytes(item.attrs["MATLAB_class"]).decode("latin-1")

    def _values(self, item: h5py.Dataset) -> NDArray[Any]:
        with damage_reported(self._path):
            array = StoredArray(item, self._path)
            try:
                values = array.read()
            finally:
                array.close()
            return values.astype(values.dtype.newbyteorder("="), copy=False).T

    def _referred(self, item: h5py.Dataset) -> list[object]:
        """Return what a data set of references refers to, in MATLAB's order."""
        with damage_reported(self._path):
            if math.prod(item.shape) > _MAX_REFERENCES:
                raise InputError(f"{self._path.name}: '{item.name}' has too many cells")
            check_filters(item, self._path)
            if item.chunks is not None:
                if math.prod(item.chunks) > _MAX_REFERENCES:
                    raise InputError(f"{self._path.name}: '{item.name}' has too large chunks")
                for leading in np.ndindex(item.shape[:-1]):
                    check_chunks(item, self._path, *leading)
            references = np.ravel(item[()])
            return [self._file[reference] if reference else None for reference in references]

    def _cells(self, name: str, item: h5py.Dataset) -> list[Variable]:
        with damage_reported(self._path):
            return [self._variable(name, each) for each in map(_own, self._referred(item))]

    def _struct(self, name: str, group: h5py.Group) -> Variable:
        """Return a struct, or a struct array, whose fields are references for each entry."""
        if self._class(group) != "struct" or "MATLAB_sparse" in group.attrs:
            return Variable(name, (), "other", list)
        fields = {field: own_item(group, field) for field in list(group)[:_MAX_VARIABLES]}
        arrays = {
            field: item
            for field, item in fields.items()
            if isinstance(item, h5py.Dataset)
            and item.dtype == h5py.ref_dtype
            and self._class(item) != "cell"
        }
        if not fields or len(arrays) < len(fields):
            return Variable(name, (1, 1), "structs", lambda: [self._guarded_members(group)])
        shapes = {item.shape for item in arrays.values()}
        if len(shapes) > 1:
            return Variable(name, (), "other", list)
        return Variable(name, shapes.pop()[::-1], "structs", lambda: self._entries(arrays))

    def _guarded_members(self, group: h5py.Group) -> dict[str, Variable]:
        with damage_reported(self._path):
            return self._members(group)

    def _entries(self, arrays: dict[str, h5py.Dataset]) -> list[dict[str, Variable]]:
        with damage_reported(self._path):
            columns = [
                [self._variable(field, _own(each)) for each in self._referred(item)]
                for field, item in arrays.items()
            ]
            return [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=True)]


def _own(item: object) -> object:
    """Leave out a data set whose values lie in another file."""
    if isinstance(item, h5py.Dataset) and (
        item.is_virtual or item.id.get_create_plist().get_external_count()
    ):
        return None
    return item


def _texts(values: NDArray[Any]) -> list[str]:
    """Return rows of UTF-16 as text."""
    rows = np.ascontiguousarray(values.astype("<u2"))
    return [row.tobytes().decode("utf-16-le") for row in rows]
