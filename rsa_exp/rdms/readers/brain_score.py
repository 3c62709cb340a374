"""Assemblies of Brain-Score in netCDF files (Schrimpf et al., 2020, Neuron 108, 413).

``data`` or ``__xarray_dataarray_variable__`` with a presentation and a neuroid axis, in either
order (Majaj and Hong's is neuroid x presentation), and perhaps a ``time_bin`` axis of one bin;
more are refused, since to select or to average them is a choice. Coordinates of
presentations: ``stimulus_id`` or ``image_id``, ``repetition``, ``session``; of neuroids:
``region`` (of activations of models: ``layer``), by which neuroids make a matrix each. A
presentation's ``run``, or else its ``repetition``, is taken for its run.

netCDF4 is HDF5 and read by h5py, netCDF3 by scipy: so what a file declares is compared with what it
holds, and strings of variable length are read apart, neither of which xarray does; nothing need be
installed. Axes are told apart by their lengths, which coordinates have too; where both are of the
same length, by netCDF's own numbers of dimensions.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.hdf5 import (
    MAGIC,
    damage_reported,
    descriptors_of,
    own_item,
    read_descriptors,
)
from rsa_exp.rdms.readers.image_names import NAMES_NEEDED, checked_names
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.stored_array import StoredArray
from rsa_exp.stats.condensed import IntArray

__all__ = ["DESCRIPTION", "BrainScorePatterns", "can_read", "open_file"]

DESCRIPTION = "a netCDF file of a Brain-Score assembly"
_DATA = ("data", "__xarray_dataarray_variable__")
_CLASSIC = b"CDF"
_IMAGES = ("stimulus_id", "image_id")
_GROUPS = ("region", "layer")
_DIMENSION, _DIMENSIONS = "_Netcdf4Dimid", "_Netcdf4Coordinates"


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file is netCDF3, or HDF5 with an assembly's data and a coordinate of images."""
    if head.startswith(_CLASSIC):
        return True
    if head.startswith(MAGIC):
        with suppress(Exception), h5py.File(path, "r") as file:  # damage is another's to report
            return any(name in file for name in _DATA) and any(
                name in file for name in (*_IMAGES, "neuroid_id", "presentation", "neuroid")
            )
    return False


