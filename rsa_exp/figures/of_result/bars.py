"""Grouped bars: one group a region, one bar a layer, each replication shown as a marker."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.legends import Legend, layer_entries
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import RegionScores, ScoreGrid, mean_sem
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import (
    HEMISPHERE_MARKERS,
    INK,
    layer_colours,
    styled,
    subject_markers,
)
from rsa_exp.figures.result import Array, FigureText, Plottable, plotted_scores

_GROUP = 0.82  # of the distance between groups that bars fill
_NARROWEST_BAR, _WIDEST_BAR = 0.036, 0.24  # inches
_HEIGHT = 1.9  # inches of axes in a figure of one row
_ROW_GAP = 0.12
_UNDEFINED: dict[str, Any] = {"fc": "white", "ec": "#a6a6a6", "hatch": "//////", "lw": 0.4}
_SPREAD: dict[str, Any] = {"fmt": "none", "ecolor": INK, "elinewidth": 0.8, "capthick": 0.8}
_MARKER: dict[str, Any] = {"ls": "", "mfc": "white", "mec": INK, "mew": 0.6}


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Markers:
    """Values shown as markers on the bars, and what each of them is."""

    scores: Array  # (n_marker, n_region, n_layer)
    names: tuple[str, ...]  # (n_marker,), empty for one that the legend does not name
    shapes: tuple[str, ...]


@styled
def bars(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot scores by region, a bar for each layer.

    A bar is the mean over hemispheres. With one subject each hemisphere is a marker and there
    are no error bars: two hemispheres of one brain are not replications. With several, the bar
    is the mean over subjects of that, with its SEM, and each subject is a marker.
    """
    canvas, text = Canvas(ax, figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    regions = grid.by_region()
    mean, sem = mean_sem(regions.over_hemispheres)
    markers = _markers(grid, regions)
    around = np.nan_to_num(sem)
    ends = (mean - around, mean + around)
    scale = ScoreScale.of(np.concatenate([*ends, *markers.scores]), text)

    n_region, n_layer = mean.shape
    left = scale.left_margin(_HEIGHT) + 0.1
    room = canvas.most - left - 0.1
    per_row = max(1, min(n_region, int(room / (n_layer * _NARROWEST_BAR / _GROUP))))
    n_row = -(-n_region // per_row)
    per_row = -(-n_region // n_row)
    pitch = min(room / per_row, max(n_layer * _WIDEST_BAR / _GROUP, 0.9))
    bar_width = min(_GROUP / n_layer, _WIDEST_BAR / pitch)
    names = AxisNames.fit(regions.names, pitch)
    left = max(left, names.overhang - pitch / 2)
    width = max(canvas.least, left + per_row * pitch + MARGIN)
    pitch = (width - left - MARGIN) / per_row

    legends = Legend.stack(_entries(grid, markers, mean), width - 2 * MARGIN)
    height = _HEIGHT if n_row == 1 else 1.2
    row_height = height + names.height + _ROW_GAP
    body = n_row * row_height
    page = Page(canvas, text, _captions(grid, regions, markers, mean, text), width, body, legends)
    for row in range(n_row):
        members = slice(row * per_row, (row + 1) * per_row)
        bottom = (n_row - 1 - row) * row_height + names.height
        ax = page.axes(left, bottom, per_row * pitch, height)
        scale.on_y(ax)
        ax.set_xlim(-0.5, per_row - 0.5)
        _plot_bars(ax, mean[members], sem[members], scale, bar_width, bar_width * pitch * 72)
        _plot_markers(ax, markers, members, bar_width, bar_width * pitch * 72)
        replace(names, names=names.names[members]).write(ax)
        ax.tick_params(axis="x", length=0)
    scale.label_y(page, left, names.height, body - names.height - _ROW_GAP)
    return page.figure


def _markers(grid: ScoreGrid, regions: RegionScores) -> _Markers:
    """Choose what the markers are: subjects, else hemispheres if there are two, else nothing."""
    if grid.several:
        return _Markers(regions.over_hemispheres, *subject_markers(grid.subjects))
    if not regions.bilateral:
        return _Markers(np.empty((0, *regions.scores.shape[1::2])), (), ())
    return _Markers(
        np.moveaxis(regions.scores[0], 1, 0),
        tuple(side or "hemisphere unknown" for side in regions.hemispheres),
        tuple(HEMISPHERE_MARKERS.get(side, "o") for side in regions.hemispheres),
    )


def _entries(grid: ScoreGrid, markers: _Markers, mean: Array) -> list[list[tuple[Artist, str]]]:
    others: list[tuple[Artist, str]] = [
        (Line2D([], [], marker=shape, ms=4.0, **_MARKER), name)
        for name, shape in zip(markers.names, markers.shapes, strict=True)
        if name
    ]
    if np.isnan(mean).any():
        others.append((Patch(**_UNDEFINED), "n/a"))
    return [layer_entries(grid.layers), others]


def _plot_bars(
    ax: Axes, mean: Array, sem: Array, scale: ScoreScale, width: float, points: float
) -> None:
    n_layer = mean.shape[1]
    groups = np.arange(len(mean))
    for layer, colour in enumerate(layer_colours(n_layer)):
        x = groups + (layer - (n_layer - 1) / 2) * width
        values = mean[:, layer]
        there = np.isfinite(values)
        if scale.anchored:
            ax.bar(x[there], values[there], width * 0.94, color=colour, lw=0)
        else:
            half = width * 0.47
            ax.hlines(values[there], x[there] - half, x[there] + half, color=colour, lw=3.0)
        spread = there & np.isfinite(sem[:, layer])
        if spread.any():
            ends = sem[spread, layer]
            cap = min(1.5, points / 4)
            ax.errorbar(x[spread], values[spread], ends, capsize=cap, zorder=3, **_SPREAD)
        for centre in x[~there]:
            box = Rectangle((centre - width * 0.47, 0.0), width * 0.94, 1.0, **_UNDEFINED)
            ax.add_patch(box).set(transform=ax.get_xaxis_transform(), gid="undefined")


def _plot_markers(ax: Axes, markers: _Markers, members: slice, width: float, points: float) -> None:
    n_marker = len(markers.names)
    n_layer = markers.scores.shape[2]
    size = float(np.clip(points / max(n_marker, 2) * 0.75, 1.6, 4.0))
    for i, shape in enumerate(markers.shapes):
        values = markers.scores[i, members]
        x = np.arange(len(values))[:, None] + (np.arange(n_layer) - (n_layer - 1) / 2) * width
        dodge = ((i + 0.5) / n_marker - 0.5) * width * 0.8
        at = (x + dodge).ravel()
        ax.plot(at, values.ravel(), marker=shape, ms=size, zorder=4, **_MARKER)


def _captions(
    grid: ScoreGrid, regions: RegionScores, markers: _Markers, mean: Array, text: FigureText
) -> list[str]:
    shape = "bars" if text.signed else "thick lines"
    what = "mean over hemispheres" if regions.bilateral else "score of each ROI"
    if grid.several:
        captions = [
            f"{shape}: mean over {len(grid.subjects)} subjects"
            + (" of the mean over hemispheres" if regions.bilateral else ""),
            "error bars: SEM over subjects",
            "markers: each subject",
        ]
    else:
        captions = [f"{shape}: {what}"]
        if markers.names:
            captions.append("markers: each hemisphere")
    if not text.signed:
        captions.append("the axis does not start at zero, so there are no bars")
    means = grid.several or regions.bilateral
    return captions + undefined_captions(mean, "hatched", grid.scores if means else None)
