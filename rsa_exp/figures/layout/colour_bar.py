"""Upright colour bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

from rsa_exp.figures.layout.page import Page
from rsa_exp.figures.layout.style import LABEL_SIZE, SMALL_SIZE
from rsa_exp.figures.layout.text import widest
from rsa_exp.figures.result import Array

BAR_WIDTH = 0.1  # inches


def colour_bar(
    page: Page,
    position: tuple[float, float, float],
    cmap: Colormap,
    norm: Normalize,
    ticks: Array,
    tick_labels: tuple[str, ...],
    label: Sequence[str],
) -> Axes:
    """Add an upright colour bar at left, bottom and height in inches of the page's body.

    A one-column image, where ``Figure.colorbar`` makes 256 vector cells: those show seams in
    SVG viewers and take longer than the rest of the figure. The lines of `label` are written
    upright, right of the ticks.
    """
    left, bottom, height = position
    ax = page.axes(left, bottom, BAR_WIDTH, height)
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    colours, extent = np.linspace(low, high, 256)[:, None], (0, 1, low, high)
    ax.imshow(colours, cmap=cmap, norm=norm, origin="lower", aspect="auto", extent=extent)
    ax.set_xticks([])
    ax.yaxis.tick_right()
    ax.set_yticks(ticks, tick_labels)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="y", length=2, pad=2)
    beside = (0.1 + widest(tick_labels, SMALL_SIZE), 0.0)
    page.text(
        left + BAR_WIDTH, bottom + height / 2, label, offset=beside, size=LABEL_SIZE, rotation=90
    )
    return ax
