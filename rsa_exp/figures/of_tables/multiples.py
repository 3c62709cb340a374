"""Small multiples: layer profiles under every variant of an analysis, each on its own scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.bands import sem_band
from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.panels import RoiPanels, column_names, extent, headings, in_rows
from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem, ordered_levels
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import (
    DOUBLE_COLUMN,
    GREY,
    MOST_LOOKS,
    NAME_LIMIT,
    SINGLE_COLUMN,
    RoiLook,
    distinct_looks,
    mean_colour,
    styled,
)
from rsa_exp.figures.layout.text import printable
from rsa_exp.figures.result import Array, FigureText, Plottable, plotted_scores

_MOST_COLUMNS = 4
_NARROWEST, _WIDEST = 0.9, 2.6  # inches of a panel
_HEIGHTS = (1.6, 1.25)  # inches of a panel in a figure of one row, of more
_GAP = 0.14  # inches between a panel and the axis label of the next
_LINE: dict[str, Any] = {"lw": 1.2, "ms": 3.5, "mew": 0}
_ALL_ROIS = "mean over ROIs"

_Kind = Literal["levels", "few ROIs", "many ROIs"]  # what the lines are


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Line:
    """One line of a panel."""

    name: str  # level or ROI
    mean: Array  # (n_layer,), NaN where undefined
    sem: Array  # (n_layer,), NaN also where none is shown


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Panel:
    """One variant: its scores, their lines, and their scale."""

    name: str
    grid: ScoreGrid
    lines: tuple[_Line, ...]
    scale: ScoreScale


@styled
def multiples(results: Mapping[str, Plottable], text: FigureText) -> Figure:
    """Plot scores over layers, a panel for each variant of the analysis, a line for each level.

    A line is the mean over a level's ROIs within each subject, then over subjects; its band is
    the SEM over subjects. Where no ROI has a level, every ROI is a line; of more than eight,
    all are grey and their mean is bold. Every panel has a score axis of its own.

    Parameters
    ----------
    results : mapping of str to Plottable
        Name of each variant and its result, or its :class:`Tables`; models may differ, and so
        their layers.
    text : FigureText
        Title and note of the whole figure.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no result; and as :func:`heatmap`.

    Examples
    --------
    >>> figures.multiples({"corr": one, "spearman": other}, text)  # doctest: +SKIP
    """
    if not results:
        raise ValueError("there are no results: there is nothing to plot")
    grids = {name: ScoreGrid.of(plotted_scores(result)) for name, result in results.items()}
    kind, looks = _looks(list(grids.values()))
    panels = [_panel(name, grid, results[name].text, kind) for name, grid in grids.items()]

    alike = len({grid.layers for grid in grids.values()}) == 1
    layout, names = _layout(panels, alike=alike)
    width = max(SINGLE_COLUMN, layout.right + MARGIN)
    legend = Legend(_entries(kind, looks), width - 2 * MARGIN)
    page = Page(Canvas(), text, _captions(panels, kind), width, layout.body, [legend])
    for i, panel in enumerate(panels):
        ax = layout.axes(page, i)
        _plot(ax, panel, looks)
        panel.scale.label_y(page, *layout.corner(i), layout.size[1])
        if layout.lowest(i) or not alike:
            names[i].write(ax)
        else:
            ax.set_xticks(range(len(panel.grid.layers)), [""] * len(panel.grid.layers))
    return page.figure


def _looks(grids: Sequence[ScoreGrid]) -> tuple[_Kind, dict[str, RoiLook]]:
    """Choose what the lines are, and the look of each that the legend names."""
    names = ordered_levels(level for grid in grids for level in grid.levels)
    kind: _Kind = "levels"
    if not any(names):
        names = list(dict.fromkeys(roi for grid in grids for roi in grid.rois))
        kind = "few ROIs" if len(names) <= MOST_LOOKS else "many ROIs"
    if kind == "many ROIs":
        return kind, {}
    return kind, dict(zip(names, distinct_looks(names), strict=True))


def _panel(name: str, grid: ScoreGrid, text: FigureText, kind: _Kind) -> _Panel:
    members: dict[str, tuple[int, ...]] = {roi: (i,) for i, roi in enumerate(grid.rois)}
    if kind == "levels":
        members = grid.by_level
    elif kind == "many ROIs":
        members[_ALL_ROIS] = tuple(range(len(grid.rois)))
    lines = []
    for line, rois in members.items():
        mean, sem = mean_sem(mean_sem(grid.scores[:, rois], axis=1)[0])
        if kind != "levels" and line != _ALL_ROIS:
            sem = np.full_like(sem, np.nan)  # bands of single ROIs would cover each other
        lines.append(_Line(line, mean, sem))
    values = [
        values
        for line in lines
        for values in (line.mean, line.mean - line.sem, line.mean + line.sem)
    ]
    return _Panel(printable(name), grid, tuple(lines), ScoreScale.of(np.concatenate(values), text))


def _layout(panels: Sequence[_Panel], *, alike: bool) -> tuple[RoiPanels, list[AxisNames]]:
    """Places of all panels, and the names under each; below the lowest only if all are alike."""
    height = _HEIGHTS[len(panels) > _MOST_COLUMNS]
    margin = max(panel.scale.left_margin(height) for panel in panels)
    for most in range(min(len(panels), _MOST_COLUMNS), 0, -1):
        positions = in_rows(len(panels), most)
        _, columns = extent(positions)
        room = DOUBLE_COLUMN - 2 * MARGIN + _GAP
        side = min(room / columns - _GAP - margin, _WIDEST)
        if side >= _NARROWEST:
            break
    side = max(side, _NARROWEST)
    names = [
        column_names(panel.grid.layers, side / len(panel.grid.layers), positions)
        for panel in panels
    ]
    first = [
        fitted.overhang - side / len(panel.grid.layers) / 2
        for fitted, panel, (_, column) in zip(names, panels, positions, strict=True)
        if column == 0
    ]
    below = max(fitted.height for fitted in names)
    return (
        RoiPanels(
            positions,
            headings([panel.name for panel in panels], side, 2 * NAME_LIMIT),
            (side, height),
            max(MARGIN + margin, *first),
            below,
            margin + _GAP,
            between=_GAP if alike else below + _GAP,
        ),
        names,
    )


def _plot(ax: Axes, panel: _Panel, looks: Mapping[str, RoiLook]) -> None:
    panel.scale.on_y(ax)
    ax.set_xlim(-0.5, len(panel.grid.layers) - 0.5)
    for line in panel.lines:
        look = looks.get(line.name)
        gid = f"line-{line.name}"
        if line.name == _ALL_ROIS:
            sem_band(ax, line.mean, line.sem, mean_colour(), 0.25)
            ax.plot(line.mean, color=mean_colour(), lw=2.0, marker="o", ms=4.0, zorder=3, gid=gid)
        elif look is None:
            ax.plot(line.mean, color=GREY, lw=0.5, marker=".", ms=2.0, alpha=0.7, gid=gid)
        else:
            sem_band(ax, line.mean, line.sem, look.colour, 0.2)
            ax.plot(line.mean, color=look.colour, marker=look.marker, gid=gid, **_LINE)


def _entries(kind: _Kind, looks: Mapping[str, RoiLook]) -> list[tuple[Artist, str]]:
    if kind == "many ROIs":
        return [
            (Line2D([], [], color=mean_colour(), lw=2.0, marker="o", ms=4.0), _ALL_ROIS),
            (Line2D([], [], color=GREY, lw=0.5, marker=".", ms=2.0), "each ROI"),
        ]
    return [
        (Line2D([], [], color=look.colour, marker=look.marker, **_LINE), name or "no level")
        for name, look in looks.items()
    ]


def _captions(panels: Sequence[_Panel], kind: _Kind) -> list[str]:
    counts = sorted({len(panel.grid.subjects) for panel in panels})
    several = counts[-1] > 1
    number = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    over = f"mean over {number} subjects" if several else ""
    captions = ["every panel has a score axis of its own"]
    if kind == "levels":
        then = f", then over {number} subjects" if several else ""
        captions.append(f"lines: mean over the ROIs of a level{then}")
        captions += ["bands: SEM over subjects"] if several else []
    elif kind == "few ROIs":
        captions.append("lines: each ROI" + (f", {over} (no SEM shown)" if several else ""))
    else:
        captions.append("grey: each ROI" + (f", {over}" if several else ""))
        captions.append(f"bold: {_ALL_ROIS}" + (" ± SEM over subjects" if several else ""))
    means = np.concatenate([line.mean for panel in panels for line in panel.lines])
    scores = np.concatenate([panel.grid.scores.ravel() for panel in panels])
    averaged = scores if several or kind != "few ROIs" else None
    return captions + undefined_captions(means, "gaps", averaged)
