"""The scores' axis, number format and colours, which every figure of a table shares."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator

from rsa_exp.figures.layout.colour_bar import BAR_WIDTH, colour_bar
from rsa_exp.figures.layout.page import Page
from rsa_exp.figures.layout.style import GREY, INK, LABEL_SIZE, SMALL_SIZE
from rsa_exp.figures.layout.text import line_height, widest, wrap
from rsa_exp.figures.result import Array, FigureText

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class ScoreScale:
    """How scores are placed, written and coloured."""

    low: float  # end of the axis, with room around the data; zero is within the axis if `anchored`
    high: float
    ticks: tuple[float, ...]  # positions within the axis
    tick_labels: tuple[str, ...]  # all with the same decimals
    label: str  # of the axis, with the power of ten and the better direction if that is down
    exponent: int  # power of ten that written numbers are multiplied by; 0 for ordinary sizes
    decimals: int  # of annotated numbers: enough for twentieths of the data's range to differ
    anchored: bool  # whether the axis includes zero because zero is the null value
    defined: bool  # whether any score is
    data_range: tuple[float, float]  # least and greatest value
    greater_is_better: bool

    @classmethod
    def of(cls, values: Array, text: FigureText) -> "ScoreScale":
        """Choose a scale for all values that a figure shows (ends of error bars included)."""
        finite = values[np.isfinite(values)]
        least, most = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        largest = max(abs(least), abs(most))
        exponent = 0
        if largest and not 1e-3 <= largest < 1e5:
            exponent = int(np.floor(np.log10(largest)))
        low, high = _padded(least, most, text.signed)
        # an axis without data has no numbers on it
        ticks = _round_ticks(low, high) if finite.size else np.empty(0)
        spread = (most - least) or largest or 1.0
        decimals = int(np.clip(np.ceil(-np.log10(spread / 20) + exponent - 1e-9), 0, 6))
        label = text.score_label
        if exponent:
            label += f" (×10{str(exponent).translate(_SUPERSCRIPTS)})"
        if not text.greater_is_better:
            label += " (lower is better)"
        return cls(
            low,
            high,
            tuple(ticks),
            _same_decimals(ticks / 10.0**exponent),
            label,
            exponent,
            decimals,
            text.signed,
            bool(finite.size),
            (float(least), float(most)),
            text.greater_is_better,
        )

    def on_x(self, ax: Axes, width: float) -> None:
        """Make this scale the x axis of `ax`, `width` inches wide, like :meth:`on_y`."""
        ax.set_xlim(self.low, self.high)
        fitting = width / (1.4 * widest(self.tick_labels, SMALL_SIZE) or 1.0)
        every = max(1, int(np.ceil(len(self.ticks) / fitting)))
        ax.set_xticks(self.ticks[::every], self.tick_labels[::every])
        ax.grid(axis="x")
        if self.low < 0 < self.high and self.anchored:
            ax.axvline(0, color=INK, lw=0.6, zorder=1.5)

    def tick(self, value: float) -> str:
        """Text of one of the ticks."""
        return self.tick_labels[self.ticks.index(value)]

    def number(self, value: float) -> str:
        """Write a score: ``".053"`` where none reaches 1, since every one would begin with 0."""
        scaled = round(value / 10.0**self.exponent, self.decimals) + 0.0  # no negative zero
        written = f"{scaled:.{self.decimals}f}"
        if max(map(abs, self.data_range)) / 10.0**self.exponent < 1 - 0.5 * 10.0**-self.decimals:
            written = written.replace("0.", ".", 1)
        return written.replace("-", "−")

    def label_lines(self, height: float) -> list[str]:
        """Break the axis label to stand upright along `height` inches."""
        return wrap(self.label, max(height, 0.8), LABEL_SIZE)

    def left_margin(self, height: float) -> float:
        """Inches that tick labels and an upright label need left of an axis `height` high."""
        lines = len(self.label_lines(height))
        return widest(self.tick_labels, SMALL_SIZE) + lines * line_height(LABEL_SIZE) + 0.1

    def label_y(self, page: Page, left: float, bottom: float, height: float) -> None:
        """Write the label upright beside the y axis at `left` (or several that share it)."""
        page.text(
            left,
            bottom + height / 2,
            self.label_lines(height),
            offset=(-self.left_margin(height), 0.0),
            size=LABEL_SIZE,
            rotation=90,
        )

    def on_y(self, ax: Axes, *, labelled: bool = True) -> None:
        """Make this scale the y axis of `ax`, with a light grid and a line at zero."""
        ax.set_ylim(self.low, self.high)
        ax.set_yticks(self.ticks, self.tick_labels if labelled else [""] * len(self.ticks))
        ax.grid(axis="y")
        if self.low < 0 < self.high and self.anchored:
            ax.axhline(0, color=INK, lw=0.6, zorder=1.5)
        if not self.defined:
            mark_empty(ax)

    @property
    def colours(self) -> tuple[Colormap, Normalize]:
        """Colour map and range: diverging about zero if the null value lies within the data.

        Sequential maps are turned so that bright always means a better match.
        """
        least, most = self.data_range
        if self.anchored and least < 0:
            bound = max(abs(least), abs(most))
            return mpl.colormaps["RdBu_r"], Normalize(-bound, bound)
        if self.anchored:
            least = 0.0
        if least == most:
            least, most = least - (abs(least) or 1.0) * 0.05, most + (abs(most) or 1.0) * 0.05
        name = "viridis" if self.greater_is_better else "viridis_r"
        return mpl.colormaps[name], Normalize(least, most)

    def colour_bar_width(self, height: float) -> float:
        """Inches that :meth:`colour_bar` takes, from the left edge of the bar."""
        ticks = widest(self._colour_ticks()[1], SMALL_SIZE)
        return BAR_WIDTH + 0.1 + ticks + len(self.label_lines(height)) * line_height(LABEL_SIZE)

    def _colour_ticks(self) -> tuple[Array, tuple[str, ...]]:
        _, norm = self.colours
        low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
        ticks = _round_ticks(low, high) if self.defined else np.empty(0)
        return ticks, _same_decimals(ticks / 10.0**self.exponent)

    def colour_bar(self, page: Page, left: float, bottom: float, height: float) -> None:
        """Add the colour bar, labelled with the score, placed in inches of the body."""
        if not self.defined:
            return
        ticks, labels = self._colour_ticks()
        cmap, norm = self.colours
        colour_bar(
            page, (left, bottom, height), cmap, norm, ticks, labels, self.label_lines(height)
        )


def _padded(least: float, most: float, signed: bool) -> tuple[float, float]:
    """Return the ends of an axis: the data, zero if it is the null value, and 6 % of room."""
    low, high = (min(least, 0.0), max(most, 0.0)) if signed else (least, most)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return (
        low if signed and low == 0.0 else low - room,
        high if signed and high == 0.0 and low < 0.0 else high + room,
    )


def _round_ticks(low: float, high: float) -> Array:
    ticks = np.asarray(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = (high - low) * 1e-9
    return np.array(ticks[(ticks >= low - slack) & (ticks <= high + slack)])


def _same_decimals(ticks: Array) -> tuple[str, ...]:
    """Write ticks with the fewest decimals that give them exactly."""
    step = float(np.diff(ticks).min()) if len(ticks) > 1 else 1.0
    decimals = 0
    while decimals < 12 and np.abs(np.round(ticks, decimals) - ticks).max(initial=0) > step / 50:
        decimals += 1
    return tuple(f"{tick + 0.0:.{decimals}f}".replace("-", "−") for tick in ticks)


def undefined_captions(shown: Array, mark: str, averaged: Array | None = None) -> list[str]:
    """Caption for scores that are not defined, none if all are.

    `shown` are the values that the figure shows or could not, `mark` is what it has instead of
    those, `averaged` are the scores that the values are means of, if they are means.
    """
    captions = [f"{mark}: no score is defined (n/a)"] if np.isnan(shown).any() else []
    if averaged is not None and np.isnan(averaged).any() and np.isfinite(shown).any():
        captions.append("undefined scores are left out of means")
    return captions


def mark_empty(ax: Axes) -> None:
    """Write n/a in the middle of axes that have nothing to show."""
    label = ax.text(0.5, 0.5, "n/a", color=GREY, size=LABEL_SIZE, transform=ax.transAxes, zorder=5)
    label.set(ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 2.0})
