"""Lollipops: what a radar of fewer than three axes would show."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rsa_exp.figures.grid import Array, ScoreGrid, mean_sem
from rsa_exp.figures.page import MARGIN, Page
from rsa_exp.figures.score_scale import ScoreScale, say_undefined
from rsa_exp.figures.style import (
    DOUBLE_COLUMN,
    GREY,
    INK,
    LABEL_SIZE,
    NAME_LIMIT,
    SINGLE_COLUMN,
    SMALL_SIZE,
    layer_colours,
)
from rsa_exp.figures.text import FigureText, fit_width, line_height, literal, shorten, widest

_ROW = 0.19  # inches a layer takes
_GAP = 0.35  # inches, for the numbers at the ends of neighbouring axes
_TITLE = 0.2


def lollipops(panels: Sequence[tuple[str, Array]], grid: ScoreGrid, text: FigureText) -> Figure:
    """Draw each layer's score as a point on a stem, one panel for each axis of the radar.

    Parameters
    ----------
    panels : sequence of (str, ndarray of shape (n_subject, n_layer))
        Name and scores of each region.
    grid : ScoreGrid
        Layers and subjects.
    text : FigureText
        Title, note, and how to read the score.
    """
    spreads = [mean_sem(scores) for _, scores in panels]
    around = [np.nan_to_num(sem) for _, sem in spreads]
    bounds = [
        mean + sign * a for (mean, _), a in zip(spreads, around, strict=True) for sign in (-1, 1)
    ]
    scale = ScoreScale.of(np.vstack([*(scores for _, scores in panels), *bounds]), text)

    layers = shorten(grid.layers, NAME_LIMIT)
    left = MARGIN + widest(layers, SMALL_SIZE) + 0.12
    total = max(SINGLE_COLUMN, min(DOUBLE_COLUMN, left + len(panels) * 2.6))
    panel = (total - left - MARGIN - (len(panels) - 1) * _GAP) / len(panels)
    height = max(len(layers) * _ROW, 0.4) + 0.1
    below = 0.2 + line_height(LABEL_SIZE) * 1.3
    page = Page(text, _captions(grid, panels, text), total, below + height + _TITLE)
    rows = np.arange(len(layers))
    for i, ((name, scores), (mean, sem)) in enumerate(zip(panels, spreads, strict=True)):
        x = left + i * (panel + _GAP)
        ax = page.axes(x, below, panel, height)
        scale.on_x(ax, panel)
        ax.set_ylim(len(layers) - 0.5, -0.5)
        ax.set_yticks(rows, [literal(layer) for layer in layers] if i == 0 else [""] * len(rows))
        ax.tick_params(axis="y", length=0)
        if scale.anchored:
            ax.hlines(rows, 0.0, np.nan_to_num(mean), colors=layer_colours(len(rows)), lw=1.5)
        if len(scores) > 1:
            for values in scores:
                ax.plot(values, rows, ls="", marker="o", ms=2.5, mfc="white", mec=GREY, mew=0.6)
            ax.errorbar(mean, rows, xerr=sem, fmt="none", ecolor=INK, elinewidth=0.8, zorder=3)
        ax.scatter(mean, rows, s=30, c=layer_colours(len(rows)), zorder=4, lw=0, clip_on=False)
        for row in np.flatnonzero(np.isnan(mean)).tolist():
            ax.text(
                0.01,
                row,
                "n/a",
                transform=ax.get_yaxis_transform(),
                va="center",
                size=SMALL_SIZE,
                color=GREY,
            )
        heading = fit_width(name, panel, LABEL_SIZE)
        page.text(x, below + height + _TITLE / 2, heading, size=LABEL_SIZE)
    centre = (left + total - MARGIN) / 2
    page.text(centre, 0.02, scale.label, size=LABEL_SIZE, ha="center", va="bottom")
    return page.figure


def _captions(grid: ScoreGrid, panels: Sequence[tuple[str, Array]], text: FigureText) -> list[str]:
    captions = ["fewer than three axes: points instead of a radar"]
    if grid.several:
        captions += [
            f"large points: mean ± SEM over {len(grid.subjects)} subjects",
            "small points: each subject",
        ]
    if not text.signed:
        captions.append("the axis does not start at zero")
    scores = np.concatenate([scores for _, scores in panels], axis=1)
    return captions + say_undefined(mean_sem(scores)[0], "n/a", scores if grid.several else None)
