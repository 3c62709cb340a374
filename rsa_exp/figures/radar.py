"""Radar: the pattern of scores over regions, one closed line a layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.projections.polar import PolarAxes

from rsa_exp.figures.dial import TITLE_HEIGHT, dials_of, name_axes, plan_dials
from rsa_exp.figures.grid import Array, ScoreGrid, mean_sem
from rsa_exp.figures.lollipop import lollipops
from rsa_exp.figures.page import MARGIN, Legend, Page
from rsa_exp.figures.score_scale import ScoreScale, say_empty, say_undefined
from rsa_exp.figures.style import (
    GREY,
    INK,
    LABEL_SIZE,
    RING,
    SMALL_SIZE,
    layer_colours,
    styled,
)
from rsa_exp.figures.text import FigureText, line_height

MOST_LAYERS = 6  # closed lines that can be told apart
FEWEST_AXES = 3  # two axes make a line, not an area

_MARKERS = ("o", "s", "^", "D", "v", "P")


@styled
def radar_figure(table: pd.DataFrame, text: FigureText) -> Figure:
    """Draw a circle a hemisphere, an axis a region, a closed line for each of <= 6 layers.

    With fewer than three axes there is no area to draw; the same scores are then shown as
    lollipops.

    Parameters
    ----------
    table : DataFrame
        One row per subject, ROI and layer.
    text : FigureText
        Title, note, and how to read the score.
    """
    grid = ScoreGrid.of(table)
    dials = dials_of(grid)
    if max(len(dial.axes) for dial in dials) < FEWEST_AXES:
        panels = [
            (f"{dial.title} {name}".strip() if name not in grid.rois else name, dial.scores[:, i])
            for dial in dials
            for i, name in enumerate(dial.axes)
        ]
        return lollipops(panels, grid, text)
    chosen = evenly_spaced(len(grid.layers), MOST_LAYERS)
    shown = [dial.scores[:, :, chosen] for dial in dials]
    scale = ScoreScale.of(np.concatenate([scores.ravel() for scores in shown]), text)

    plan = plan_dials(dials)
    colours = layer_colours(len(grid.layers))
    entries: list[tuple[Artist, str]] = [
        (_line(colours[layer], i), grid.layers[layer]) for i, layer in enumerate(chosen)
    ]
    legend = Legend(entries, plan.width - 2 * MARGIN)
    axis_label = 2.2 * line_height(SMALL_SIZE)
    body = plan.rows * plan.cell_height + axis_label
    page = Page(text, _captions(grid, chosen, shown, text), plan.width, body, [legend])
    for i, (dial, scores) in enumerate(zip(dials, shown, strict=True)):
        row, column = divmod(i, plan.columns)
        x = (column + 0.5) * plan.width / plan.columns
        y = body - row * plan.cell_height - plan.above
        square = (x - plan.radius, y - plan.radius, 2 * plan.radius, 2 * plan.radius)
        ax = page.figure.add_axes(page.box(*square), projection="polar")
        _draw_dial(ax, scores, scale, [colours[layer] for layer in chosen])
        name_axes(page, dial, plan, (x, y))
        if dial.title:
            page.text(
                x, y + plan.above - TITLE_HEIGHT / 2, dial.title, size=LABEL_SIZE, ha="center"
            )
    page.text(plan.width / 2, 0.1, f"radial axis: {scale.label}", ha="center")
    return page.figure


def evenly_spaced(n: int, most: int) -> list[int]:
    """Positions of at most `most` of `n` things, evenly spaced, first and last included."""
    return [round(position) for position in np.linspace(0, n - 1, min(n, most))]


def _draw_dial(ax: Axes, scores: Array, scale: ScoreScale, colours: Sequence[str]) -> None:
    assert isinstance(ax, PolarAxes)  # noqa: S101 - asked for as such
    mean, _ = mean_sem(scores)
    n_axis = len(mean)
    angles = np.arange(n_axis) * 2 * np.pi / n_axis
    low, high, ticks = radial_axis(scale)
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_rlim(low, high)
    ax.set_xticks(angles, [""] * n_axis)
    ax.set_yticks(ticks, [""] * len(ticks))
    for value in ticks:  # above the lines, where the axis would write them below
        if (value - low) / (high - low) > 0.2:
            label = ax.text(np.pi / n_axis, value, scale.tick(value), size=SMALL_SIZE, color=GREY)
            label.set(ha="center", va="center", zorder=5)
            label.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    ax.grid(color=RING, lw=0.5)
    ax.spines["polar"].set(color=RING, lw=0.6)
    if low < 0 <= high and scale.anchored:
        ring = np.linspace(0, 2 * np.pi, 181)
        ax.plot(ring, np.zeros_like(ring), color=INK, lw=0.8, gid="zero")
    if not scale.defined:
        say_empty(ax)
    around = np.append(angles, 0.0)  # closed at the first axis
    for layer, colour in enumerate(colours):
        closed = np.append(mean[:, layer], mean[0, layer])
        (line,) = ax.plot(around, closed, lw=1.1, color=colour, zorder=3, gid=f"layer-{layer}")
        line.set(marker=_MARKERS[layer], markersize=3.0, clip_on=False)
        if len(scores) > 1:
            every = np.tile(angles, len(scores))
            ax.plot(
                every,
                scores[:, :, layer].ravel(),
                ls="",
                marker=".",
                ms=3.5,
                mew=0,
                color=colour,
                alpha=0.7,
                clip_on=False,
            )


def radial_axis(scale: ScoreScale) -> tuple[float, float, list[float]]:
    """Centre, edge and rings of a dial: the centre is zero or a round number below the least.

    A centre at zero is only right for scores that are positive and have zero as null value.
    """
    ticks = list(scale.ticks)
    if len(ticks) < 2 or (scale.anchored and scale.low == 0.0):
        centre = scale.low
    else:
        step = ticks[1] - ticks[0]
        centre = float(np.floor(scale.low / step) * step)
    rings = [tick for tick in ticks if tick > centre]
    return centre, scale.high, rings


def _line(colour: str, layer: int) -> Line2D:
    return Line2D([], [], color=colour, lw=1.1, marker=_MARKERS[layer], ms=3.0)


def _captions(
    grid: ScoreGrid, chosen: Sequence[int], shown: Sequence[Array], text: FigureText
) -> list[str]:
    captions = []
    if grid.several:
        captions.append(
            f"lines: mean over {len(grid.subjects)} subjects; dots: each subject (no SEM drawn)"
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
    return captions + say_undefined(mean_sem(values)[0], "gaps", averaged)
