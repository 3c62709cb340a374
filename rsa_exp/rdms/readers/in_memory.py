"""RDMs and patterns that are in memory already: rsatoolbox's objects, and plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.squares import square_problem
from rsa_exp.stats.condensed import FloatArray, IntArray, count_pairs

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["ArrayPatterns", "ArrayRdms", "Arrays", "Patterns", "RsatoolboxRdms"]

# How values that mark a missing label are shown.
_MISSING = ("None", "nan", "<NA>", "NaT")


@dataclass(frozen=True)
class Arrays:
    """RDMs as plain arrays, with the names of their images.

    Attributes
    ----------
    rdms : mapping of str to ndarray of shape (n_pairs,) or (n_images, n_images)
        Name of a row (an ROI, a layer) to its RDM: condensed (the upper triangle row by row,
        without the diagonal), or square, symmetric with a zero diagonal. NaN marks a missing
        pair. Layers in order of depth.
    images : sequence of str
        Names of the images in the order of the arrays, length n_images.

    Examples
    --------
    >>> Arrays({"V1": 1 - np.corrcoef(patterns)}, images=["cat.jpg", "dog.jpg"])  # doctest: +SKIP
    """

    rdms: Mapping[str, NDArray[Any]]
    images: Sequence[str]


@dataclass(frozen=True)
class Patterns:
    """Response patterns as plain arrays, with the names of their images.

    Attributes
    ----------
    values : mapping of str to ndarray of shape (n_row, n_channel)
        Name of a matrix (an ROI, a layer) to its patterns: a row for each measurement, a channel
        for each voxel or unit. NaN marks what was not measured. Layers in order of depth.
    images : sequence of str
        Name of the image of each row, length n_row; images that were measured repeatedly repeat.
    runs, sessions : sequence of str or int, optional
        In which run and session each row was measured.

    Examples
    --------
    >>> Patterns({"V1": betas}, images=names, runs=run_numbers)  # doctest: +SKIP
    """

    values: Mapping[str, NDArray[Any]]
    images: Sequence[str]
    runs: Sequence[object] | None = None
    sessions: Sequence[object] | None = None


class _InMemory(RdmSource):
    """Rows that are arrays, read without a copy where they are condensed float64."""

    _rows: Sequence[NDArray[Any]]

    def close(self) -> None:
        """Nothing is held open."""

    def _fetch(self, row: int) -> FloatArray:
        from scipy.spatial.distance import squareform  # not for files

        values = np.asarray(self._rows[row], dtype=np.float64, order="C")
        view: FloatArray = squareform(values, checks=False) if values.ndim == 2 else values.view()
        view.flags.writeable = False  # the caller's array stays as it is
        return view


class ArrayRdms(_InMemory):
    """Plain arrays as a source; an `InputError` if they are no RDMs of that many images."""

    def __init__(
        self, arrays: Arrays, *, row_kind: str, name: str, path: Path | None = None
    ) -> None:
        super().__init__(name, path, row_kind)
        given = _named_arrays(arrays.rdms, "RDMs", name)
        self._set_labels(_complete(arrays.images, f"{name}: image"), given)
        self._rows = list(given.values())
        for row_name, values in zip(self.row_names, self._rows, strict=True):
            self._check(f"{name}: {row_kind} '{row_name}'", values)

    def _check(self, what: str, values: NDArray[Any]) -> None:
        condensed, square = (count_pairs(self.n_cond),), (self.n_cond, self.n_cond)
        if values.shape not in (condensed, square) or values.dtype.kind not in "fiu":
            raise InputError(
                f"{what} has shape {values.shape} and type {values.dtype}; expected numbers of "
                f"shape {condensed} or {square} for {self.n_cond} images"
            )
        if values.ndim == 2 and (problem := square_problem(values)):
            raise InputError(f"{what} {problem}")


class RsatoolboxRdms(_InMemory):
    """An ``rsatoolbox.rdm.RDMs`` object as a source; its descriptors are chosen as a file's are."""

    def __init__(self, rdms: RDMs, naming: Naming, *, name: str) -> None:
        super().__init__(name, None, naming.row_kind)
        images: Sequence[Any] | NDArray[Any] | None = naming.images
        if images is None:
            images = self._labels_of(rdms.pattern_descriptors, naming.image_key, "image")
        rows = self._labels_of(rdms.rdm_descriptors, naming.row_key, naming.row_kind)
        values = np.asarray(rdms.dissimilarities)
        self._check_counts(values.shape, len(images), len(rows))
        self._set_labels(images, rows)
        self._rows = list(values)

    def _labels_of(self, given: Mapping[str, Any], key: str, kind: str) -> NDArray[Any]:
        """Choose among the descriptors that a file could have: numbers or strings."""
        arrays = {name: values for name in given if (values := _labels(given[name])) is not None}
        is_text = {name: values.dtype.kind not in "biuf" for name, values in arrays.items()}
        return arrays[self._choose(is_text, key, kind)]


