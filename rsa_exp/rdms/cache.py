"""A study's RDMs for one analysis: read once where memory allows, and on record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rsa_exp.rdms.inputs import InputRecord
from rsa_exp.rdms.readers.rdm_source import Said
from rsa_exp.rdms.study import Study
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.points.points import Points

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

    def has_patterns(self, subjects: Iterable[str]) -> bool:
        """Whether the RDMs of these members (``joint`` is all subjects) and the model are made."""
        named = [subject for subject in subjects if subject in self._study.sources]
        chosen = named or list(self._study.sources)
        return all(self._study.sources[name].is_made for name in [*chosen, ""])

    def n_dim(self, subjects: Sequence[str], name: str) -> int:
        """Return how many dimensions the points of an ROI, or a layer of the subject "", have."""
        sources = [self._study.sources[subject] for subject in subjects]
        return sum(source.n_dim(row) for source in sources for row in source.rows_of(name))

    def brain_points(self, subjects: Sequence[str], roi: str) -> Points | None:
        """Return what `Study.brain_points` does."""
        self._note(subjects, roi)
        return self._study.brain_points(subjects, roi)

    def model_points(self, layer: str) -> Points | None:
        """Return what `Study.model_points` does."""
        self._note([""], layer)
        return self._study.model_points(layer)

    def pattern_facts(self) -> list[dict[str, Any]]:
        """Return what is known of the patterns that this analysis has used, by subject and name."""
        return [
            {"subject": subject, **facts}
            for subject, names in self._used.items()
            for facts in self._study.sources[subject].facts(names)
        ]

    def said(self) -> tuple[list[str], list[str]]:
        """Return notices and warnings about the patterns that this analysis has used."""
        said = [self._study.sources[subject].said(names) for subject, names in self._used.items()]
        notices = [each for found, _ in said for each in found]
        return _merged(notices), _merged([each for _, found in said for each in found])

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


def _merged(said: Sequence[Said]) -> list[str]:
    """Say the same of several ROIs once."""
    where: dict[str, list[str]] = {}
    for each in said:
        where.setdefault(each.text, []).append(each.where)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {text}"
        for text, names in where.items()
    ]