class BrainScorePatterns(PatternSource):
    """An assembly, open for reading; arguments as in `open_patterns`, errors likewise."""

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        with path.open("rb") as stream:
            classic = stream.read(len(_CLASSIC)) == _CLASSIC
        self._assembly = _Classic(path) if classic else _Netcdf4(path)
        with self._closed_on_failure():
            self._read_layout(naming)

    def close(self) -> None:
        """Close the file."""
        self._assembly.close()

    def _read_layout(self, naming: Naming) -> None:
        lengths = self._assembly.lengths
        group_key = self._first(lengths, (naming.row_key, *_GROUPS), f"the {self.row_kind}s")
        image_key = None
        if naming.images is None:
            image_key = self._first(lengths, (naming.image_key, *_IMAGES), "the images")
        run_key = next((key for key in (naming.run_key, "repetition") if key in lengths), None)
        session_key = naming.session_key if naming.session_key in lengths else None
        if run_key == "repetition" != naming.run_key:
            self.guessed.append(f"{self.name}: 'repetition' is taken for the run")
        keys = [key for key in (group_key, image_key, run_key, session_key) if key is not None]
        found = self._assembly.coordinates(keys)
        named = {key: checked_names(found[key], f"{self.name}: '{key}'") for key in keys}
        images: Sequence[object] = naming.images or named[image_key or ""]
        groups = self._labels(named[group_key], self.row_kind)
        self._axis = self._presentation_axis(len(images), len(groups))
        self._set_labels(images, dict.fromkeys(groups))
        self._set_folds(
            named[run_key] if run_key else None, named[session_key] if session_key else None
        )
        self._columns = [np.flatnonzero(np.array(groups) == name) for name in self.names]

    def _first(self, found: Mapping[str, int], keys: Sequence[str], what: str) -> str:
        key = next((key for key in keys if key in found), None)
        if key is None:
            advice = f"; {NAMES_NEEDED}" if keys[-1] in _IMAGES else ""
            raise InputError(
                f"{self.name} has no coordinate that names {what} (expected "
                f"{' or '.join(keys[1:])}; it has {listing(sorted(found))}){advice}"
            )
        return key

    def _presentation_axis(self, n_image: int, n_neuroid: int) -> int:
        """Return 0 or 1: which axis of the data are presentations."""
        shape = self._assembly.shape
        if len(shape) > 2 and max(shape[2:]) > 1:
            raise InputError(
                f"{self.name} has data of shape {shape}, several time bins; select one or average "
                "them before saving"
            )
        fits = [
            axis
            for axis in (0, 1)
            if len(shape) >= 2 and (shape[axis], shape[1 - axis]) == (n_image, n_neuroid)
        ]
        if len(fits) == 2:
            first = self._assembly.first_axis
            fits = [] if first is None else [0 if first == "presentation" else 1]
        if not fits:
            same = n_image == n_neuroid and len(shape) >= 2
            raise InputError(
                f"{self.name} has data of shape {shape} for {n_image} presentations and "
                f"{n_neuroid} neuroids; expected (presentation, neuroid)"
                + (", and does not say which axis is which" if same else "")
            )
        return fits[0]

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_presentation, n_neuroid) of a region."""
        return self.n_row, len(self._columns[index])

    def _fetch(self, index: int) -> NDArray[Any]:
        columns = self._columns[index]
        with damage_reported(self.path):
            if self._axis == 0:
                return self._assembly.read_columns(columns)
            return np.ascontiguousarray(self._assembly.read_rows(columns).T)


class _Netcdf4:
    """A netCDF4 file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with damage_reported(path):
            self._file = h5py.File(path, "r")
            try:
                name = next(name for name in _DATA if name in self._file)
                values = own_item(self._file, name)
                if not isinstance(values, h5py.Dataset):
                    raise InputError(f"{path.name}: '{name}' is not a data set within the file")
                self._array = StoredArray(values, path)
                self.shape = self._array.shape
                self._found = descriptors_of(self._file, path)
                self.lengths = {
                    key: each.length for key, each in self._found.items() if each.values is not None
                }
                self.first_axis = self._first_axis(values)
            except BaseException:
                self._file.close()
                raise

    def close(self) -> None:
        self._array.close()
        self._file.close()

    def _first_axis(self, values: h5py.Dataset) -> str | None:
        """Return the name of the first dimension, if the file numbers its dimensions."""
        number = _first_number(values, _DIMENSIONS)
        for name in ("presentation", "neuroid"):
            scale = own_item(self._file, name)
            if number is not None and scale and _first_number(scale, _DIMENSION) == number:
                return name
        return None

    def coordinates(self, keys: Sequence[str]) -> dict[str, Sequence[object]]:
        with damage_reported(self._path):
            values = read_descriptors(self._path, [self._found[key] for key in keys])
        return dict(zip(keys, values, strict=True))

    def read_columns(self, columns: IntArray) -> NDArray[Any]:
        values = self._array.read_columns(columns)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def read_rows(self, rows: IntArray) -> NDArray[Any]:
        plain = self._array.plain
        if plain is not None:
            values = plain.read(rows)
        else:
            values = self._array.read().reshape(self.shape[0], -1)[rows]
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def _first_number(item: h5py.Group | h5py.Dataset, name: str) -> int | None:
    """Return the first of an attribute's whole numbers; None if it has none."""
    if name not in item.attrs or item.attrs.get_id(name).dtype.kind != "i":
        return None
    return next(map(int, np.ravel(item.attrs[name])), None)


class _Classic:
    """A netCDF3 file, which scipy reads whole."""

    first_axis: str | None

    def __init__(self, path: Path) -> None:
        from scipy.io import netcdf_file  # not for other formats

        try:
            with netcdf_file(path, "r", mmap=False, maskandscale=False) as file:
                variables = {
                    name: (each.dimensions, np.array(each.data))
                    for name, each in file.variables.items()
                }
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError,
                OverflowError, AssertionError, MemoryError, zlib.error) as error:  # fmt: skip
            raise InputError(
                f"{path} is a damaged or truncated netCDF file; copy it again"
            ) from error
        name = next((name for name in _DATA if name in variables), None)
        values = variables[name][1] if name else np.empty(())
        if not name or values.dtype.kind not in "fiu" or values.ndim < 2 or not values.size:
            raise InputError(
                f"{path.name} has no data of an assembly (it has {listing(variables)})"
            )
        self._data = values
        self.shape, self.first_axis = values.shape, variables[name][0][0]
        self._coordinates = {
            key: _strings(each) if each.dtype.kind == "S" and each.ndim == 2 else list(each)
            for key, (_, each) in variables.items()
            if key not in _DATA and each.ndim >= 1
        }
        self.lengths = {key: len(each) for key, each in self._coordinates.items()}

    def close(self) -> None:
        pass

    def coordinates(self, keys: Sequence[str]) -> dict[str, Sequence[object]]:
        return {key: self._coordinates[key] for key in keys}

    def read_columns(self, columns: IntArray) -> NDArray[Any]:
        return self.read_rows(np.arange(self.shape[0]))[:, columns]

    def read_rows(self, rows: IntArray) -> NDArray[Any]:
        values = self._data.reshape(self.shape[0], -1)[rows]
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def _strings(characters: NDArray[Any]) -> list[bytes]:
    """Return rows of characters as strings."""
    rows = np.ascontiguousarray(characters)
    return [row.tobytes().rstrip(b"\0 ") for row in rows]


open_file = BrainScorePatterns
