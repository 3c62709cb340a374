"""Planning the figures of a sweep: which there are, their captions, and how each is plotted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rsa_exp import figures
from rsa_exp.figures import FigureText, Tables
from rsa_exp.reports.group_table import CELL, SUBJECTS
from rsa_exp.reports.variants import Variant
from rsa_exp.reports.words import named_subjects
from rsa_exp.vocabulary import ALPHA, GROUP, JOINT

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # noqa: TID251 - the type alone

__all__ = ["MOST_PLOTTED", "PlannedFigure", "SweepScores", "plan_figures"]

MOST_PLOTTED = 4
"""The first so many variants have figures of their own."""

_OWN = {
    "heatmap": "Score of every ROI and layer",
    "profiles": "Scores through the layers of the network",
    "bars": "Scores by region, a bar for each layer",
    "scatter": "Each subject's scores of the ROIs that the model explains best, layer by layer",
    "surface": "The same scores as a landscape over layers and ROIs",
}


@dataclass(frozen=True, eq=False)
class PlannedFigure:
    """A figure that can be plotted."""

    name: str  # plain file name without suffix
    caption: str  # what it shows, in a sentence or two
    variant: str | None  # that it is of; None for one of all
    plot: Callable[[], Figure]


@dataclass(frozen=True, eq=False)
class SweepScores:
    """The tables that figures show."""

    kept: pd.DataFrame  # one row per variant, subject, ROI and layer
    members: pd.DataFrame  # each subject's scores in the group runs, with the variant
    group: pd.DataFrame  # of `group_table.group_table`
    agreement: pd.DataFrame | None  # of `agreement.agreement_table`

    def of(self, variant: Variant, analysis: str) -> pd.DataFrame:
        """Scores of a variant's single subjects, group or mean RDM; empty if not made.

        Where the mean over subjects is undefined their scores are empty too, so that figures
        agree with the table.
        """
        mine = self.kept["variant"] == variant.name
        rows = self.kept[mine & (self.kept["analysis"] == analysis)]
        return self._hidden(rows, analysis) if analysis == SUBJECTS else rows

    def of_members(self, variant: Variant) -> pd.DataFrame:
        """Scores of the subjects of a variant's group."""
        rows = self.members[self.members["variant"] == variant.name]
        return self._hidden(rows, GROUP)

    def basis(self, variant: Variant) -> tuple[str, pd.DataFrame]:
        """Return what a variant's figures show: single subjects, a group's, else the mean RDM."""
        choices = {
            SUBJECTS: self.of(variant, SUBJECTS),
            GROUP: self.of_members(variant),
            JOINT: self.of(variant, JOINT),
        }
        kind = next((kind for kind, rows in choices.items() if len(rows)), SUBJECTS)
        return kind, choices[kind]

    def _hidden(self, rows: pd.DataFrame, analysis: str) -> pd.DataFrame:
        table = self.group[(self.group["analysis"] == analysis) & self.group["score"].isna()]
        undefined = pd.MultiIndex.from_frame(table[CELL])
        hidden = pd.MultiIndex.from_frame(rows[CELL]).isin(undefined)
        return rows.assign(score=rows["score"].mask(hidden))


def plan_figures(scored: SweepScores, variants: Sequence[Variant]) -> list[PlannedFigure]:
    """Choose the figures of a sweep; none is plotted yet.

    A variant of one run has no figures here but those that the run itself could not plot.
    """
    several = len(variants) > 1
    names = _file_names(variants)
    found: list[PlannedFigure] = []
    for variant in variants[:MOST_PLOTTED]:
        suffix = f"-{names[variant.name]}" if several else ""
        owner = variant.name if several else None
        label = f" ({variant.name})" if several else ""
        for kind, caption, plot in _of_variant(scored, variant, several):
            found.append(PlannedFigure(kind + suffix, caption + label + ".", owner, plot))
    if several:
        found += _over_variants(scored, variants)
    return found


def _of_variant(
    scored: SweepScores, variant: Variant, several: bool
) -> list[tuple[str, str, Callable[[], Figure]]]:
    kind, table = scored.basis(variant)
    subjects = list(dict.fromkeys(table["subject"].astype(str)))
    text = partial(_text, variant, several=several)
    found: list[tuple[str, str, Callable[[], Figure]]] = []
    if len(set(table["run"])) > 1:
        who = "mean RDM of all subjects" if kind == JOINT else _who(subjects)
        spread = f", mean over {_who(subjects)}" if len(subjects) > 1 else f", {who}"
        spread += " ± SEM" if len(subjects) > 1 else ""
        for name, caption in _OWN.items():
            if name == "scatter" and len(subjects) == 1:
                continue
            plot = partial(figures.FIGURES[name], Tables(table, text(table, who)))
            found.append((name, caption + spread, plot))
    joint, group = scored.of(variant, JOINT), scored.of(variant, GROUP)
    if len(joint) and kind != JOINT:
        plot = partial(figures.heatmap, Tables(joint, text(joint, "mean RDM of all subjects")))
        caption = "Score of every ROI and layer with the mean RDM of all subjects"
        found.insert(min(1, len(found)), ("joint_heatmap", caption, plot))
    if len(group) and group["se"].notna().any():
        found.append(_intervals(scored, variant, group, text(group, "the group of subjects")))
    return found


