"""What a summary is made from: the runs of a sweep, as read from disk by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rsa_exp.stats.condensed import FloatArray

__all__ = ["Picture", "SweepRecord", "SweepRun"]


@dataclass(frozen=True, eq=False)  # tables have no one truth value
class SweepRun:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        For example ``sub-1 corr``.
    number : int
        Place in the sweep, from 0.
    status : str
        ``finished``, ``failed``, ``killed`` or ``running``.
    error : str or None
        Why it failed, in one line.
    settings : mapping of str to str
        What was swept, and its value in this run.
    folder : str
        Where its files are, for people.
    run_id : str or None
        Its id in the tracking store.
    config : mapping or None
        Its complete, resolved config; None if it never got that far.
    scores : DataFrame or None
        ``scores.csv`` of a finished run, as `rsa_exp.files.read_scores` reads it.
    subject_scores : DataFrame or None
        The same per subject, of a finished run with ``subject=group``.
    null : ndarray of shape (n_perm,), or None
        Best score of each relabelling.
    alignment, provenance : mapping or None
        ``alignment.json`` and ``provenance.json`` of a finished run.
    """

    name: str
    number: int
    status: str
    error: str | None
    settings: Mapping[str, str]
    folder: str
    run_id: str | None
    config: Mapping[str, Any] | None
    scores: pd.DataFrame | None
    subject_scores: pd.DataFrame | None
    null: FloatArray | None
    alignment: Mapping[str, Any] | None
    provenance: Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class SweepRecord:
    """A sweep.

    Attributes
    ----------
    name : str
        For example ``sweep subject=1,2,3``.
    command : str
        As it was typed.
    begun : str
        ISO time.
    run_id : str or None
        Id of the parent run in the tracking store.
    keys : tuple of str
        What was swept.
    runs : tuple of SweepRun
        In order of their numbers.
    n_planned : int
        Runs that it has, and those that were asked for and never begun; 0 if that is not known.
    """

    name: str
    command: str
    begun: str
    run_id: str | None
    keys: tuple[str, ...]
    runs: tuple[SweepRun, ...]
    n_planned: int = 0

    @property
    def finished(self) -> tuple[SweepRun, ...]:
        """Runs that have scores."""
        return tuple(
            run for run in self.runs if run.status == "finished" and run.scores is not None
        )


@dataclass(frozen=True)
class Picture:
    """A figure on disk: its name as `Summary.figures` gave it, and its PNG."""

    name: str
    path: Path
