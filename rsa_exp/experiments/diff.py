"""Comparing two recorded runs: settings, inputs, environment, and every score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rsa_exp import files
from rsa_exp.errors import InputError, listing, printable_line
from rsa_exp.experiments.lookup import find_run
from rsa_exp.figures import FigureText, difference, save
from rsa_exp.reports.text_table import text_table
from rsa_exp.runs.changes import Change, changes, requirement_changes, settings_changes
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.vocabulary import CELL_KEYS, INFERENCE_COLUMNS, NUMBER_COLUMNS, ROI_FIELDS

__all__ = ["Cells", "diff"]

MOST_LINES = 20
"""How many cells, and how many changes of one section, are listed."""

_INPUTS = ("input", "images")
# Other columns of a table, which may be forged, are ignored.
_COLUMNS = (
    *CELL_KEYS, "study", "model", *ROI_FIELDS, "depth", "n_images", "n_pairs",
    *INFERENCE_COLUMNS, "score",
)  # fmt: skip
# A run has one value of these keys: where two runs differ in one, cells are matched by the others.
_OWN = ("subject", "metric")


@dataclass(frozen=True, eq=False)  # tables have no one truth value
class Cells:
    """The scores of two runs, cell by cell.

    Attributes
    ----------
    keys : list of str
        Columns by which cells are matched: without those in which the runs differ.
    unmatched : list of str
        The keys that were left out, with both values.
    both : DataFrame
        Cells of both runs: `keys`, ``depth``, and every other column with the suffixes ``_a`` and
        ``_b``.
    only_a, only_b : DataFrame
        Cells of one run.
    """

    keys: list[str]
    unmatched: list[str]
    both: pd.DataFrame
    only_a: pd.DataFrame
    only_b: pd.DataFrame

    @classmethod
    def of(cls, a: pd.DataFrame, b: pd.DataFrame) -> Cells:
        """Match two tables of scores, each of which must be that of one run."""
        for table, run in ((a, "A"), (b, "B")):
            mixed = table[list(_OWN)].drop_duplicates()
            if len(mixed) > 1 or table.duplicated(["roi", "layer"]).any() or "depth" not in table:
                raise InputError(
                    f"the scores of run {run} are not those of one subject and metric, a row for "
                    "each ROI and layer with its depth: the record is damaged"
                )
        a, b = (table[table.columns.intersection(_COLUMNS)] for table in (a, b))
        apart = [key for key in _OWN if a[key].iloc[0] != b[key].iloc[0]]
        keys = [key for key in CELL_KEYS if key not in apart]
        order = pd.concat([a[keys], b[keys]]).drop_duplicates()
        merged = a.merge(b, on=keys, how="outer", suffixes=("_a", "_b"), indicator=True)
        merged = order.merge(merged, on=keys, how="left")  # an outer merge sorts by name
        unmatched = [f"{key} {a[key].iloc[0]} in A, {b[key].iloc[0]} in B" for key in apart]
        sides = (merged[merged["_merge"] == side] for side in ("both", "left_only", "right_only"))
        return cls(keys, unmatched, *sides)

    @property
    def change(self) -> pd.Series[float]:
        """B - A of the score of every cell of both; NaN where either is undefined."""
        return self.both["score_b"] - self.both["score_a"]

    def differing(self, column: str) -> pd.Series[bool]:
        """Mark the cells of both that differ in any bit of a column; undefined equals undefined."""
        a, b = self.both[f"{column}_a"], self.both[f"{column}_b"]
        return (a != b) & ~(a.isna() & b.isna())

    @property
    def identical(self) -> bool:
        """Whether every score is in both runs and the same to the last bit."""
        differ = self.differing("score").any() or len(self.only_a) or len(self.only_b)
        return not (self.unmatched or differ)

    @property
    def plottable(self) -> pd.DataFrame:
        """Every cell as `rsa_exp.figures.difference` takes it."""
        rows = pd.concat([self.both, self.only_a, self.only_b]).sort_index()
        depth = rows["depth_a"].fillna(rows["depth_b"])
        return rows[["roi", "layer", "score_a", "score_b"]].assign(depth=depth)


def diff(a: str, b: str, store_folder: Path, output: Path | None) -> int:
    """Report what differs between two recorded runs, and plot their scores against each other.

    Parameters
    ----------
    a, b : str
        Two runs; not sweeps.
    output : Path or None
        Folder for the figure and ``difference.csv``; None is one below ``outputs/diffs/``.

    Returns
    -------
    int
        0 when every score is the same to the last bit, 1 otherwise.
    """
    first, second = find_run(a, store_folder), find_run(b, store_folder)
    cells = Cells.of(first.scores, second.scores)
    runs = [f"A: {first.title}, {first.files.location}"]
    runs += [f"B: {second.title}, {second.files.location}"]
    for line in [*runs, *_change_lines(first, second), *_score_lines(cells)]:
        print(printable_line(line))
    folder = output or Path("outputs", "diffs", f"{_short(first)}-{_short(second)}")
    print(f"\nfigure: {_write(folder.absolute(), first, second, cells)}")
    return 0 if cells.identical else 1


def _change_lines(a: RecordedRun, b: RecordedRun) -> list[str]:
    """Lines about settings, inputs and environment."""
    settings = settings_changes(a.config, b.config)
    found = changes(a.provenance, b.provenance)
    known = {change.what.lower() for change in found}
    pinned = requirement_changes(*(run.files.read_text("requirements.txt") or "" for run in (a, b)))
    return [
        *_section("settings", [change for change in settings if not change.cosmetic]),
        *_section("inputs", [change for change in found if change.kind in _INPUTS]),
        *_section(
            "environment",
            [
                *(change for change in found if change.kind not in _INPUTS),
                *(change for change in pinned if change.what not in known),
            ],
        ),
        *_section(
            "paths, figures and tracking", [change for change in settings if change.cosmetic]
        ),
    ]


def _section(name: str, found: Sequence[Change]) -> list[str]:
    if not found:
        return [f"{name}: the same"]
    more = len(found) - MOST_LINES
    lines = [f"  {change.between_a_and_b}" for change in found[:MOST_LINES]]
    return [f"{name}:", *lines, *([f"  ... and {more} more"] if more > 0 else [])]


def _score_lines(cells: Cells) -> list[str]:
    """Lines about scores and the other columns."""
    by = " x ".join(key for key in cells.keys)
    lines = [f"scores, by {by} ({'; '.join(cells.unmatched)}):" if cells.unmatched else "scores:"]
    differ, n = cells.differing("score"), len(cells.both)
    if n and not differ.any():
        lines.append(f"  all {n} in both are the same to the last bit")
    elif n:
        change = cells.change[differ].dropna()
        lines.append(f"  {int(differ.sum())} of {n} in both differ" + _average(change))
        lines += [f"  {line}" for line in _table(cells, differ)]
    for run, rows in (("A", cells.only_a), ("B", cells.only_b)):
        if len(rows):
            names = [" ".join(map(str, row)) for row in rows[cells.keys].to_numpy()]
            lines.append(f"  {len(rows)} only in {run}: {listing(names, 6)}")
    others = _other_column_lines(cells)
    return [*lines, *(["other columns that differ:", *others] if others else [])]


def _average(change: pd.Series[float]) -> str:
    if change.empty:
        return ""
    rms = float(np.sqrt(np.mean(change.to_numpy() ** 2)))
    return f": B - A is {change.mean():+.3g} on average, {rms:.3g} root mean square"


def _table(cells: Cells, differ: pd.Series[bool]) -> list[str]:
    """Cells that differ, those that became or ceased to be defined first, then the largest."""
    rows = cells.both[differ].assign(change=cells.change[differ])
    order = rows["change"].abs().sort_values(ascending=False, na_position="first", kind="stable")
    shown = rows.loc[order.index[:MOST_LINES]]
    head = [*cells.keys, "A", "B", "B - A"]
    body = [
        [*map(str, row[:-3]), *(f"{value:.6g}" for value in row[-3:-1]), f"{row[-1]:+.3g}"]
        for row in shown[[*cells.keys, "score_a", "score_b", "change"]].itertuples(
            index=False, name=None
        )
    ]
    cleaned = [[cell.replace("+nan", "-").replace("nan", "-") for cell in row] for row in body]
    lines = text_table([head, *cleaned], "l" * len(cells.keys) + "rrr")
    more = len(rows) - len(shown)
    return [*lines, *([f"... and {more} more"] if more else [])]


def _other_column_lines(cells: Cells) -> list[str]:
    """Lines about the other columns that both tables have."""
    lines = []
    for name in [str(column)[:-2] for column in cells.both.columns if str(column).endswith("_a")]:
        if name in {"score", *CELL_KEYS} or f"{name}_b" not in cells.both:
            continue
        differ = cells.differing(name)
        if differ.any():
            line = f"  {name}: {int(differ.sum())} of {len(differ)}"
            if name in NUMBER_COLUMNS:
                change = (cells.both[f"{name}_b"] - cells.both[f"{name}_a"])[differ].abs()
                line += f", the most by {change.max():.3g}" if change.notna().any() else ""
            lines.append(line)
    return lines


def _short(run: RecordedRun) -> str:
    """Name of a run in the name of a folder."""
    return run.run_id[:8] or re.sub(r"[^A-Za-z0-9_.=-]+", "_", run.name)[:40]


def _write(folder: Path, a: RecordedRun, b: RecordedRun, cells: Cells) -> Path:
    """Write the figure and the cells it shows; return the figure's PNG."""
    files.prepare_folder(folder)
    table = cells.plottable
    files.write_table(folder / "difference.csv", table)
    return save(difference(table, _text(a), _text(b)), folder, "difference")[0]


def _text(run: RecordedRun) -> FigureText:
    """Name a run on a figure, and how its scores are read."""
    metric = METRICS[run.config.metric]
    recorded = run.provenance.get("text")
    text = recorded if isinstance(recorded, dict) else {}
    note = "; ".join(str(text[key]) for key in ("title", "note") if text.get(key))
    return FigureText(run.title, note, metric.label, metric.greater_is_better, metric.zero_is_null)
