"""A source of response patterns, whatever its format: of an ROI's voxels, of a layer's units."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.source import LabelledSource
from rsa_exp.stats.condensed import IntArray

__all__ = ["PatternSource"]


class PatternSource(LabelledSource):
    """A matrix of patterns (measurements x channels) for each ROI or layer.

    All matrices of a source have the same rows: a row is a measurement (a trial, an estimate for an
    image), a channel is a voxel or a unit. A reader of a format finds the labels, calls
    `_set_labels` (images of the rows, names of the matrices) and `_set_folds`, and returns matrices
    by `_fetch`.

    Attributes
    ----------
    images : list of str
        The image of each row, length n_row; repeated where an image was measured repeatedly.
    runs, sessions : list of str, or None
        In which run and session each row was measured; None where that is not known. A run is of
        one session: where both are known runs are numbered anew in each session or not, which
        makes no difference.
    """

    runs: list[str] | None = None
    sessions: list[str] | None = None

    @property
    def n_row(self) -> int:
        """Number of measurements."""
        return len(self.images)

    @abstractmethod
    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_row, n_channel) of a matrix, without reading it."""

    @abstractmethod
    def _fetch(self, index: int) -> NDArray[Any]:
        """Return a matrix whole: numbers of shape (n_row, n_channel), C-contiguous."""

    def read_rows(self, index: int, rows: IntArray) -> NDArray[Any] | None:  # noqa: ARG002
        """Return some rows of a matrix, shape (len(rows), n_channel); None where all must be read.

        For matrices that may be larger than memory, which formats store plainly. May be called
        from several threads.
        """
        return None

    def read(self, index: int) -> NDArray[Any]:
        """Read a matrix; may be called from several threads.

        Returns
        -------
        ndarray of shape (n_row, n_channel)
            Numbers of the type they are stored in; NaN marks what was not measured. Not to be
            written to.

        Raises
        ------
        InputError
            If it cannot be read (a truncated file).
        """
        values = np.ascontiguousarray(self._fetch(index))
        self._digests[index] = xxhash.xxh3_128_hexdigest(values.data.cast("B"))
        return values

    def blocks(self, index: int, n_row: int) -> Iterator[NDArray[Any]]:
        """Read a matrix that `read_rows` reads, so many rows at a time, in order.

        A complete pass gives the matrix its digest.
        """
        state = xxhash.xxh3_128()
        for start in range(0, self.n_row, n_row):
            rows = np.arange(start, min(start + n_row, self.n_row))
            values = self.read_rows(index, rows)
            if values is None:
                raise ValueError(f"{self.name}: rows cannot be read by themselves")
            state.update(np.ascontiguousarray(values).data.cast("B"))
            yield values
        self._digests[index] = state.hexdigest()

    def _set_folds(self, runs: Iterable[object] | None, sessions: Iterable[object] | None) -> None:
        """Set the runs and sessions of the rows."""
        self.runs = self._fold_labels(runs, "run")
        self.sessions = self._fold_labels(sessions, "session")

    def _fold_labels(self, values: Iterable[object] | None, kind: str) -> list[str] | None:
        if values is None:
            return None
        labels = self._labels(values, kind)
        if len(labels) != self.n_row:
            raise InputError(
                f"{self.name} names {len(labels)} {kind}s and {self.n_row} images; expected one of "
                "each for every row of the patterns"
            )
        return labels

    def _check_shape(self, shape: Sequence[int], what: str) -> None:
        """Compare the shape of a matrix with the number of image names."""
        n_row = self.n_row
        if len(shape) == 2 and shape[0] == n_row and shape[1] > 0:
            return
        turned = len(shape) == 2 and shape[1] == n_row
        advice = (
            "it is transposed: store measurements x channels"
            if turned
            else f"expected ({n_row}, n_channel), a row for each image name"
        )
        raise InputError(f"{what} has shape {tuple(shape)} and {n_row} image names; {advice}")
