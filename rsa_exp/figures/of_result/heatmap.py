"""Heatmap: the score of every ROI and layer, written out."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text
from numpy.typing import NDArray

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.cells import name_cells, outline, plot_cell
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import NAME_LIMIT, SMALL_SIZE, styled
from rsa_exp.figures.layout.text import line_height, shorten, text_width, widest
from rsa_exp.figures.result import Array, Plottable, plotted_scores
from rsa_exp.stats.metrics.registry import is_best

_WIDEST_CELL = 0.75  # inches: wider cells only push numbers apart
_LOWEST_BAR = 0.9  # inches: the colour bar of a single row would be unreadable
_ROOM_FOR_SEM = 0.42  # inches of cell width below which the second line is left out


@styled
def heatmap(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot ROI x layer scores as annotated cells, each ROI's best layers outlined.

    Scores of several subjects are shown as their mean and, where there is room, its SEM.
    """
    canvas, text = Canvas(ax, figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    mean, sem = mean_sem(grid.scores)
    scale = ScoreScale.of(mean, text)
    best = is_best(mean, greater_is_better=text.greater_is_better, axis=1)

    n_layer = len(grid.layers)
    rois = shorten(grid.rois, NAME_LIMIT)
    left = widest(rois, SMALL_SIZE) + 0.15
    cell, with_sem, height, bar = _cells(scale, grid, canvas.most - left)
    names = AxisNames.fit(grid.layers, cell)
    left = max(left, names.overhang - cell / 2 + 0.05)

    captions = []
    if grid.several:
        spread = "mean ± SEM" if with_sem else "mean"
        captions.append(f"{spread} over {len(grid.subjects)} subjects")
    if best.any():
        direction = "" if text.greater_is_better else " (lowest score)"
        captions.append(f"outlined: best layer of each ROI{direction}")
    captions += undefined_captions(mean, "hatched", grid.scores if grid.several else None)
    side = max(height, _LOWEST_BAR)
    width = max(canvas.least, left + n_layer * cell + 0.15 + bar + MARGIN)
    body = max(height + names.height, side + 0.05)
    page = Page(canvas, text, captions, width, body)
    axes = page.axes(left, body - height, n_layer * cell, height)
    labels = _plot_cells(axes, mean, scale, _annotations(mean, sem if with_sem else None, scale))
    for row, column in np.argwhere(best):
        outline(axes, (column, row), (1, 1), (2.6, 1.2), gid=f"best-{row}-{column}")
        labels[row, column].set_fontweight("bold")
    name_cells(axes, rois, names)
    scale.colour_bar(page, left + n_layer * cell + 0.15, body - side, side)
    return page.figure


def _cells(scale: ScoreScale, grid: ScoreGrid, room: float) -> tuple[float, bool, float, float]:
    """Width of a cell, whether it has a second line, height of the map, width of the bar."""
    n_roi, n_layer = len(grid.rois), len(grid.layers)
    number = max(
        text_width(scale.number(value), SMALL_SIZE, "bold")
        for value in (*scale.data_range, scale.low, scale.high)
    )
    bar = scale.colour_bar_width(max(n_roi * 0.22, _LOWEST_BAR))
    cell = max(number + 0.05, min((room - bar - 0.35) / n_layer, _WIDEST_CELL))
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


def _plot_cells(
    ax: Axes, mean: Array, scale: ScoreScale, written: NDArray[np.object_]
) -> dict[tuple[int, ...], Text]:
    cmap, norm = scale.colours
    undefined = np.isnan(mean)
    # limits instead of norm=: seaborn would look for them in data that may be all NaN
    limits = {"vmin": norm.vmin, "vmax": norm.vmax}
    bare = {"cbar": False, "xticklabels": False, "yticklabels": False}
    lines = {"linewidths": 0.5, "linecolor": "white"}
    sns.heatmap(mean, mask=undefined, ax=ax, cmap=cmap, **limits, **bare, **lines)
    faces = {at: None if undefined[at] else cmap(norm(mean[at])) for at in np.ndindex(mean.shape)}
    return {at: plot_cell(ax, at, str(written[at]), faces[at]) for at in faces}
