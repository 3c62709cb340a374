"""Variants of an analysis: what a sweep varied besides subjects, ROIs and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.stats.metrics.registry import METRICS, Metric
from rsa_exp.vocabulary import POOLED

__all__ = ["Variant", "extra_keys", "lacking", "variants_of"]

# A variant has several values of these.
_WITHIN = ("subject", "roi", "layer")
# Their values need no key in a variant's name, and come first.
_BARE = ("metric", "model")


@dataclass(frozen=True, eq=False)
class Variant:
    """One way of doing the analysis, and its finished runs."""

    name: str  # such as "spearman align=exact"; no two are the same
    settings: dict[str, str]  # what was swept to make it, with its values
    runs: tuple[RecordedRun, ...]  # at least one

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a setting of its first run."""
        return self.runs[0].setting(key, default)

    @cached_property
    def metric(self) -> Metric:
        """How it compares RDMs."""
        return METRICS[self._fact("metric")]

    @cached_property
    def model(self) -> str:
        """Name of the model."""
        return self._fact("model")

    @cached_property
    def study(self) -> str:
        """Name of the study."""
        return self._fact("study")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Single subjects that it has scores of."""
        tables = [run.scores["subject"] for run in self.runs]
        names = dict.fromkeys(str(name) for table in tables for name in table.unique())
        return tuple(name for name in names if name not in POOLED)

    @property
    def simulated(self) -> bool:
        """Whether its data are simulated."""
        return bool(self.setting("data.kind") == "simulated")

    def _fact(self, column: str) -> str:
        return str(self.runs[0].scores[column].iloc[0])


def variants_of(sweep: RecordedSweep) -> tuple[Variant, ...]:
    """Group the finished runs of a sweep by what was swept, in the order of their numbers."""
    keys = [key for key in sweep.keys if key not in _WITHIN]
    keys.sort(key=lambda key: _BARE.index(key) if key in _BARE else len(_BARE))
    found: dict[tuple[str, ...], list[RecordedRun]] = {}
    for run in sweep.finished:
        swept = run.swept(keys)
        found.setdefault(tuple(swept.get(key, "") for key in keys), []).append(run)
    settings = [dict(zip(keys, values, strict=True)) for values in found]
    short = [_name(each, shortened=True) for each in settings]
    if len(set(short)) < len(short):  # two files of one name in different folders
        short = [_name(each, shortened=False) for each in settings]
    made = [
        Variant(name, each, tuple(runs))
        for name, each, runs in zip(short, settings, found.values(), strict=True)
    ]
    if not keys:
        return tuple(Variant(each.metric.name, each.settings, each.runs) for each in made)
    return tuple(made)


def _name(settings: Mapping[str, str], *, shortened: bool) -> str:
    parts = []
    for key, value in settings.items():
        shown = PurePath(value).name or value if shortened else value
        parts.append(shown if key in _BARE else f"{key.removeprefix('data.')}={shown}")
    return " ".join(parts)


def lacking(variants: Sequence[Variant]) -> dict[str, list[str]]:
    """Variants whose mean is over fewer of a study's subjects than another's: who is missing."""
    every: dict[str, list[str]] = {}
    for each in variants:
        every.setdefault(each.study, []).extend(each.subjects)
    missing = {
        each.name: [name for name in dict.fromkeys(every[each.study]) if name not in each.subjects]
        for each in variants
        if each.subjects
    }
    return {name: subjects for name, subjects in missing.items() if subjects}


def extra_keys(sweep: RecordedSweep, variants: Sequence[Variant]) -> dict[str, str]:
    """Swept keys that no column of a table of scores shows, with names for new columns.

    The column `model` shows the model unless two swept models have one name.
    """
    keys = [key for key in sweep.keys if key not in (*_WITHIN, "metric")]
    if "model" in keys:
        names = {(each.settings["model"], each.model) for each in variants}
        if len({name for _, name in names}) == len({setting for setting, _ in names}):
            keys.remove("model")
    taken = sweep.finished[0].scores.columns if sweep.finished else ()
    return {key: f"swept_{key}" if key in taken else key for key in keys}
