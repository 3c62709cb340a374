"""Scatter: the scores of the ROIs that the model explains best, layer by layer."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import GRID, RoiLook, distinct_looks, styled
from rsa_exp.figures.result import Array, FigureText, Plottable, plotted_scores

MOST_ROIS = 8  # as many as there are markers and colours that differ clearly

_HEIGHT = 2.3  # inches of axes
_WIDEST_SLOT = 1.1  # inches a layer takes at most
_DODGE = 0.7  # of a layer's slot that its ROIs are spread over


@styled
def scatter(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot score against layer for the (at most eight) ROIs with the best scores.

    With one subject a marker is that subject's score. With several, small markers are subjects
    and large ones their mean with its SEM.
    """
    canvas, text = Canvas(ax, figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    chosen = best_rois(grid.mean_scores, MOST_ROIS, greater_is_better=text.greater_is_better)
    scores = grid.scores[:, chosen]
    mean, sem = mean_sem(scores)
    around = np.nan_to_num(sem)
    scale = ScoreScale.of(np.stack([*scores, mean - around, mean + around]), text)

    n_layer = len(grid.layers)
    left = scale.left_margin(_HEIGHT) + MARGIN
    slot = min((canvas.most - left - MARGIN) / n_layer, _WIDEST_SLOT)
    names = AxisNames.fit(grid.layers, slot)
    left = max(left, names.overhang - slot / 2 + 0.05)
    width = max(canvas.least, left + n_layer * slot + MARGIN)
    looks = distinct_looks(
        [grid.regions_or_rois[i] for i in chosen], [grid.hemispheres[i] for i in chosen]
    )
    entries: list[tuple[Artist, str]] = [
        (_marker(look), grid.rois[i] + ("" if np.isfinite(scores[:, k]).any() else " (n/a)"))
        for k, (i, look) in enumerate(zip(chosen, looks, strict=True))
    ]
    legend = Legend(entries, width - 2 * MARGIN)
    captions = _captions(grid, chosen, text)
    page = Page(canvas, text, captions, width, names.height + _HEIGHT, [legend])
    ax = page.axes(left, names.height, width - left - MARGIN, _HEIGHT)
    scale.on_y(ax)
    scale.label_y(page, left, names.height, _HEIGHT)
    ax.set_xlim(-0.5, n_layer - 0.5)
    names.write(ax)
    ax.vlines(np.arange(n_layer - 1) + 0.5, scale.low, scale.high, color=GRID, lw=0.5, zorder=0)
    _plot_rois(ax, scores, looks)
    return page.figure


def best_rois(mean: Array, most: int, *, greater_is_better: bool) -> list[int]:
    """Choose the `most` ROIs with the best score of any layer, in the table's order.

    ROIs without any defined score come last.
    """
    merit = np.where(np.isnan(mean), -np.inf, mean if greater_is_better else -mean).max(axis=1)
    return sorted(np.argsort(-merit, kind="stable")[:most].tolist())


def _plot_rois(ax: Axes, scores: Array, looks: list[RoiLook]) -> None:
    n_subject, n_roi, n_layer = scores.shape
    mean, sem = mean_sem(scores)
    for i, look in enumerate(looks):
        x = np.arange(n_layer) + _DODGE * ((i + 0.5) / n_roi - 0.5)
        ax.plot(x, mean[i], color=look.colour, lw=0.5, alpha=0.7, zorder=1.9)
        if n_subject > 1:
            for values in scores[:, i]:
                (dots,) = ax.plot(x, values, ls="", marker=look.marker, ms=2.4, mew=0)
                dots.set(color=look.colour, alpha=0.6)
            at = np.isfinite(sem[i])
            if at.any():
                ends: dict[str, Any] = {"ecolor": look.colour, "elinewidth": 0.8, "zorder": 2.1}
                ax.errorbar(x[at], mean[i, at], sem[i, at], fmt="none", **ends)
        (points,) = ax.plot(x, mean[i], ls="", zorder=2.2, gid=f"roi-{i}")
        _set_marker(points, look)


def _marker(look: RoiLook) -> Line2D:
    line = Line2D([], [], color=look.colour, lw=0.5)
    _set_marker(line, look)
    return line


def _set_marker(line: Line2D, look: RoiLook) -> None:
    line.set(marker=look.marker, markersize=4.5, markeredgewidth=0.9)
    line.set(markerfacecolor=look.face, markeredgecolor=look.colour)


def _captions(grid: ScoreGrid, chosen: list[int], text: FigureText) -> list[str]:
    captions = []
    if len(chosen) < len(grid.rois):
        best = "highest" if text.greater_is_better else "lowest"
        captions.append(
            f"the {len(chosen)} of {len(grid.rois)} ROIs with the {best} best-layer score"
        )
    else:
        captions.append("all ROIs" if len(chosen) > 1 else "the only ROI")
    if grid.several:
        captions += [
            "small markers: each subject",
            f"large markers: mean ± SEM over {len(grid.subjects)} subjects",
        ]
    return captions + undefined_captions(
        grid.mean_scores[chosen], "gaps", grid.scores[:, chosen] if grid.several else None
    )
