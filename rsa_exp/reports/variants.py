"""Variants of an analysis: what a sweep varied besides subjects, ROIs and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from rsa_exp.reports.record import SweepRecord, SweepRun
from rsa_exp.stats.metrics.registry import METRICS, Metric
from rsa_exp.vocabulary import POOLED

__all__ = ["Variant", "extra_keys", "lacking", "variants_of"]

# Every variant has these of its own.
_WITHIN = ("subject", "roi", "layer")
# Their values say what they are of; they come first in a variant's name.
_BARE = ("metric", "model")


@dataclass(frozen=True, eq=False)
class Variant:
    """One way of doing the analysis, and its finished runs.

    Attributes
    ----------
    name : str
        For example ``spearman align=exact``; no two are the same.
    settings : dict of str to str
        What was swept to make it, with its values.
    runs : tuple of SweepRun
        At least one.
    """

    name: str
    settings: dict[str, str]
    runs: tuple[SweepRun, ...]

    @property
    def config(self) -> Mapping[str, Any]:
        """Config of its first run that has one."""
        return next((run.config for run in self.runs if run.config is not None), {})

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
        tables = [run.scores for run in self.runs if run.scores is not None]
        names = dict.fromkeys(str(name) for table in tables for name in table["subject"].unique())
        return tuple(name for name in names if name not in POOLED)

    @property
    def simulated(self) -> bool:
        """Whether its data are simulated."""
        return bool(self.config.get("data", {}).get("kind") == "simulated")

    def _fact(self, column: str) -> str:
        scores = self.runs[0].scores
        assert scores is not None  # noqa: S101 - finished
        return str(scores[column].iloc[0])


def variants_of(record: SweepRecord) -> tuple[Variant, ...]:
    """Sort the finished runs of a sweep by what they vary, in the order of their numbers."""
    keys = [key for key in record.keys if key not in _WITHIN]
    keys.sort(key=lambda key: _BARE.index(key) if key in _BARE else len(_BARE))
    found: dict[tuple[str, ...], list[SweepRun]] = {}
    for run in record.finished:
        found.setdefault(tuple(run.settings.get(key, "") for key in keys), []).append(run)
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
    """Variants whose mean is over fewer of a study's subjects than another's, and who is absent."""
    every: dict[str, list[str]] = {}
    for each in variants:
        every.setdefault(each.study, []).extend(each.subjects)
    absent = {
        each.name: [name for name in dict.fromkeys(every[each.study]) if name not in each.subjects]
        for each in variants
        if each.subjects
    }
    return {name: subjects for name, subjects in absent.items() if subjects}


def extra_keys(record: SweepRecord, variants: Sequence[Variant]) -> dict[str, str]:
    """Swept keys that a score table does not tell, with the columns that do.

    The column `model` tells the model unless two swept models go by one name.
    """
    keys = [key for key in record.keys if key not in (*_WITHIN, "metric")]
    if "model" in keys:
        names = {(each.settings["model"], each.model) for each in variants}
        if len({name for _, name in names}) == len({setting for setting, _ in names}):
            keys.remove("model")
    scores = record.finished[0].scores if record.finished else None
    taken = () if scores is None else scores.columns
    return {key: f"swept_{key}" if key in taken else key for key in keys}
