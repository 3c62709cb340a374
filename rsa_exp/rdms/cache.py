"""A study's RDMs for one analysis: read once where memory allows, and on record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rsa_exp.rdms.inputs import InputRecord
from rsa_exp.rdms.study import Study
from rsa_exp.stats.condensed import FloatArray

__all__ = ["KEPT_BYTES", "RdmCache"]

KEPT_BYTES = 1 << 26
"""RDMs kept in memory between the passes of an analysis: 3 x 10 ROIs and 5 layers of 690 images.

Large ones are read again: from files that the system keeps in memory, this takes little more time
than a copy.
"""

# A layer, or the subjects and the ROI of a brain RDM.
_Key = str | tuple[tuple[str, ...], str]


class RdmCache:
    """A study's RDMs as one analysis needs them: again for scores, bootstrap and permutation.

    RDMs are kept in the order in which they are first read until the room is used up; the others
    are read from the study each time. Scoring reads the model's layers first, so that these, which
    every pass needs whole, are kept before any brain RDM. May be called from several threads.

    Parameters
    ----------
    study : Study
        Open.
    room : int
        Bytes of RDMs that are kept at most; 0 keeps none.
    """

    def __init__(self, study: Study, room: int) -> None:
        self._study = study
        self._room = room
        self._kept: dict[_Key, FloatArray] = {}
        self._used: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    @property
    def n_images(self) -> int:
        """Images in use."""
        return self._study.n_images

    def has_roi(self, subject: str, roi: str) -> bool:
        """Whether a subject has an ROI."""
        return self._study.has_roi(subject, roi)

    def brain_rdm(self, subjects: Sequence[str], roi: str) -> FloatArray:
        """Return what `Study.brain_rdm` does, in memory of its own."""
        self._note(subjects, roi)
        return self._rdm((tuple(subjects), roi), lambda: self._study.brain_rdm(subjects, roi))

    def model_rdm(self, layer: str) -> FloatArray:
        """Return what `Study.model_rdm` does, in memory of its own."""
        self._note([""], layer)
        return self._rdm(layer, lambda: self._study.model_rdm(layer))

    def inputs(self) -> list[InputRecord]:
        """Return the record of the rows that this analysis has used."""
        return self._study.inputs(self._used)

    def _note(self, subjects: Sequence[str], name: str) -> None:
        with self._lock:
            for subject in subjects:
                self._used.setdefault(subject, set()).add(name)

    def _rdm(self, key: _Key, read: Callable[[], FloatArray]) -> FloatArray:
        kept = self._kept.get(key)
        if kept is not None:
            return kept.copy()  # consumers overwrite what they are given
        values = read()
        with self._lock:
            fits = values.nbytes <= self._room
            self._room -= values.nbytes if fits else 0
        if fits:
            self._kept[key] = values.copy()
        return values
