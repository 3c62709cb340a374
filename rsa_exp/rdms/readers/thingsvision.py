"""Features as thingsvision writes them: a folder with ``features.npy`` and ``file_names.txt``.

One folder is one layer, called by the folder's name: ``features.npy``, ``features.hdf5`` (data set
``features``), ``features.mat`` or ``features.txt`` (a line an image). Features that thingsvision
split, because they were too large, are joined: ``features_01.npy``, ``features_02.npy``;
``features_0-32.npy``, ``features_32-64.npy``; data sets ``features_01``, ``features_02``. Those of
more than two dimensions (channels x height x width) have all units in one. A folder of such
folders, one a layer (``extract_features(..., module_names=[...], output_dir=...)``), is a model;
layers come in the natural order of their names.

``file_names.txt`` lists the images; it is in the folder of the features or in the one above.
Images of class data sets are listed with their folders, which are dropped where names stay
distinct. ``features.mat`` has a variable for each image, called as in ``file_names.txt`` without
its extension, or one, ``features``. ``.pt`` is a pickle and never loaded.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.files import natural_order
from rsa_exp.rdms.alignment import stem
from rsa_exp.rdms.readers.folders import entries
from rsa_exp.rdms.readers.hdf5 import damage_reported, own_item
from rsa_exp.rdms.readers.matlab_file import MatlabFile
from rsa_exp.rdms.readers.matrix_patterns import LoadedArray, Matrix, MatrixPatterns
from rsa_exp.rdms.readers.name_lists import LIST_NAMES, find_images
from rsa_exp.rdms.readers.npy_files import open_npy
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.stored_array import StoredArray, is_numeric
from rsa_exp.stats.condensed import IntArray

__all__ = ["StackedRows", "ThingsvisionFormat", "ThingsvisionPatterns"]

_MAX_PARTS = 1000

OpenPatterns: TypeAlias = Callable[[Path, Naming], PatternSource]

# features.npy; features_train.npy; features_01.npy; features_train_0-32.npy
_FEATURES = re.compile(
    r"features(?P<part>.*?)(?:_(?:\d+-)?(?P<end>\d+))?\.(?P<kind>npy|txt|hdf5|h5|mat|pt)"
)


@dataclass(frozen=True)
class StackedRows:
    """Arrays whose rows follow each other, with one row for each image and all units in one."""

    parts: Sequence[Matrix]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the joined matrix."""
        return sum(part.shape[0] for part in self.parts), math.prod(self.parts[0].shape[1:])

    def read(self) -> NDArray[Any]:
        """Read all rows."""
        values = [part.read().reshape(part.shape[0], -1) for part in self.parts]
        return values[0] if len(values) == 1 else np.concatenate(values)

    def read_rows(self, rows: IntArray) -> NDArray[Any] | None:
        """Read some rows; None if a part must be read whole."""
        if len(self.parts) == 1:
            return self.parts[0].read_rows(rows)
        ends = np.cumsum([part.shape[0] for part in self.parts])
        rows = np.arange(self.shape[0])[rows]
        owner = np.searchsorted(ends, rows, side="right")
        pieces = []
        for i, part in enumerate(self.parts):
            found = part.read_rows(rows[owner == i] - (ends[i] - part.shape[0]))
            if found is None:
                return None
            pieces.append(found)
        joined = np.concatenate(pieces)
        values = np.empty_like(joined)
        values[np.argsort(owner, kind="stable")] = joined
        return values

    def close(self) -> None:
        """Nothing is held open."""


@dataclass(frozen=True)
class _SourceMatrix:
    """The only matrix of another source."""

    source: PatternSource

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape(0)

    def read(self) -> NDArray[Any]:
        return self.source.read(0)

    def read_rows(self, rows: IntArray) -> NDArray[Any] | None:
        return self.source.read_rows(0, rows)

    def close(self) -> None:
        self.source.close()


class ThingsvisionPatterns(MatrixPatterns):
    """A folder of features, or of such folders.

    Arguments as in `rsa_exp.rdms.readers.open_patterns`, and `open_patterns` itself, for formats
    besides numpy's. An `InputError` if a file is damaged or the numbers of images differ.
    """

    def __init__(self, path: Path, naming: Naming, open_patterns: OpenPatterns) -> None:
        super().__init__(path.name, path, naming.row_kind)
        layers = [path] if _features(path) else _layers(path)
        images: list[str] | None = None
        matrices: dict[str, Matrix] = {}
        self.files = []
        for layer in layers:
            found, lists = _images_of(layer, naming)
            if images is not None and found != images:
                raise InputError(
                    f"{layer} has other images than {layers[0].name}, or another order of them"
                )
            images = found
            files = _features(layer)
            matrices |= _matrices(layer.name, files, replace(naming, images=images), open_patterns)
            self.files += [path for path in [*files, *lists] if path not in self.files]
        self._set_matrices(matrices, images or [])


def _features(folder: Path) -> list[Path]:
    """Return the files of a folder's features, parts in order; pickles only where there is no else.

    An `InputError` if they are of several sets of images, as of ``_train`` and ``_test``.
    """
    found = {path: match for path in entries(folder) if (match := _FEATURES.fullmatch(path.name))}
    for kinds in ({"npy"}, {"hdf5", "h5"}, {"txt"}, {"mat"}, {"pt"}):
        files = [path for path in found if found[path]["kind"] in kinds and path.is_file()]
        if whole := [path for path in files if path.stem == "features"]:
            return whole[:1]
        if files:
            parts = sorted({found[path]["part"] for path in files})
            if len(parts) > 1:
                raise InputError(
                    f"{folder} has features of several parts ({', '.join(parts)}); put each into "
                    "a folder of its own, with its file_names.txt"
                )
            return sorted(files, key=lambda path: (int(found[path]["end"] or 0), path.name))
    return []


