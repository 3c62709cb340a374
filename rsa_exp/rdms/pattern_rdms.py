"""RDMs that are made of response patterns when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.pair_gather import PairGather
from rsa_exp.rdms.readers import PatternSource, RdmSource
from rsa_exp.rdms.readers.rdm_source import Said
from rsa_exp.rdms.streamed_points import StreamedPoints, row_scales
from rsa_exp.stats.condensed import FloatArray, IntArray
from rsa_exp.stats.parallel import one_blas_thread
from rsa_exp.stats.patterns.measurements import Measurements, PatternOptions
from rsa_exp.stats.patterns.prepare import Prepared, prepare
from rsa_exp.stats.points.points import Points, condensed_rdm

__all__ = ["PatternRdms"]

# Bytes of prepared patterns that are kept, of all ROIs or layers of a source.
_KEPT_BYTES = 1 << 28
# A source's patterns are read in blocks of images where they may be, if all of them take more than
# this in float64.
_STREAMED_BYTES = 1 << 27
_FIRST = np.zeros(1, dtype=np.int64)


class PatternRdms(RdmSource):
    """Patterns as a source of RDMs: its images are those of the patterns, each once.

    What is recorded of it, and compared when a run is reproduced, are the patterns.

    Parameters
    ----------
    patterns : PatternSource
        Open; closed with this.
    options : PatternOptions
        How RDMs are made of them.
    residuals : PatternSource, optional
        Residuals of the model that estimated the patterns, for the covariance of the noise.

    Raises
    ------
    InputError
        If the options need runs or sessions that are not known.
    """

    is_made = True

    def __init__(
        self,
        patterns: PatternSource,
        options: PatternOptions,
        residuals: PatternSource | None = None,
    ) -> None:
        super().__init__(patterns.name, patterns.path, patterns.row_kind)
        self.measure, self.of_subject = options.distance, patterns.of_subject
        self._patterns, self._options, self._residuals = patterns, options, residuals
        self.files = [*patterns.files, *(residuals.files if residuals else ())]
        self.guessed = patterns.guessed
        self._set_labels(dict.fromkeys(patterns.images), patterns.row_names)
        self._digests = patterns._digests
        index = {label: i for i, label in enumerate(self.images)}
        self._image_of_row = np.array([index[label] for label in patterns.images], dtype=np.int64)
        self._check_folds(patterns, options)
        self._runs, self._sessions = _codes(patterns.runs), _codes(patterns.sessions)
        self._n_channels = sum(patterns.shape(row)[1] for row in range(len(self.row_names)))
        self._kept: OrderedDict[int, Prepared] = OrderedDict()
        self._scales: dict[int, FloatArray] = {}
        self._facts: dict[int, dict[str, float]] = {}
        self._said: dict[int, tuple[list[str], list[str]]] = {}
        self._lock = threading.Lock()

    @property
    def labels(self) -> list[str]:
        """What a digest is of, besides patterns: the image of each row, its run and its session."""
        patterns = self._patterns
        return [*patterns.images, *(patterns.runs or ()), *(patterns.sessions or ())]

    def close(self) -> None:
        """Close the patterns."""
        self._kept.clear()
        self._patterns.close()
        if self._residuals is not None:
            self._residuals.close()

    def rdm(
        self,
        row: int,
        positions: NDArray[np.intp],
        gather: Callable[[], PairGather],  # noqa: ARG002
    ) -> FloatArray:
        """Make one RDM of chosen images; NaN for a pair that is not defined."""
        with one_blas_thread():
            streamed = self._streamed(row, positions)
            if streamed is not None:
                return condensed_rdm(streamed)
            return self._prepared(row).rdm(positions.astype(np.int64))

    def points(self, row: int, positions: NDArray[np.intp]) -> Points | None:
        """Return the points whose squared distances are the RDM of chosen images, if it has them.

        Patterns without repetitions that may be read by rows are read in blocks of images.
        """
        streamed = self._streamed(row, positions)
        if streamed is not None:
            return streamed
        with one_blas_thread():
            return self._prepared(row).points(positions.astype(np.int64))

    def n_dim(self, row: int) -> int:
        """Return how many dimensions the points of a matrix would have, without reading it."""
        n_channel = self._patterns.shape(row)[1]
        if self._options.distance.startswith("poisson"):
            n_channel *= 2
        folds = self._sessions if self._options.folds == "session" else self._runs
        if self._options.cross_validated and folds is not None:
            n_channel *= len(np.unique(folds))
        return n_channel

    def facts(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Return what is known of the patterns of some names, as far as they have been used."""
        return [
            {"name": self.row_names[row], **facts}
            for row, facts in sorted(self._facts.items())
            if self.row_names[row] in names
        ]

    def said(self, names: Collection[str]) -> tuple[list[Said], list[Said]]:
        """Return notices and warnings about the patterns of some names, in their order."""
        rows = [row for row in sorted(self._said) if self.row_names[row] in names]
        notices, warnings = (
            [Said(self._what(row), text) for row in rows for text in self._said[row][kind]]
            for kind in range(2)
        )
        return notices, warnings

    def whole_rdm(self, row: int, images: NDArray[np.intp]) -> FloatArray:
        """Make one RDM of all images."""
        return self.rdm(row, images, _no_gather)

    def _fetch(self, row: int) -> FloatArray:
        return self.whole_rdm(row, np.arange(len(self.images)))

    def row_digests(self, names: Collection[str] | None = None) -> dict[str, str]:
        """Content digests of the patterns read so far, and of their residuals."""
        found = super().row_digests(names)
        if self._residuals is not None:
            read = self._residuals.row_digests(names)
            found |= {f"residuals of {name}": digest for name, digest in read.items()}
        return found

    def _read_for_digest(self, row: int) -> None:
        self._patterns.read(row)
        self._residuals_of(self.row_names[row])

    def _residuals_of(self, name: str) -> NDArray[Any] | None:
        source = self._residuals
        return None if source is None else source.read(source.rows_of(name)[0])

    def _n_bytes(self, row: int) -> int:
        """Bytes of one matrix when it is prepared, without folds."""
        return 8 * len(self.images) * self._patterns.shape(row)[1]

    def _check_folds(self, patterns: PatternSource, options: PatternOptions) -> None:
        """Refuse options that need the run or session of each row where there is none."""
        kinds = {"zscore": options.zscore}
        if options.cross_validated:
            kinds["distance"] = options.folds
        known = {"run": patterns.runs, "session": patterns.sessions}
        for option, kind in kinds.items():
            if kind in known and known[kind] is None:
                raise InputError(
                    f"{self.name} does not say in which {kind} each row was measured, which "
                    f"{option}={getattr(options, option)} needs; store it beside the image names, "
                    f"under the name that data.{kind}_key has ('{kind}' by default)"
                )

    def _what(self, row: int) -> str:
        return f"{self.name}: {self.row_kind} '{self.row_names[row]}'"

    def _prepared(self, row: int) -> Prepared:
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
        measurements = Measurements(
            self._patterns.read(row),
            self._image_of_row,
            len(self.images),
            self._runs,
            self._sessions,
        )
        residuals = self._residuals_of(self.row_names[row])
        what = self._what(row)
        found = prepare(
            measurements, self._options, residuals=residuals, what=what, names=self.images
        )
        notices, warnings = (
            [t.removeprefix(f"{what}: ") for t in said] for said in (found.notices, found.warnings)
        )
        with self._lock:
            self._facts[row] = found.facts
            self._said[row] = notices, warnings
            self._kept[row] = found
            while len(self._kept) > 1 and sum(map(self._n_bytes, self._kept)) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return found

    def _streamed(self, row: int, positions: NDArray[np.intp]) -> StreamedPoints | None:
        """Return points that are read in blocks of images, where patterns are large and plain."""
        patterns, options = self._patterns, self._options
        n_row, n_channel = patterns.shape(row)
        if len(self.images) < n_row or not StreamedPoints.can_stream(options):
            return None
        if 8 * n_row * self._n_channels < _STREAMED_BYTES or (
            patterns.read_rows(row, _FIRST) is None
        ):
            return None
        with self._lock:
            scales = self._scales.get(row)
        if scales is None:
            scales = row_scales(patterns, row, options.distance)
            with self._lock:
                self._scales[row] = scales
        if np.isnan(scales).any():
            return None
        with self._lock:
            self._facts[row] = {
                "n_row": n_row,
                "n_row_missing": 0,
                "n_channel": n_channel,
                "repetitions_min": 1,
                "repetitions_max": 1,
                "n_channel_used": n_channel,
                "n_image_undefined": 0,
            }
        return StreamedPoints(patterns, row, positions.astype(np.int64), scales)


def _codes(labels: list[str] | None) -> IntArray | None:
    """Return a number for each label; -1 for an empty one."""
    if labels is None:
        return None
    known = {label: i for i, label in enumerate(sorted({*labels} - {""}))}
    return np.array([known.get(label, -1) for label in labels], dtype=np.int64)


def _no_gather() -> PairGather:
    raise AssertionError("patterns need none")
