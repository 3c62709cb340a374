"""Radar: the pattern of scores over regions, one closed line a layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes

from rsa_exp.figures.dial import Dial, closed, dials_of, draw_dial, plan_dials
from rsa_exp.figures.grid import Array, ScoreGrid, mean_sem
from rsa_exp.figures.lollipop import lollipops
from rsa_exp.figures.page import MARGIN, Legend, Page
from rsa_exp.figures.score_scale import ScoreScale, say_undefined
from rsa_exp.figures.style import SMALL_SIZE, layer_colours, styled
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
        ax = draw_dial(page, dial, plan, plan.centre(i, body), scale)
        _draw_layers(ax, dial, scores, [colours[layer] for layer in chosen])
    page.text(plan.width / 2, 0.1, f"radial axis: {scale.label}", ha="center")
    return page.figure


def evenly_spaced(n: int, most: int) -> list[int]:
    """Positions of at most `most` of `n` things, evenly spaced, first and last included."""
    return [round(position) for position in np.linspace(0, n - 1, min(n, most))]


def _draw_layers(ax: PolarAxes, dial: Dial, scores: Array, colours: Sequence[str]) -> None:
    mean, _ = mean_sem(scores)
    for layer, colour in enumerate(colours):
        (line,) = ax.plot(
            closed(dial.angles),
            closed(mean[:, layer]),
            lw=1.1,
            color=colour,
            zorder=3,
            gid=f"layer-{layer}",
        )
        line.set(marker=_MARKERS[layer], markersize=3.0, clip_on=False)
        if len(scores) > 1:
            every = np.tile(dial.angles, len(scores))
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