def _intervals(
    scored: SweepScores, variant: Variant, group: pd.DataFrame, text: FigureText
) -> tuple[str, str, Callable[[], Figure]]:
    members = scored.of_members(variant)
    level = float(variant.setting("inference.ci", 0.95))
    # Tests as the sweep corrects them: a run of one cell is a family of one.
    table = group.assign(q=group["q_sweep"], n_tests=group["n_tests_sweep"])
    tables = Tables(table, text, members if len(members) else None, level=level)
    plot = partial(figures.intervals, tables)
    caption = (
        f"Layer profiles of the group with {100 * level:g} % intervals, noise ceilings and each "
        f"subject; filled points pass q < {ALPHA} over the whole sweep"
    )
    return "intervals", caption, plot


def _over_variants(scored: SweepScores, variants: Sequence[Variant]) -> list[PlannedFigure]:
    tables = {variant.name: scored.basis(variant)[1] for variant in variants}
    texts = {each.name: _text(each, tables[each.name], "", several=True) for each in variants}
    tables, basis = _over_shared_subjects(tables)
    models, studies = ({getattr(each, key) for each in variants} for key in ("model", "study"))
    head = f"{' and '.join(sorted(models))} vs {' and '.join(sorted(studies))}"
    note = "simulated data" if any(each.simulated for each in variants) else ""
    text = FigureText(f"{head}: {len(variants)} variants of the analysis", note, "")
    caption = (
        f"Layer profiles of every variant of the analysis{basis}, each panel with a scale of its "
        "own."
    )
    shown = {name: Tables(table, texts[name]) for name, table in tables.items()}
    found = [PlannedFigure("metrics", caption, None, partial(figures.multiples, shown, text))]
    agreement = scored.agreement
    if agreement is not None and np.isfinite(agreement[["tau", "same_best"]]).any(axis=None):
        caption = (
            "Does the order of layers, and of ROIs, survive the choice of analysis? Kendall's "
            "tau-b and the same best layer, or ROI, for each pair of variants, over the same "
            "subjects."
        )
        plot = partial(figures.agreement, agreement, text)
        found.append(PlannedFigure("multiverse", caption, None, plot))
    return found


def _over_shared_subjects(tables: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], str]:
    """Keep the subjects that all tables have, with words for the caption where some have more."""
    found = [dict.fromkeys(table["subject"].astype(str)) for table in tables.values()]
    shared = [name for name in found[0] if all(name in names for names in found)]
    if all(len(names) == len(shared) for names in found):
        return tables, ""
    if not shared:
        return tables, ", not all over the same subjects"
    kept = {name: table[table["subject"].isin(shared)] for name, table in tables.items()}
    return kept, f" over {named_subjects(shared)}, which each has"


def _text(variant: Variant, table: pd.DataFrame, who: str, *, several: bool) -> FigureText:
    title = f"{variant.model} vs {variant.study}" + (f", {who}" if who else "")
    n_images, n_pairs = table["n_images"].max(), table["n_pairs"].max()
    parts = [
        "simulated data" if variant.simulated else variant.study,
        f"{n_images:,} images, {n_pairs:,} pairs",
        f"align={variant.setting('align', '')}",
    ]
    metric = variant.metric
    return FigureText(
        title=f"{title}: {variant.name}" if several else title,
        note="; ".join(parts),
        score_label=metric.label,
        greater_is_better=metric.greater_is_better,
        signed=metric.zero_is_null,
    )


def _who(subjects: Sequence[str]) -> str:
    return f"{len(subjects)} subjects" if len(subjects) > 6 else named_subjects(subjects)


def _file_names(variants: Sequence[Variant]) -> dict[str, str]:
    """Name of each variant that any file system takes; no two are the same, whatever their case."""
    names: dict[str, str] = {}
    for variant in variants:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", variant.name).strip("-.")[:60] or "variant"
        taken = {name.casefold() for name in names.values()}
        name, number = plain, 2
        while name.casefold() in taken:
            name, number = f"{plain}-{number}", number + 1
        names[variant.name] = name
    return names
