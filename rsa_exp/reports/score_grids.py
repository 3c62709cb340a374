"""A variant's scores as a report shows them: ROIs down, layers across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_exp.errors import listing
from rsa_exp.reports.group_table import SUBJECTS, as_grid
from rsa_exp.reports.numerals import decimals, number
from rsa_exp.reports.variants import Variant
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.vocabulary import ALPHA, GROUP, JOINT

__all__ = ["Cell", "Row", "ScoreGrid", "score_grids"]


@dataclass(frozen=True)
class Cell:
    """One score as text: `spread` follows a ±, `star` marks a score that passes its test."""

    score: str
    spread: str = ""
    best: bool = False
    star: bool = False


@dataclass(frozen=True)
class Row:
    """One ROI."""

    roi: str
    level: str
    cells: Sequence[Cell]
    ceiling: str


@dataclass(frozen=True)
class ScoreGrid:
    """Scores of one variant and analysis, and what they are."""

    title: str  # above it
    legend: str  # below it
    layers: Sequence[str]
    rows: Sequence[Row]
    levels: bool  # whether any ROI has one
    ceilings: bool  # whether any ROI has one


def score_grids(group: pd.DataFrame, kept: pd.DataFrame, variant: Variant) -> list[ScoreGrid]:
    """Lay out a variant's scores: the group's, else the mean over subjects; and the mean RDM's.

    `group` is of `group_table.group_table`, `kept` of `group_table.latest`.
    """
    mine = group[group["variant"] == variant.name]
    first = GROUP if GROUP in set(mine["analysis"]) else SUBJECTS
    found = []
    for analysis in (first, JOINT):
        rows = mine[mine["analysis"] == analysis]
        if len(rows):
            own = kept[(kept["variant"] == variant.name) & (kept["analysis"] == analysis)]
            found.append(_table(rows, own, variant, analysis))
    return found


def _table(rows: pd.DataFrame, own: pd.DataFrame, variant: Variant, analysis: str) -> ScoreGrid:
    rois = list(dict.fromkeys(rows["roi"]))
    layers = list(dict.fromkeys(rows.sort_values("depth", kind="stable")["layer"]))
    spread = "se" if rows["se"].notna().any() else "sem"
    score, error = (as_grid(rows, name, rois, layers) for name in ("score", spread))
    low, high = (as_grid(rows, f"ceiling_{end}", rois, layers) for end in ("low", "high"))
    passes = _passes(own, rois, layers)
    best = variant.metric.is_best(score, axis=1)
    places = decimals(score[np.isfinite(score)])
    levels = dict(zip(rows["roi"], rows["level"].fillna(""), strict=True))
    lines = [
        Row(
            roi,
            levels[roi],
            [
                Cell(
                    number(score[i, j], places),
                    number(error[i, j], places) if np.isfinite(error[i, j]) else "",
                    bool(best[i, j]) and len(layers) > 1,
                    bool(passes[i, j]),
                )
                for j in range(len(layers))
            ],
            _range(low[i], high[i], places),
        )
        for i, roi in enumerate(rois)
    ]
    return ScoreGrid(
        title=_title(rows, own, variant, analysis),
        legend=_legend(rows, own, error, passes, variant),
        layers=layers,
        rows=lines,
        levels=any(levels.values()),
        ceilings=bool(np.isfinite(low).any()),
    )


def _passes(own: pd.DataFrame, rois: list[str], layers: list[str]) -> NDArray[np.bool_]:
    """Where the scores of all subjects (or the one of the group) pass; shape (n_roi, n_layer)."""
    passed = own.assign(passed=own["q_sweep"] < ALPHA)
    all_pass = passed.groupby(["roi", "layer"], sort=False)["passed"].all().reset_index()
    return np.asarray(as_grid(all_pass, "passed", rois, layers) == 1.0)


def _range(low: FloatArray, high: FloatArray, places: int) -> str:
    """Noise ceiling of an ROI over its layers, which may rest on different pairs."""
    if not np.isfinite(low).any():
        return "–"
    return f"{number(float(np.nanmin(low)), places)}–{number(float(np.nanmax(high)), places)}"


def _title(rows: pd.DataFrame, own: pd.DataFrame, variant: Variant, analysis: str) -> str:
    n = int(rows["n_subjects"].max())
    subjects = list(dict.fromkeys(own["subject"].astype(str)))
    who = {
        SUBJECTS: f"mean over subjects {listing(subjects)}" if n > 1 else f"subject {subjects[0]}",
        GROUP: f"mean over the group of {n} subjects",
        JOINT: f"mean RDM of {n} subjects",
    }[analysis]
    return f"{variant.metric.label}, {who}"


def _legend(
    rows: pd.DataFrame,
    own: pd.DataFrame,
    error: FloatArray,
    passes: NDArray[np.bool_],
    variant: Variant,
) -> str:
    analysis = rows["analysis"].iloc[0]
    parts = []
    if np.isfinite(error).any():
        methods = [method for method in dict.fromkeys(rows["ci_method"]) if method]
        how = f" ({methods[0].split(',')[0]})" if methods else ""
        what = f"standard error{how}" if how else "standard error over subjects"
        parts.append(f"±: {what}")
    if len(set(rows["layer"])) > 1:
        direction = "" if variant.metric.greater_is_better else " (the lowest score)"
        parts.append(f"bold: best layer of each region{direction}")
    if own["q_sweep"].notna().any():
        several = analysis == SUBJECTS and len(set(own["subject"])) > 1
        each = " in every subject" if several else ""
        star = "*" if passes.any() else "no score has a *"
        parts.append(f"{star}: q < {ALPHA}{each}, corrected over the whole sweep")
    if rows["score"].isna().any():
        parts.append("–: undefined")
    return "; ".join(parts) + "." if parts else ""
