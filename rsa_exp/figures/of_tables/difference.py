"""Difference: the scores of two runs against each other, and where they part."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.cells import name_cells, plot_cell
from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid, need
from rsa_exp.figures.layout.score_scale import ScoreScale
from rsa_exp.figures.layout.style import (
    DOUBLE_COLUMN,
    GREY,
    GRID,
    LABEL_SIZE,
    NAME_LIMIT,
    SMALL_SIZE,
    layer_colours,
    styled,
)
from rsa_exp.figures.layout.text import SLACK, line_height, shorten, text_width, widest
from rsa_exp.figures.result import Array, FigureText

_COLUMNS = ("roi", "layer", "depth", "score_a", "score_b")
_SCATTER = 2.3  # inches of a side
_WIDEST_CELL = 0.6  # inches
_GAP = 0.3  # inches between the scatter and what stands beside or below it
_LOWEST_BAR = 0.9  # inches
_HEADING = 0.24  # inches above the map
_MOST_MARKED = 20  # layers that are named in the legend, one by one


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Pairs:
    """Two runs' scores, ROI x layer."""

    rois: tuple[str, ...]
    layers: tuple[str, ...]  # by depth
    a: Array  # (n_roi, n_layer); NaN where undefined, or where a run has no such cell
    b: Array  # like `a`

    @classmethod
    def of(cls, table: pd.DataFrame) -> "_Pairs":
        need(table, _COLUMNS, "difference")
        if table.empty:
            raise ValueError("the difference table has no rows: there is nothing to plot")
        if table.duplicated(["roi", "layer"]).any():
            raise ValueError("the difference table has two rows for one ROI and layer")
        grid = ScoreGrid.of(table.assign(subject="", metric="", model="", score=np.nan))
        return cls(grid.rois, grid.layers, grid.column("score_a")[0], grid.column("score_b")[0])

    @property
    def difference(self) -> Array:
        """B - A."""
        return np.array(self.b - self.a)

    @property
    def differs(self) -> bool:
        """Whether any score of both runs does."""
        return bool((np.nan_to_num(self.difference) != 0).any())


