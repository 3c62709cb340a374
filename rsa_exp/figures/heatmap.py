"""Heatmap: the score of every ROI and layer, written out."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from rsa_exp.figures.grid import Array, ScoreGrid, mean_sem
from rsa_exp.figures.page import MARGIN, AxisNames, Page
from rsa_exp.figures.score_scale import ScoreScale, say_undefined
from rsa_exp.figures.style import (
    DOUBLE_COLUMN,
    INK,
    NAME_LIMIT,
    SINGLE_COLUMN,
    SMALL_SIZE,
    UNDEFINED,
    styled,
)
from rsa_exp.figures.text import FigureText, line_height, literal, shorten, text_width, widest

_WIDEST_CELL = 0.75  # inches: wider cells only push numbers apart
_LOWEST_BAR = 0.9  # inches: the colour bar of a single row would be unreadable
_ROOM_FOR_SEM = 0.42  # inches of cell width below which the second line is left out


@styled
def heatmap_figure(table: pd.DataFrame, text: FigureText) -> Figure:
    """Draw ROI x layer scores as annotated cells, each ROI's best layer outlined.

    Parameters
    ----------
    table : DataFrame
        One row per subject, ROI and layer.
    text : FigureText
        Title, note, and how to read the score.
    """
    grid = ScoreGrid.of(table)
    mean, sem = mean_sem(grid.scores)
    scale = ScoreScale.of(mean, text)
    best = best_layers(mean, greater_is_better=text.greater_is_better)

    n_roi, n_layer = mean.shape
    rois = shorten(grid.rois, NAME_LIMIT)
    left = widest(rois, SMALL_SIZE) + 0.15
    cell, with_sem, height, bar = _cells(scale, grid, left)
    names = AxisNames.fit(grid.layers, cell)
    left = max(left, names.overhang - cell / 2 + 0.05)

    captions = [_best_caption(text, best)]
    if grid.several:
        spread = "mean ± SEM" if with_sem else "mean"
        captions.insert(0, f"{spread} over {len(grid.subjects)} subjects")
    captions += say_undefined(mean, "hatched", grid.scores if grid.several else None)
    side = max(height, _LOWEST_BAR)
    width = max(SINGLE_COLUMN, left + n_layer * cell + 0.15 + bar + MARGIN)
    body = max(height + names.height, side + 0.05)
    page = Page(text, [c for c in captions if c], width, body)
    ax = page.axes(left, body - height, n_layer * cell, height)
    _draw_cells(ax, mean, scale, _annotations(mean, sem if with_sem else None, scale))
    for row, column in np.argwhere(best):
        _outline(ax, row, column)
    names.draw(ax, (np.arange(n_layer) + 0.5).tolist())
    ax.set_yticks(np.arange(n_roi) + 0.5, [literal(roi) for roi in rois], rotation=0)
    ax.tick_params(length=0, pad=3)
    scale.colour_bar(page, left + n_layer * cell + 0.15, body - side, side)
    return page.figure


def best_layers(mean: Array, *, greater_is_better: bool) -> NDArray[np.bool_]:
    """Mark each ROI's best layer, all of them where several are exactly as good.

    Parameters
    ----------
    mean : ndarray of shape (n_roi, n_layer)
        NaN never is the best.
    greater_is_better : bool
        False for distances.

    Returns
    -------
    ndarray of bool, shape (n_roi, n_layer)
    """
    merit = np.where(np.isnan(mean), -np.inf, mean if greater_is_better else -mean)
    return np.array((merit == merit.max(axis=1, keepdims=True)) & np.isfinite(merit))


def _cells(scale: ScoreScale, grid: ScoreGrid, left: float) -> tuple[float, bool, float, float]:
    """Width of a cell, whether it holds a second line, height of the map, of the bar's width."""
    n_roi, n_layer = len(grid.rois), len(grid.layers)
    number = max(
        text_width(scale.number(value), SMALL_SIZE, "bold")
        for value in (*scale.data_range, scale.low, scale.high)
    )
    bar = scale.colour_bar_width(max(n_roi * 0.22, _LOWEST_BAR))
    room = (DOUBLE_COLUMN - left - bar - 0.35) / n_layer
    cell = max(number + 0.05, min(room, _WIDEST_CELL))
    with_sem = grid.several and cell >= _ROOM_FOR_SEM
    row = 2 * line_height(SMALL_SIZE) + 0.06 if with_sem else 0.22
    if n_roi <= 12 and not with_sem:
        row = 0.27
    return cell, with_sem, n_roi * row, bar


def _annotations(mean: Array, sem: Array | None, scale: ScoreScale) -> NDArray[np.object_]:
    written = np.full(mean.shape, "n/a", dtype=object)
    for cell in np.argwhere(np.isfinite(mean)):
        at = tuple(cell)
        written[at] = scale.number(mean[at])
        if sem is not None and np.isfinite(sem[at]):
            written[at] += f"\n±{scale.number(sem[at])}"
    return written


def _draw_cells(ax: Axes, mean: Array, scale: ScoreScale, written: NDArray[np.object_]) -> None:
    cmap, norm = scale.colours
    undefined = np.isnan(mean)
    sns.heatmap(
        mean,
        mask=undefined,
        ax=ax,
        cmap=cmap,
        vmin=norm.vmin,  # not norm=: seaborn would look for limits in data that may be all NaN
        vmax=norm.vmax,
        cbar=False,
        linewidths=0.5,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    for row, column in np.ndindex(mean.shape):
        label = write_cell(ax, (row, column), str(written[row, column]), f"cell-{row}-{column}")
        if undefined[row, column]:
            hatch_cell(ax, (row, column), label)
        else:
            label.set_color(readable_on(cmap(norm(mean[row, column]))))


def write_cell(ax: Axes, cell: tuple[int, int], written: str, gid: str) -> Text:
    """Write in the middle of a cell, given by its row and column."""
    row, column = cell
    label = ax.text(column + 0.5, row + 0.5, written, size=SMALL_SIZE, color=INK, gid=gid)
    label.set(ha="center", va="center", linespacing=1.15)
    return label


def hatch_cell(ax: Axes, cell: tuple[int, int], label: Text) -> None:
    """Hatch a cell that has no value, around the label that says so."""
    row, column = cell
    ax.add_patch(Rectangle((column, row), 1, 1, fc="#f2f2f2", ec=UNDEFINED, hatch="/////", lw=0.5))
    label.set_bbox({"fc": "#f2f2f2", "ec": "none", "pad": 0.8})


def readable_on(background: tuple[float, float, float, float]) -> str:
    """White on dark and middle tones (contrast 3.2 : 1 or more), ink on light ones (4.6 : 1).

    Where the two contrasts are equal, dark type on saturated blue is harder to read.
    """
    return "white" if _luminance(background) < 0.28 else INK


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance, in [0, 1] (WCAG 2)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _outline(ax: Axes, row: int, column: int) -> None:
    """Outline a cell, black within white: seen on every colour of the map."""
    for width, colour in ((2.6, "white"), (1.2, "black")):
        box = Rectangle((column, row), 1, 1, fill=False, ec=colour, lw=width, clip_on=False)
        box.set_gid(f"best-{row}-{column}")
        ax.add_patch(box)
    for label in ax.texts:
        if label.get_gid() == f"cell-{row}-{column}":
            label.set_fontweight("bold")


def _best_caption(text: FigureText, best: NDArray[np.bool_]) -> str:
    if not best.any():
        return ""
    direction = "" if text.greater_is_better else " (lowest score)"
    return f"outlined: best layer of each ROI{direction}"
