"""Radar: the pattern of scores over regions, one closed line a layer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes

from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.polar import Circle, add_circle, circles_of, closed, plan_circles
from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import SMALL_SIZE, layer_colours, styled
from rsa_exp.figures.layout.text import line_height
from rsa_exp.figures.of_result.bars import bars
from rsa_exp.figures.result import Array, FigureText, Plottable, Tables, plotted_scores

MOST_LAYERS = 6  # closed lines that differ clearly
FEWEST_AXES = 3  # two axes make a line, not an area

_MARKERS = ("o", "s", "^", "D", "v", "P")


@styled
def radar(result: Plottable, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Plot a circle a hemisphere, an axis a region, a closed line for each of <= 6 layers.

    Two axes make a line and no area: with fewer than three regions the same scores are shown as
    bars. A radar cannot be plotted into an Axes of the caller's: its axes are polar.
    """
    canvas, text = Canvas(figure=figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    circles = circles_of(grid)
    if max(len(circle.axes) for circle in circles) < FEWEST_AXES:
        note = "fewer than three regions: bars instead of a radar"
        text = replace(text, note="; ".join(filter(None, [note, text.note])))
        return bars(Tables(plotted_scores(result), text), figure=figure)
    chosen = evenly_spaced(len(grid.layers), MOST_LAYERS)
    shown = [circle.scores[:, :, chosen] for circle in circles]
    scale = ScoreScale.of(np.concatenate([scores.ravel() for scores in shown]), text)

    plan = plan_circles(circles, canvas)
    colours = layer_colours(len(grid.layers))
    entries: list[tuple[Artist, str]] = [
        (_line(colours[layer], i), grid.layers[layer]) for i, layer in enumerate(chosen)
    ]
    legend = Legend(entries, plan.width - 2 * MARGIN)
    axis_label = 2.2 * line_height(SMALL_SIZE)
    body = plan.rows * plan.cell_height + axis_label
    captions = _captions(grid, chosen, shown, text)
    page = Page(canvas, text, captions, plan.width, body, [legend], rigid=True)
    for i, (circle, scores) in enumerate(zip(circles, shown, strict=True)):
        ax = add_circle(page, circle, plan, plan.centre(i, body), scale)
        _plot_layers(ax, circle, scores, [colours[layer] for layer in chosen])
    page.text(plan.width / 2, 0.1, f"radial axis: {scale.label}", ha="center")
    return page.figure


def evenly_spaced(n: int, most: int) -> list[int]:
    """Choose at most `most` of `n` layers, evenly spaced, first and last included."""
    return [round(position) for position in np.linspace(0, n - 1, min(n, most))]


def _plot_layers(ax: PolarAxes, circle: Circle, scores: Array, colours: Sequence[str]) -> None:
    mean, _ = mean_sem(scores)
    for layer, colour in enumerate(colours):
        around = closed(circle.angles), closed(mean[:, layer])
        (line,) = ax.plot(*around, lw=1.1, color=colour, zorder=3, gid=f"layer-{layer}")
        line.set(marker=_MARKERS[layer], markersize=3.0, clip_on=False)
        if len(scores) > 1:
            every = np.tile(circle.angles, len(scores))
            (dots,) = ax.plot(every, scores[:, :, layer].ravel(), ls="", marker=".", ms=3.5, mew=0)
            dots.set(color=colour, alpha=0.7, clip_on=False)


def _line(colour: str, layer: int) -> Line2D:
    return Line2D([], [], color=colour, lw=1.1, marker=_MARKERS[layer], ms=3.0)


def _captions(
    grid: ScoreGrid, chosen: Sequence[int], shown: Sequence[Array], text: FigureText
) -> list[str]:
    captions = []
    if grid.several:
        captions.append(
            f"lines: mean over {len(grid.subjects)} subjects; dots: each subject (no SEM shown)"
        )
    if len(chosen) < len(grid.layers):
        captions.append(f"{len(chosen)} of {len(grid.layers)} layers, evenly spaced by depth")
    if not text.greater_is_better:
        captions.append("nearer the centre is better")
    values = np.concatenate([scores.reshape(len(scores), -1) for scores in shown], axis=1)
    if text.signed and np.isfinite(values).any() and np.nanmin(values) < 0:
        captions.append("dark ring: zero")
    elif not text.signed:
        captions.append("the centre is not zero")
    averaged = values if grid.several else None
    return captions + undefined_captions(mean_sem(values)[0], "gaps", averaged)
