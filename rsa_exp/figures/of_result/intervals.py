"""Intervals: each ROI's layer profile with confidence intervals, tests and the noise ceiling."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.panels import (
    RoiPanels,
    arrange,
    column_names,
    extent,
    family_caption,
    headings,
    run_grid,
)
from rsa_exp.figures.layout.score_grid import ScoreGrid
from rsa_exp.figures.layout.score_scale import ScoreScale, mark_empty, undefined_captions
from rsa_exp.figures.layout.style import mean_colour, styled
from rsa_exp.figures.layout.text import printable
from rsa_exp.figures.result import Array, FigureText, NothingToPlot, Plottable, subject_scores
from rsa_exp.vocabulary import ALPHA

_COLUMNS = (
    "se", "ci_low", "ci_high", "ci_method", "p_zero", "q", "n_tests", "ceiling_low",
    "ceiling_high",
)  # fmt: skip
_NARROWEST = 0.9  # inches of a panel
_WIDEST, _WIDEST_SLOT = 1.6, 0.45  # inches of a panel and, where there are many layers, of one
_HEIGHTS = (1.7, 1.3, 1.05)  # inches of a panel in a figure of one row, of two, of more
_GAP = 0.13
_FARTHEST = 2.5  # times the axis without noise ceilings that the axis with them may span
_BAND = "#dedede"
_THIN = "#9a9a9a"  # subjects, on white and on the band


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Run:
    """What is shown of one result."""

    scores: Array  # (n_roi, n_layer), as `low`, `high` and `q`; NaN where undefined
    low: Array  # lower end of the confidence interval
    high: Array  # upper end
    q: Array
    # (2, n_roi, n_layer): lower and upper noise ceiling, NaN unless both are defined
    ceilings: Array
    subjects: Array  # (n_subject, n_roi, n_layer): each subject's scores; n_subject may be 0

    @classmethod
    def of(cls, grid: ScoreGrid, subjects: ScoreGrid | None) -> "_Run":
        low, high = grid.column("ci_low")[0], grid.column("ci_high")[0]
        ceilings = np.stack([grid.column(f"ceiling_{end}")[0] for end in ("low", "high")])
        there = np.isfinite(low) & np.isfinite(high)
        return cls(
            grid.scores[0],
            np.where(there, low, np.nan),
            np.where(there, high, np.nan),
            grid.column("q")[0],
            np.where(np.isfinite(ceilings).all(axis=0), ceilings, np.nan),
            np.empty((0, *grid.scores.shape[1:])) if subjects is None else _like(subjects, grid),
        )

    @property
    def spread(self) -> Array:
        """Every value that the score axis has to include, ceilings aside."""
        return np.concatenate([[self.scores, self.low, self.high], self.subjects])


def _like(subjects: ScoreGrid, grid: ScoreGrid) -> Array:
    """Scores of subjects in the order of another grid's ROIs and layers, NaN where absent."""
    scores = np.full((len(subjects.subjects), len(grid.rois), len(grid.layers)), np.nan)
    for i, roi in enumerate(grid.rois):
        for j, layer in enumerate(grid.layers):
            if roi in subjects.rois and layer in subjects.layers:
                column = subjects.layers.index(layer)
                scores[:, i, j] = subjects.scores[:, subjects.rois.index(roi), column]
    return scores


