"""Comparisons: which layers differ, a matrix of differences for each ROI."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from rsa_exp.figures.layout.cells import readable_on
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
from rsa_exp.figures.layout.score_grid import ScoreGrid, need
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import GREY, INK, NAME_LIMIT, SMALL_SIZE, UNDEFINED, styled
from rsa_exp.figures.layout.text import SLACK, line_height, literal, printable, shorten, text_width
from rsa_exp.figures.result import Array, FigureText, NothingToPlot, Plottable
from rsa_exp.stats.metrics.registry import is_best
from rsa_exp.vocabulary import ALPHA

MOST_STARS = 12  # layers beyond which a cell has room for no more than a dot

_NARROWEST, _WIDEST = 0.64, 2.6  # inches of a matrix
_MOST_ROWS = 5  # beyond which matrices are as small as they can be
_SMALLEST_CELL, _LARGEST_CELL = 0.045, 0.4
_GAP = 0.12  # inches between a matrix and the names of the next
_HIGHEST_BAR = 2.4  # inches


@styled
def comparisons(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot the difference of every two layers, row minus column, a matrix for each ROI.

    The table `result.comparisons` has one row per ROI (``within``) and pair of layers (``a, b``),
    each pair once, and ``difference, q, n_tests``; rows of another ``kind`` than ``"layers"`` are
    left out.
    """
    canvas, text = Canvas(ax, figure), result.text
    pairs, table = result.comparisons, result.scores
    if pairs is None:
        raise NothingToPlot("the result has no comparisons: analyse with a bootstrap")
    grid = run_grid(table)
    n_layer = len(grid.layers)
    need(pairs, ("kind", "within", "a", "b", "difference", "q", "n_tests"), "comparison")
    pairs = pairs[pairs["kind"] == "layers"]
    if pairs.empty:
        raise NothingToPlot(f"no layers are compared within an ROI (there are {n_layer})")
    difference, q = pairwise(pairs, grid)
    scale = _scale(difference, text)
    best = is_best(grid.mean_scores, greater_is_better=text.greater_is_better, axis=1)

    layers = shorten(grid.layers, NAME_LIMIT)
    row_names = max(text_width(name, SMALL_SIZE, "bold") for name in layers) * SLACK + 0.06
    bar = scale.colour_bar_width(_NARROWEST) + 0.2 if scale.defined else 0.0
    room = canvas.most - bar - 2 * MARGIN
    least = max(_NARROWEST, n_layer * _SMALLEST_CELL)
    positions = arrange(grid, int((room + _GAP) / (row_names + least + _GAP)))
    rows, columns = extent(positions)
    share = (room + _GAP) / columns - _GAP - row_names
    side = max(least, min(share, _WIDEST, max(1.2, n_layer * _LARGEST_CELL)))
    side = side if rows <= _MOST_ROWS else least
    names = column_names(grid.layers, side / n_layer, positions)
    left = MARGIN + max(row_names, names.overhang - side / n_layer / 2)
    across = row_names + _GAP
    titles = headings(grid.rois, side + _GAP / 2)
    panels = RoiPanels(positions, titles, (side, side), left, names.height, across)

    page_width = max(canvas.least, panels.right + bar + MARGIN)
    height = min(panels.top - panels.below, _HIGHEST_BAR)
    captions = _captions(difference, q, pairs, text)
    page = Page(canvas, text, captions, page_width, panels.body)
    for i in range(len(grid.rois)):
        ax = panels.axes(page, i)
        _plot_matrix(ax, difference[i], q[i], scale, side / n_layer)
        _name_rows(ax, layers, np.flatnonzero(best[i]).tolist(), side / n_layer)
        if panels.lowest(i):
            names.write(ax)
        else:
            ax.set_xticks([])
        ax.tick_params(length=0)
    scale.colour_bar(page, panels.right + 0.2, panels.top - height, height)
    return page.figure


