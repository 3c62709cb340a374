"""Upright colour bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

from rsa_exp.figures.grid import Array
from rsa_exp.figures.page import Page
from rsa_exp.figures.style import LABEL_SIZE, SMALL_SIZE
from rsa_exp.figures.text import widest

BAR_WIDTH = 0.1  # inches


def colour_bar(
    page: Page,
    place: tuple[float, float, float],
    cmap: Colormap,
    norm: Normalize,
    ticks: Array,
    tick_labels: tuple[str, ...],
    label: Sequence[str],
) -> Axes:
    """Draw an upright colour bar.

    A one-column image, where ``Figure.colorbar`` draws 256 vector cells: those show seams in
    SVG viewers and take longer than the rest of the figure.

    Parameters
    ----------
    place : (float, float, float)
        Left, bottom and height, in inches of the page's body.
    label : sequence of str
        Lines written upright, right of the ticks.
    """
    left, bottom, height = place
    ax = page.axes(left, bottom, BAR_WIDTH, height)
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    ax.imshow(
        np.linspace(low, high, 256)[:, None],
        cmap=cmap,
        norm=norm,
        origin="lower",
        aspect="auto",
        extent=(0, 1, low, high),
    )
    ax.set_xticks([])
    ax.yaxis.tick_right()
    ax.set_yticks(ticks, tick_labels)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="y", length=2, pad=2)
    right = left + BAR_WIDTH + 0.1 + widest(tick_labels, SMALL_SIZE)
    page.text(right, bottom + height / 2, label, size=LABEL_SIZE, rotation=90)
    return ax