@styled
def intervals(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot scores over layers with confidence intervals and noise ceiling, a panel for each ROI.

    Noise ceilings are bands unless they would squash the profiles: where the axis would span
    more than 2.5 times what the scores and intervals need, they are written above the panels.
    Subjects whose mean the scores are have thin lines.

    `result` needs inference: its scores, of one subject or the group, have the columns ``se,
    ci_low, ci_high, ci_method, p_zero, q, n_tests, ceiling_low, ceiling_high``.
    """
    canvas, text = Canvas(ax, figure), result.text
    table, subjects, level = result.scores, subject_scores(result), result.level
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a coverage between 0 and 1, such as 0.95")
    grid = run_grid(table, _COLUMNS)
    if table["se"].isna().all():
        raise NothingToPlot("no score has a standard error: analyse with a bootstrap")
    members = None if subjects is None else ScoreGrid.of(subjects)
    run = _Run.of(grid, members)
    scale, beyond = _axis(run, text)
    written = beyond is not None

    n_layer = len(grid.layers)
    most = int((canvas.most - 0.6 - MARGIN + _GAP) / (_NARROWEST + _GAP))
    positions = arrange(grid, most)
    rows, columns = extent(positions)
    height = _HEIGHTS[min(rows, len(_HEIGHTS)) - 1]
    beside = scale.left_margin(rows * height) + MARGIN  # rows stand farther apart than that
    width = _panel_width(canvas, columns, beside, n_layer)
    names = column_names(grid.layers, width / n_layer, positions)
    left = max(beside, names.overhang + 0.05)
    width = _panel_width(canvas, columns, left, n_layer)
    titles = headings(grid.rois, width)
    notes = _ceiling_notes(run, beyond) if beyond is not None else ()
    panels = RoiPanels(positions, titles, (width, height), left, names.height + 0.05, _GAP, notes)

    page_width = max(canvas.least, panels.right + MARGIN)
    legends = Legend.stack([_entries(run, written, level)], page_width - 2 * MARGIN)
    captions = _captions(run, members, written, table, level)
    page = Page(canvas, text, captions, page_width, panels.body, legends)
    for i in range(len(grid.rois)):
        ax = panels.axes(page, i)
        scale.on_y(ax, labelled=panels.first(i))
        ax.set_xlim(-0.5, n_layer - 0.5)
        if panels.lowest(i):
            names.write(ax)
        else:
            ax.set_xticks(range(n_layer), [""] * n_layer)
        if not written:
            _plot_ceiling(ax, run.ceilings[:, i])
        _plot_profile(ax, run, i, width / n_layer * 72)
        if scale.defined and not np.isfinite(run.scores[i]).any():
            mark_empty(ax)
    scale.label_y(page, left, panels.below, panels.top - panels.below)
    return page.figure


def _axis(run: _Run, text: FigureText) -> tuple[ScoreScale, ScoreScale | None]:
    """Choose the score axis; where it leaves the ceilings out, also the one with them."""
    near = ScoreScale.of(run.spread, text)
    if not np.isfinite(run.ceilings).any():
        return near, None
    far = ScoreScale.of(np.concatenate([run.spread, run.ceilings]), text)
    squashed = near.defined and far.high - far.low > _FARTHEST * (near.high - near.low)
    return (near, far) if squashed else (far, None)


def _ceiling_notes(run: _Run, scale: ScoreScale) -> tuple[str, ...]:
    """Noise ceiling of each ROI as text, from the lowest to the highest of its layers."""
    plain = replace(scale, exponent=0, decimals=max(0, scale.decimals - scale.exponent))
    notes = []
    for low, high in np.moveaxis(run.ceilings, 1, 0):
        there = np.isfinite(low)
        if there.any():
            ends = plain.number(low[there].min()), plain.number(high[there].max())
            notes.append(f"ceiling {ends[0]}–{ends[1]}")
        else:
            notes.append("")
    return tuple(notes)


def _panel_width(canvas: Canvas, columns: int, left: float, n_layer: int) -> float:
    """Inches of a panel: what the page has, at most what layers need, at least a column's."""
    most, least = (
        (page - left - MARGIN + _GAP) / columns - _GAP for page in (canvas.most, canvas.least)
    )
    return max(min(most, max(_WIDEST, n_layer * _WIDEST_SLOT)), least, _NARROWEST)


def _plot_ceiling(ax: Axes, ceiling: Array) -> None:
    """Shade from the lower to the upper ceiling, over the width of each layer that has one."""
    if np.isfinite(ceiling).any():
        edges = np.arange(ceiling.shape[1] + 1) - 0.5
        low, high = ceiling
        ax.stairs(high, edges, baseline=low, fill=True, color=_BAND, zorder=0.5, gid="ceiling")


def _plot_profile(ax: Axes, run: _Run, roi: int, slot: float) -> None:
    """Plot one ROI; `slot` is the width of a layer in points."""
    size = float(np.clip(slot * 0.45, 2.6, 4.2))
    scores, q = run.scores[roi], run.q[roi]
    layers = np.arange(len(scores))
    for i, values in enumerate(run.subjects[:, roi]):
        ax.plot(values, color=_THIN, lw=0.6, marker=".", ms=2.0, zorder=1.8, gid=f"subject-{i}")
    ax.plot(scores, color=mean_colour(), lw=1.0, zorder=2.0, gid="profile")
    there = np.isfinite(run.low[roi])
    if there.any():
        ends = run.low[roi, there], run.high[roi, there]
        ax.vlines(layers[there], *ends, color=mean_colour(), lw=1.0, zorder=2.1, gid="ci")
    for kind, which, _ in _kinds(q):
        if (which & np.isfinite(scores)).any():
            (points,) = ax.plot(layers[which], scores[which], ls="", zorder=2.2, gid=kind)
            _mark(points, kind, size)


def _kinds(q: Array) -> tuple[tuple[str, NDArray[np.bool_], str], ...]:
    """Name, scores and legend of each kind of marker."""
    return (
        ("significant", q < ALPHA, f"q < {ALPHA:g}"),
        ("not-significant", q >= ALPHA, f"q ≥ {ALPHA:g}"),
        ("untested", np.isnan(q), "not tested"),
    )


def _mark(points: Line2D, kind: str, size: float) -> None:
    points.set(marker="o", markeredgecolor=mean_colour(), markeredgewidth=0.8)
    points.set_markersize(size if kind != "untested" else 0.6 * size)
    points.set_markerfacecolor("white" if kind == "not-significant" else mean_colour())


def _entries(run: _Run, written: bool, level: float) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = []
    defined = np.isfinite(run.scores)
    for kind, which, name in _kinds(run.q):
        if (which & defined).any() and np.isfinite(run.q[defined]).any():
            points = Line2D([], [], ls="")
            _mark(points, kind, 4.2)
            entries.append((points, name))
    if np.isfinite(run.low).any():
        whisker = Line2D([], [], color=mean_colour(), ls="", marker="|", ms=8, mew=1.0)
        entries.append((whisker, f"{100 * level:g} % CI"))
    if np.isfinite(run.subjects).any():
        entries.append((Line2D([], [], color=_THIN, lw=0.6, marker=".", ms=2.0), "each subject"))
    if np.isfinite(run.ceilings).any() and not written:
        entries.append((Patch(color=_BAND), "noise ceiling"))
    return entries


def _captions(
    run: _Run, members: ScoreGrid | None, written: bool, table: pd.DataFrame, level: float
) -> list[str]:
    captions = []
    if np.isfinite(run.low).any():
        known = table.loc[table["ci_low"].notna() & table["ci_high"].notna(), "ci_method"]
        methods = ", ".join(dict.fromkeys(printable(m) for m in known.dropna().astype(str) if m))
        captions.append(f"whiskers: {100 * level:g} % CI" + (f" ({methods})" if methods else ""))
    if np.isfinite(run.q[np.isfinite(run.scores)]).any():
        against = "above 0, one-sided" if table["p_zero"].notna().any() else "by permutation"
        captions.append(f"filled: {against}, q < {ALPHA:g}{family_caption(table)}")
    if members is not None and np.isfinite(run.subjects).any():
        n = len(members.subjects)
        captions.append(f"thin: each of {n} subjects" if n > 1 else "thin: the subject")
    if np.isfinite(run.ceilings).any():
        captions.append(
            "noise ceiling: written above each panel, beyond the axis"
            if written
            else "grey band: noise ceiling, lower to upper"
        )
    return captions + undefined_captions(run.scores, "gaps")
