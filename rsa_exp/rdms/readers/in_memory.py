"""RDMs that are in memory already: rsatoolbox's objects, and plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.source import RdmSource
from rsa_exp.rdms.squares import square_problem
from rsa_exp.stats.condensed import FloatArray, count_pairs

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["ArrayRdms", "Arrays", "RsatoolboxRdms"]


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

    def __init__(self, arrays: Arrays, *, row_kind: str, name: str) -> None:
        super().__init__(name, None, row_kind)
        if not arrays.rdms:
            raise InputError(f"{name}: there are no RDMs")
        self._set_labels(arrays.images, arrays.rdms)
        self._rows = [np.asarray(values) for values in arrays.rdms.values()]
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

    def __init__(
        self, rdms: RDMs, *, image_key: str, row_key: str, row_kind: str, name: str
    ) -> None:
        super().__init__(name, None, row_kind)
        images = self._labels_of(rdms.pattern_descriptors, image_key, "image")
        rows = self._labels_of(rdms.rdm_descriptors, row_key, row_kind)
        values = np.asarray(rdms.dissimilarities)
        self._check_counts(values.shape, len(images), len(rows))
        self._set_labels(images, rows)
        self._rows = list(values)

    def _labels_of(self, given: Mapping[str, Any], key: str, kind: str) -> NDArray[Any]:
        """Choose among the descriptors that a file could have: numbers or strings."""
        arrays = {name: values for name in given if (values := _labels(given[name])) is not None}
        is_text = {name: values.dtype.kind not in "biuf" for name, values in arrays.items()}
        return arrays[self._choose(is_text, key, kind)]


def _labels(descriptor: Any) -> NDArray[Any] | None:
    """Return a descriptor as an array of numbers or strings; None if it is neither."""
    try:
        values = np.asarray(descriptor)
    except ValueError:  # lists of several lengths
        return None
    is_object = values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat)
    return values if values.ndim == 1 and (is_object or values.dtype.kind in "biufSU") else None