@dataclass(frozen=True)
class _Map:
    """Sizes of the map of differences, in inches."""

    rois: tuple[str, ...]  # as shown
    left: float  # needed by the names of ROIs
    cell: tuple[float, float]  # width and height
    written: bool  # whether a cell's number fits into it
    below: AxisNames  # layers
    bar: float  # needed by the colour bar, with the gap before it

    @classmethod
    def of(cls, pairs: _Pairs, scale: ScoreScale, room: float) -> "_Map":
        """Fit a map into `room` inches of width."""
        rois = shorten(pairs.rois, NAME_LIMIT)
        left = widest(rois, SMALL_SIZE) * SLACK + 0.08
        bar = 0.12 + scale.colour_bar_width(_LOWEST_BAR * 2)
        width = min((room - left - bar) / len(pairs.layers), _WIDEST_CELL)
        below = AxisNames.fit(pairs.layers, width)
        left = max(left, below.overhang - width / 2 + 0.05)
        width = min((room - left - bar) / len(pairs.layers), _WIDEST_CELL)
        number = max(text_width(scale.number(v), SMALL_SIZE) for v in scale.data_range) * SLACK
        height = 0.2 if len(rois) > 12 else 0.23
        return cls(rois, left, (width, height), number + 0.03 <= width, below, bar)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the cells."""
        return len(self.below.names) * self.cell[0], len(self.rois) * self.cell[1]


@styled
def difference(table: pd.DataFrame, text_a: FigureText, text_b: FigureText) -> Figure:
    """Plot the scores of run B against those of run A, and B - A of every ROI and layer.

    Parameters
    ----------
    table : DataFrame
        One row per ROI and layer: ``roi``, ``layer``, ``depth``, ``score_a``, ``score_b``; NaN
        where a score is undefined or a run has no such cell.
    text_a, text_b : FigureText
        Titles and notes of the two runs, and how to read their scores. Where the scores are not
        of one kind, each has an axis of its own and there is no line of equal scores.

    Raises
    ------
    ValueError
        If the table has no rows, lacks a column, or has two rows for one cell.
    """
    pairs = _Pairs.of(table)
    alike = text_a.score_label == text_b.score_label
    scales = _scales(pairs, text_a, text_b)
    change = _change_scale(pairs)
    left = MARGIN + scales[1].left_margin(_SCATTER)
    foot = 0.2 + line_height(LABEL_SIZE) * 1.3  # tick labels and label under the scatter
    beside = left + _SCATTER + _GAP
    laid = _Map.of(pairs, change, DOUBLE_COLUMN - beside - MARGIN)
    stacked = not laid.written
    if stacked:
        laid = _Map.of(pairs, change, DOUBLE_COLUMN - 2 * MARGIN)
    width, height = laid.size
    legend = Legend(_entries(pairs.layers), DOUBLE_COLUMN - 2 * MARGIN)
    map_height = max(height + laid.below.height, _LOWEST_BAR + 0.05) + _HEADING
    body = foot + _SCATTER + _GAP + map_height if stacked else max(foot + _SCATTER, map_height)
    captions = _captions(pairs, alike=alike)
    page = Page(Canvas(), _text(text_a, text_b), captions, DOUBLE_COLUMN, body, [legend])
    bottom = body - _SCATTER
    ax = page.axes(left, bottom, _SCATTER, _SCATTER)
    _plot_points(ax, pairs, scales, alike=alike)
    scales[1].label_y(page, left, bottom, _SCATTER)
    centre = left + _SCATTER / 2
    page.text(centre, bottom - foot, scales[0].label, size=LABEL_SIZE, ha="center", va="bottom")
    x = (MARGIN if stacked else beside) + laid.left
    upper = (bottom - foot - _GAP if stacked else body) - _HEADING
    page.text(x, upper + _HEADING / 2, "B − A of each ROI and layer", size=LABEL_SIZE)
    ax = page.axes(x, upper - height, width, height)
    _plot_map(ax, pairs.difference, change, written=laid.written)
    name_cells(ax, laid.rois, laid.below)
    if pairs.differs:
        bar = min(max(height, _LOWEST_BAR), 2.0)
        change.colour_bar(page, x + width + 0.12, upper - bar, bar)
    return page.figure


def _text(text_a: FigureText, text_b: FigureText) -> FigureText:
    """Title and note of the figure."""
    notes = [text_a.note] if text_a.note == text_b.note else [text_a.note, text_b.note]
    if len(notes) == 2:
        notes = [f"{run}: {note}" for run, note in zip("AB", notes, strict=True) if note]
    return FigureText(f"B: {text_b.title}, against A: {text_a.title}", "; ".join(notes), "B − A")


def _scales(pairs: _Pairs, text_a: FigureText, text_b: FigureText) -> tuple[ScoreScale, ScoreScale]:
    """Scales of A and of B, the same for scores of one kind."""
    alike = text_a.score_label == text_b.score_label
    both = np.stack([pairs.a, pairs.b])
    values = (both, both) if alike else (pairs.a, pairs.b)
    return tuple(  # type: ignore[return-value]
        ScoreScale.of(value, replace(text, score_label=f"{run}: {text.score_label}"))
        for run, value, text in zip("AB", values, (text_a, text_b), strict=True)
    )


def _change_scale(pairs: _Pairs) -> ScoreScale:
    """Scale of B - A, as far below zero as above it."""
    bound = pairs.difference if pairs.differs else np.ones(1)
    return ScoreScale.of(np.stack([bound, -bound]), FigureText("", "", "B − A"))


def _entries(layers: tuple[str, ...]) -> list[tuple[Artist, str]]:
    if len(layers) > _MOST_MARKED:
        return []
    return [
        (Line2D([], [], ls="", marker="o", ms=4.5, color=colour, mew=0), layer)
        for layer, colour in zip(layers, layer_colours(len(layers)), strict=True)
    ]


def _plot_points(
    ax: Axes, pairs: _Pairs, scales: tuple[ScoreScale, ScoreScale], *, alike: bool
) -> None:
    scales[1].on_y(ax)
    scales[0].on_x(ax, _SCATTER)
    if alike and scales[0].defined:
        ends = (scales[0].low, scales[0].high)
        ax.plot(ends, ends, color=GREY, lw=0.8, ls="--", zorder=1.8, gid="equal")
    for i, colour in enumerate(layer_colours(len(pairs.layers))):
        ax.plot(
            pairs.a[:, i], pairs.b[:, i], ls="", marker="o", ms=4, color=colour, alpha=0.85, mew=0,
            clip_on=False, zorder=2.2, gid=f"layer-{i}",
        )  # fmt: skip


def _plot_map(ax: Axes, difference: Array, scale: ScoreScale, *, written: bool) -> None:
    cmap, norm = scale.colours
    n_roi, n_layer = difference.shape
    ax.set(xlim=(0, n_layer), ylim=(n_roi, 0))
    ax.spines[:].set_visible(False)
    for row, column in np.ndindex(n_roi, n_layer):
        value = float(difference[row, column])
        number = "n/a" if np.isnan(value) else scale.number(value) if value else "="
        face = None if np.isnan(value) else cmap(norm(value))
        plot_cell(ax, (row, column), number if written else "", face, GRID)


def _captions(pairs: _Pairs, *, alike: bool) -> list[str]:
    defined = np.isfinite(pairs.difference)
    n, unequal = int(defined.sum()), int((pairs.difference[defined] != 0).sum())
    captions = ["points: ROIs, coloured by layer"] if n else []
    if alike and n:
        captions.append("dashed: B = A")
    if unequal:
        captions.append(f"{unequal} of {n} scores differ" + ("; =: the same" * (unequal < n)))
    elif n:
        captions.append(f"all {n} scores are the same (=)")
    if not alike:
        captions.append("A and B are scores of two kinds: only their order can be compared")
    return captions + ([] if defined.all() else ["hatched: not in both runs, or undefined (n/a)"])