def _layers(folder: Path) -> list[Path]:
    """Return the folders with features within a folder, in natural order."""
    folders = [path for path in entries(folder) if path.is_dir() and os.access(path, os.R_OK)]
    inner = [path for path in folders if _features(path)]
    return sorted(inner, key=lambda path: natural_order(path.name))


def _images_of(folder: Path, naming: Naming) -> tuple[list[str], list[Path]]:
    """Return the images of a folder of features, and the list that was read."""
    has_list = any((folder / name).is_file() for name in LIST_NAMES)
    above = folder.absolute().parent
    where = above if not has_list and (above / LIST_NAMES[0]).is_file() else folder
    images, lists = find_images(where, naming)
    plain = [re.split(r"[/\\]", image)[-1] for image in images]
    return plain if lists and len(set(plain)) == len(set(images)) else images, lists


def _matrices(
    name: str, files: Sequence[Path], naming: Naming, open_patterns: OpenPatterns
) -> dict[str, Matrix]:
    """Return the matrix of a layer by its name; or several, where files of parts are layers."""
    kind, n_images = files[0].suffix, len(naming.images or ())
    if kind == ".pt":
        raise InputError(
            f"{files[0]} is a pickle, which runs code when it is loaded; let thingsvision write "
            "features with file_format='npy'"
        )
    if kind in {".npy", ".txt"}:
        parts: list[Matrix] = [
            open_npy(path) if kind == ".npy" else LoadedArray(_text(path)) for path in files
        ]
        if len(parts) > 1 and all(part.shape[0] == n_images for part in parts):
            return {  # features_0: a module, as torchvision calls them
                path.stem: StackedRows([part]) for path, part in zip(files, parts, strict=True)
            }
        if len({part.shape[1:] for part in parts}) > 1:
            raise InputError(f"{files[0].parent}: the parts of features have different shapes")
        return {name: StackedRows(parts)}
    if kind == ".mat":
        return {name: StackedRows([LoadedArray(_by_image(files, naming.images or ()))])}
    if parts := _hdf5_parts(files[0]):
        return {name: StackedRows(parts)}
    try:
        source = open_patterns(files[0], naming)
    except InputError as error:
        raise InputError(
            f"{error} (of thingsvision's formats, 'npy' can always be read, and 'hdf5')"
        ) from error
    return {name: _SourceMatrix(source)}


def _hdf5_parts(path: Path) -> list[Matrix]:
    """Read the data sets ``features_01``, ``features_02`` ...; none where features are whole."""
    with damage_reported(path), h5py.File(path, "r") as file:
        names = [name for name in list(file)[:_MAX_PARTS] if re.fullmatch(r"features_\d+", name)]
        items = [own_item(file, name) for name in sorted(names, key=natural_order)]
        if "features" in file or not items:
            return []
        if not all(isinstance(item, h5py.Dataset) and is_numeric(item) for item in items):
            raise InputError(f"{path}: {listing(names, 4)} are not all data sets of numbers")
        return [LoadedArray(StoredArray(item, path).read()) for item in items]


def _by_image(files: Sequence[Path], images: Sequence[str]) -> NDArray[Any]:
    """Read MATLAB files with a variable for each image, or with all of them as ``features``."""
    found: dict[str, NDArray[Any]] = {}
    for path in files:
        file = MatlabFile(path)
        try:
            arrays = {
                key: np.asarray(each.load())
                for key, each in file.variables.items()
                if each.kind == "numbers"
            }
        finally:
            file.close()
        if list(arrays) == ["features"] and len(files) == 1:
            return arrays["features"]
        found |= arrays
    # Images are perhaps called without their folders, which variables have.
    found = {re.split(r"[/\\]", key)[-1]: value for key, value in found.items()} | found
    keys = [stem(image) for image in images]
    lacking = [image for image, key in zip(images, keys, strict=True) if key not in found]
    if lacking:
        raise InputError(
            f"{files[0]} has no variable with the features of {len(lacking)} of {len(images)} "
            f"images: {listing(lacking, 3)}"
        )
    rows = [found[key].reshape(-1) for key in keys]
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{files[0]}: images have different numbers of features")
    return np.stack(rows) if rows else np.empty((0, 0))


def _text(path: Path) -> NDArray[np.float64]:
    """Read a table of numbers without a header, which ``numpy.savetxt`` wrote."""
    try:
        return np.loadtxt(path, comments=None, ndmin=2, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as lines of numbers: {error!s:.200}") from error


class ThingsvisionFormat:
    """The format; `open_patterns` opens a file within the folder that numpy does not read."""

    DESCRIPTION = "a folder of features by thingsvision"

    def __init__(self, open_patterns: OpenPatterns) -> None:
        self.open_patterns = open_patterns

    def can_read(self, path: Path, head: bytes) -> bool:  # noqa: ARG002
        """Whether a folder, or one within it, has features."""
        return path.is_dir() and bool(_features(path) or _layers(path))

    def open_file(self, path: Path, naming: Naming) -> ThingsvisionPatterns:
        """Open a folder."""
        return ThingsvisionPatterns(path, naming, self.open_patterns)