class ArrayPatterns(PatternSource):
    """Plain arrays of patterns as a source; `path` and `files` of readers that load them whole."""

    def __init__(
        self, patterns: Patterns, *, row_kind: str, name: str, path: Path | None = None
    ) -> None:
        super().__init__(name, path, row_kind)
        given = _named_arrays(patterns.values, "patterns", name)
        self._set_labels(_complete(patterns.images, f"{name}: row", "image name"), given)
        folds = {"run": patterns.runs, "session": patterns.sessions}
        self._set_folds(
            *(v if v is None else _complete(v, f"{name}: row", k) for k, v in folds.items())
        )
        self._values = list(given.values())
        for row_name, values in zip(self.row_names, self._values, strict=True):
            what = f"{name}: {row_kind} '{row_name}'"
            self._check_shape(values.shape, what)
            if values.dtype.kind not in "fiub":
                raise InputError(f"{what} has values of type {values.dtype}; expected numbers")

    def close(self) -> None:
        """Nothing is held open."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_row, n_channel) of a matrix."""
        n_row, n_channel = self._values[index].shape
        return n_row, n_channel

    def read_rows(self, index: int, rows: IntArray) -> NDArray[Any]:
        """Return some rows of a matrix."""
        return np.asarray(self._values[index][rows])

    def _fetch(self, index: int) -> NDArray[Any]:
        return self._values[index]


def _named_arrays(given: object, kind: str, name: str) -> dict[str, NDArray[Any]]:
    """Return what was given as arrays by name; an `InputError` if it is none, or masked."""
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"{name}: there are no {kind}; give them by name: {{'V1': array}}")
    masked = [key for key, values in given.items() if isinstance(values, np.ma.MaskedArray)]
    if masked:
        raise InputError(
            f"{name}: {listing(masked)} has a mask, which would be lost; fill in what it hides: "
            "array.filled(numpy.nan)"
        )
    try:
        return {key: np.asarray(values) for key, values in given.items()}
    except ValueError as error:  # rows of several lengths
        raise InputError(f"{name}: {kind} are no arrays of numbers") from error


def _complete(labels: Iterable[object], what: str, kind: str = "name") -> list[object]:
    """Return labels as a list; an `InputError` if one is missing, which is counted from 1."""
    found = list(labels)
    for number, label in enumerate(found, 1):
        if not label.strip() if isinstance(label, str | bytes) else str(label) in _MISSING:
            raise InputError(f"{what} {number} of {len(found)} has no {kind}")
    return found


def _labels(descriptor: Any) -> NDArray[Any] | None:
    """Return a descriptor as an array of numbers or strings; None if it is neither."""
    try:
        values = np.asarray(descriptor)
    except ValueError:  # lists of several lengths
        return None
    is_object = values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat)
    return values if values.ndim == 1 and (is_object or values.dtype.kind in "biufSU") else None