def pairwise(pairs: pd.DataFrame, grid: ScoreGrid) -> tuple[Array, Array]:
    """Lay pairs of layers out as matrices of differences (row minus column) and of q.

    Both have shape (n_roi, n_layer, n_layer), are antisymmetric and symmetric, and NaN where
    undefined. On the diagonal the difference is 0 and q NaN.

    Raises
    ------
    ValueError
        If an ROI or layer is not one of the grid's, or a pair occurs twice.
    """
    indices = []
    for name, known in (("within", grid.rois), ("a", grid.layers), ("b", grid.layers)):
        values = [printable(str(value)) for value in pairs[name]]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"the comparisons have {unknown[0]!r} under {name!r}, the score table has "
                f"{', '.join(known)}"
            )
        indices.append(np.array([known.index(value) for value in values], dtype=np.intp))
    roi, a, b = indices
    unordered = np.stack([roi, np.minimum(a, b), np.maximum(a, b)])
    if np.unique(unordered, axis=1).shape[1] < len(pairs) or (a == b).any():
        raise ValueError("the comparisons have a pair of layers twice, or a layer with itself")
    n_layer = len(grid.layers)
    difference, q = np.full((2, len(grid.rois), n_layer, n_layer), np.nan)
    difference[:, np.arange(n_layer), np.arange(n_layer)] = 0.0
    for matrix, name, sign in ((difference, "difference", -1.0), (q, "q", 1.0)):
        column = pairs[name].to_numpy(dtype=float, na_value=np.nan)
        column = np.where(np.isfinite(column), column, np.nan)
        matrix[roi, a, b], matrix[roi, b, a] = column, sign * column
    return difference, q


def _scale(difference: Array, text: FigureText) -> ScoreScale:
    """Colours about zero, to the greatest difference on either side."""
    off = difference[:, ~np.eye(difference.shape[1], dtype=bool)]
    label = replace(text, score_label=f"Δ {text.score_label}", greater_is_better=True, signed=True)
    if not np.isfinite(off).any():
        return ScoreScale.of(off, label)
    bound = float(np.nanmax(np.abs(off))) or 1.0
    return ScoreScale.of(np.array([-bound, bound]), label)


def _plot_matrix(ax: Axes, difference: Array, q: Array, scale: ScoreScale, cell: float) -> None:
    cmap, norm = scale.colours
    n_layer = len(difference)
    cells = ax.imshow(difference, norm=norm, aspect="auto", interpolation="nearest")
    cells.set_cmap(cmap.with_extremes(bad=UNDEFINED))
    ax.spines[:].set(visible=True, color=GREY, lw=0.5)
    if n_layer <= MOST_STARS:  # a line between cells, as the marks have room for it
        edges = np.arange(n_layer - 1) + 0.5
        ax.hlines(edges, -0.5, n_layer - 0.5, color="white", lw=0.5)
        ax.vlines(edges, -0.5, n_layer - 0.5, color="white", lw=0.5)
    marked = np.argwhere(q < ALPHA)
    if len(marked):
        size = min(cell * 72 * 0.6, 5.0)
        colours = [readable_on(cmap(norm(difference[row, column]))) for row, column in marked]
        marker: Any = (6, 2, 0) if n_layer <= MOST_STARS else "o"
        lw = 0.7 if n_layer <= MOST_STARS else 0.0
        at = marked[:, 1], marked[:, 0]
        ax.scatter(*at, s=size**2, c=colours, marker=marker, lw=lw, gid="significant")


def _name_rows(ax: Axes, layers: Sequence[str], best: Sequence[int], cell: float) -> None:
    """Name the rows, the best layers in bold; where not all have room, the best has."""
    every = max(1, int(np.ceil(line_height(SMALL_SIZE) * 0.95 / cell)))
    first = best[0] % every if best else 0
    named = range(first, len(layers), every)
    ax.set_yticks(named, [literal(layers[i]) for i in named])
    ax.tick_params(axis="y", pad=2)
    for i, label in zip(named, ax.get_yticklabels(), strict=True):
        label.set(color=INK if i in best else GREY, fontweight="bold" if i in best else "normal")


def _captions(difference: Array, q: Array, pairs: pd.DataFrame, text: FigureText) -> list[str]:
    colour = "red" if text.greater_is_better else "blue"
    captions = [f"row minus column; {colour}: the row's layer matches better"]
    captions.append("bold: best layer of each ROI")
    if (q < ALPHA).any():
        mark = "∗" if difference.shape[1] <= MOST_STARS else "dots"
        captions.append(f"{mark}: q < {ALPHA:g}{family_caption(pairs)}")
    elif np.isfinite(q).any():
        captions.append(f"no difference has q < {ALPHA:g}{family_caption(pairs)}")
    return captions + undefined_captions(difference, "grey")
