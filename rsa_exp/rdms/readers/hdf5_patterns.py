"""HDF5 files of patterns: one data set for each ROI or layer, and names of the rows beside them.

Layout: data sets of numbers of shape (n_row, n_channel), at the top level or in one group (called
``patterns`` or ``features`` if there are several), each called as its ROI or layer. Beside them, at
the top level, in that group or in ``obs_descriptors`` (where ``rsatoolbox.data.Dataset.save`` puts
them), data sets of shape (n_row,): the images' names (`Naming.image_key`, else the only one of
strings), and if they are known ``run`` and ``session`` (numbers or strings). Files of BOLD5000 have
no names and find their list (`rsa_exp.rdms.readers.bold5000`). Data sets that are not compressed
are read by rows; the order of layers is the order of creation where the file keeps it, else that of
their names, numbers in them counted as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.files import natural_order
from rsa_exp.rdms.readers.bold5000 import find_stimulus_list, read_stimulus_list
from rsa_exp.rdms.readers.hdf5 import (
    MAGIC,
    StoredDescriptor,
    damage_reported,
    descriptors_of,
    own_item,
    read_descriptors,
)
from rsa_exp.rdms.readers.image_names import NAMES_NEEDED, checked_names
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.stored_array import StoredArray, is_numeric
from rsa_exp.stats.condensed import IntArray

__all__ = ["DESCRIPTION", "Hdf5Patterns", "can_read", "open_file"]

DESCRIPTION = "an HDF5 file with a data set of patterns for each ROI or layer"
_GROUPS = ("patterns", "features")
_BESIDE = "obs_descriptors"


def can_read(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a file that begins with `head` is an HDF5 file."""
    return head.startswith(MAGIC)


class Hdf5Patterns(PatternSource):
    """An HDF5 file of patterns, open for reading; arguments as in `open_patterns`.

    An `InputError` if it is damaged, truncated, holds RDMs, or lacks names.
    """

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        self._arrays: list[StoredArray] = []
        with damage_reported(path):
            self._file = h5py.File(path, "r")
            with self._closed_on_failure():
                self._read_layout(naming)

    def close(self) -> None:
        """Close the file."""
        for array in self._arrays:
            array.close()
        self._file.close()

    def _read_layout(self, naming: Naming) -> None:
        if own_item(self._file, "dissimilarities") is not None:
            raise InputError(f"{self.name} holds RDMs, not patterns; use {self.use_rdms}")
        group, matrices = self._matrices()
        beside = own_item(self._file, _BESIDE)
        places = [self._file, *([beside] if isinstance(beside, h5py.Group) else []), group]
        found = {key: each for at in places for key, each in descriptors_of(at, self.path).items()}
        sizes = {size for values in matrices.values() for size in values.shape}
        images, *folds = self._read_names(found, naming, sizes)
        self._set_labels(images or (), matrices)
        self._set_folds(*folds)
        for name, values in matrices.items():
            self._check_shape(values.shape, f"{self.name}: {self.row_kind} '{name}'")
            self._arrays.append(StoredArray(values, self.path))

    def _matrices(self) -> tuple[h5py.Group, dict[str, h5py.Dataset]]:
        """Return the group that holds matrices, and these by name."""
        groups = {"/": self._file["/"]} | {
            name: item
            for name in list(self._file)[:1000]
            if isinstance(item := own_item(self._file, name), h5py.Group)
        }
        found = {name: tables for name in groups if (tables := _tables(groups[name]))}
        named = [name for name in _GROUPS if name in found]
        if not found or (len(found) > 1 and "/" not in found and len(named) != 1):
            problem = f"several groups ({listing(found)})" if found else "no data sets"
            raise InputError(
                f"{self.name} has {problem} of shape (n_row, n_channel) (it has "
                f"{listing(self._file)}); expected one for each {self.row_kind}, at the top level "
                "or in a group 'patterns'"
            )
        name = named[0] if len(named) == 1 else next(iter(found))
        return groups[name], found[name]

    def _read_names(
        self, found: dict[str, StoredDescriptor], naming: Naming, sizes: set[int]
    ) -> list[Sequence[object] | None]:
        """Return the image, run and session of each row."""
        chosen: dict[str, StoredDescriptor] = {}
        for kind, key in (("run", naming.run_key), ("session", naming.session_key)):
            if key in found:
                chosen[kind] = found[key]
        labels = {
            key: each.is_text
            for key, each in found.items()
            if each not in chosen.values() and (each.length in sizes or key == naming.image_key)
        }
        listed = None
        if naming.images is None:
            if not any(labels.values()) and naming.image_key not in labels:
                listed = find_stimulus_list(self.path)
                if listed is None and not labels:
                    raise InputError(f"{self.name} has no names of images; {NAMES_NEEDED}")
            if listed is None:
                chosen["image"] = found[self._choose(labels, naming.image_key, "image")]
        values = dict(zip(chosen, read_descriptors(self.path, list(chosen.values())), strict=True))
        names = {
            kind: checked_names(values[kind], f"{self.name}: '{chosen[kind].name}'")
            for kind in chosen
        }
        images: Sequence[object] | None = names.get("image", naming.images)
        if listed is not None:
            images = checked_names(read_stimulus_list(listed), listed.name)
            self.files.append(listed)
        return [images, names.get("run"), names.get("session")]

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_row, n_channel) of a matrix."""
        n_row, n_channel = self._arrays[index].shape
        return n_row, n_channel

    def _fetch(self, index: int) -> NDArray[Any]:
        with damage_reported(self.path):
            values = self._arrays[index].read()
            return values.astype(values.dtype.newbyteorder("="), copy=False)

    def read_rows(self, index: int, rows: IntArray) -> NDArray[Any] | None:
        """Return some rows of a matrix that is not compressed; None if it is."""
        plain = self._arrays[index].plain
        if plain is None:
            return None
        values = plain.read(rows)
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def _tables(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return the data sets of numbers with two dimensions in a group, in order."""
    names = list(group)
    ordered = group.id.get_create_plist().get_link_creation_order()
    if not ordered & h5py.h5p.CRT_ORDER_TRACKED:
        names.sort(key=natural_order)
    items = {name: own_item(group, name) for name in names}
    return {
        name: item
        for name, item in items.items()
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and is_numeric(item)
    }


open_file = Hdf5Patterns
