"""Where things go on a figure: title, note, legend and axes, placed by measured text.

Every size is known before anything is drawn, so nothing overlaps and no layout solver has to
draw the figure twice to find out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from rsa_exp.figures.style import GREY, NAME_LIMIT, SMALL_SIZE, TITLE_SIZE
from rsa_exp.figures.text import (
    POINTS_PER_INCH,
    FigureText,
    in_two_lines,
    line_height,
    literal,
    shorten,
    text_width,
    widest,
    wrap,
)

MARGIN = 0.1  # inches around everything
_GAP = 0.1  # between title, body and note
_SLACK = 1.04  # hinted text may be a little wider than its measured outline


class Page:
    """A figure with a title above and a note below a body that is laid out in inches.

    Parameters
    ----------
    text : FigureText
        Title and note.
    captions : sequence of str
        What the figure itself has to say about what it shows; stands above the caller's note.
    width, body_height : float
        Inches. The figure is as much higher as title, legends and note need.
    legends : sequence of Legend
        Drawn above the body, one below the other.
    """

    def __init__(
        self,
        text: FigureText,
        captions: Sequence[str],
        width: float,
        body_height: float,
        legends: Sequence["Legend"] = (),
    ) -> None:
        inner = (width - 2 * MARGIN) / _SLACK
        title = wrap(text.title, inner, TITLE_SIZE, "bold")
        note = wrap("; ".join(captions), inner, SMALL_SIZE) + wrap(text.note, inner, SMALL_SIZE)
        head = len(title) * line_height(TITLE_SIZE) + _GAP if title else 0.0
        foot = len(note) * line_height(SMALL_SIZE) + _GAP if note else 0.0
        legend_height = sum(legend.height for legend in legends)
        body_height += legend_height + (0.12 if legend_height else 0.0)
        self.width, self.body_height = width, body_height
        self.height = body_height + head + foot + 2 * MARGIN
        self._bottom = MARGIN + foot
        self.figure = Figure(figsize=(width, self.height))
        FigureCanvasAgg(self.figure)
        if title:
            self.figure.text(
                MARGIN / width,
                1 - MARGIN / self.height,
                literal_lines(title),
                size=TITLE_SIZE,
                weight="bold",
                va="top",
                gid="title",
            )
        if note:
            self.figure.text(
                MARGIN / width,
                MARGIN / self.height,
                literal_lines(note),
                size=SMALL_SIZE,
                color=GREY,
                va="bottom",
                gid="note",
            )
        top = body_height
        for legend in legends:
            legend.draw(self, MARGIN, top)
            top -= legend.height

    def box(
        self, left: float, bottom: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Turn a box in inches of the body into one in fractions of the figure."""
        return (
            left / self.width,
            (bottom + self._bottom) / self.height,
            width / self.width,
            height / self.height,
        )

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes, placed in inches of the body."""
        return self.figure.add_axes(self.box(left, bottom, width, height))

    def text(
        self,
        x: float,
        y: float,
        lines: str | Sequence[str],
        *,
        size: float = SMALL_SIZE,
        ha: str = "left",
        va: str = "center",
        rotation: float = 0.0,
    ) -> Text:
        """Write literal text of one or several lines, placed in inches of the body."""
        return self.figure.text(
            x / self.width,
            (y + self._bottom) / self.height,
            literal_lines([lines] if isinstance(lines, str) else lines),
            size=size,
            ha=ha,
            va=va,
            rotation=rotation,
        )


def literal_lines(lines: Sequence[str]) -> str:
    """Lines of literal text as one string for matplotlib."""
    return "\n".join(literal(line) for line in lines)


@dataclass(frozen=True)
class AxisNames:
    """Names under a categorical axis, turned as far as they need to be.

    Attributes
    ----------
    names : tuple of str
        As shown: long ones without their middle, some empty if they do not fit even upright.
    rotation : int
        0, 45 or 90 degrees.
    height : float
        Inches below the axis.
    overhang : float
        Inches by which the first name reaches left of its tick.
    """

    names: tuple[str, ...]
    rotation: int
    height: float
    overhang: float

    @classmethod
    def fit(cls, names: Sequence[str], slot: float) -> "AxisNames":
        """Find how to write names at ticks `slot` inches apart."""
        line, tick = line_height(SMALL_SIZE), 0.07
        width = widest(names, SMALL_SIZE) * _SLACK
        if width + 0.06 <= slot:
            return cls(tuple(names), 0, line + tick, text_width(names[0], SMALL_SIZE) / 2)
        short = shorten(names, NAME_LIMIT)
        broken = [in_two_lines(name, slot - 0.06, SMALL_SIZE) for name in short]
        if None not in broken:
            lines = tuple(name or "" for name in broken)
            first = widest(lines[0].split("\n"), SMALL_SIZE)
            return cls(lines, 0, 2 * line + tick, first / 2)
        width = widest(short, SMALL_SIZE) * _SLACK
        if slot >= line * 1.35:
            first = text_width(short[0], SMALL_SIZE)
            return cls(short, 45, (width + line) * 0.71 + tick, (first + line) * 0.71)
        every = int(np.ceil(line * 0.95 / slot))
        thinned = tuple(name if i % every == 0 else "" for i, name in enumerate(short))
        return cls(thinned, 90, width + tick, line / 2)

    def part(self, members: slice) -> "AxisNames":
        """Names of one row of groups, written like all of them."""
        return replace(self, names=self.names[members])

    def draw(self, ax: Axes, positions: Sequence[float] | None = None) -> None:
        """Write the names at positions (0, 1, ... by default) of the x axis."""
        at = list(range(len(self.names))) if positions is None else list(positions)
        ax.set_xticks(at, [literal_lines(name.split("\n")) for name in self.names])
        ax.tick_params(axis="x", pad=2)
        for label in ax.get_xticklabels():
            label.set_fontsize(SMALL_SIZE)
            if self.rotation:
                label.set(rotation=self.rotation, ha="right", rotation_mode="anchor")
                label.set_verticalalignment("center" if self.rotation == 90 else "top")


class Legend:
    """A frameless legend in as many columns as fit a width.

    Parameters
    ----------
    entries : sequence of (artist, str)
        Handles and their literal labels.
    width : float
        Inches to fill at most.
    """

    _HANDLE, _PAD, _COLUMN, _ROW = 2.0, 0.5, 1.4, 0.45  # in font sizes, as matplotlib has them

    def __init__(self, entries: Sequence[tuple[Artist, str]], width: float) -> None:
        names = shorten([name for _, name in entries], 2 * NAME_LIMIT)
        self._entries = [(artist, name) for (artist, _), name in zip(entries, names, strict=True)]
        em = SMALL_SIZE / POINTS_PER_INCH
        entry = widest(names, SMALL_SIZE) * _SLACK + (self._HANDLE + self._PAD) * em
        fitting = int((width + self._COLUMN * em) / (entry + self._COLUMN * em))
        self.columns = max(1, min(len(entries), fitting))
        self.rows = -(-len(entries) // self.columns)
        self.columns = -(-len(entries) // self.rows) if entries else 1
        self.width = self.columns * (entry + self._COLUMN * em) - self._COLUMN * em
        self.height = self.rows * em * (1.0 + self._ROW) + 0.05 if entries else 0.0

    @classmethod
    def stack(cls, groups: Sequence[Sequence[tuple[Artist, str]]], width: float) -> list["Legend"]:
        """Legend of several kinds of entries: in one row if they fit, else a legend a kind."""
        together = cls([entry for group in groups for entry in group], width)
        return [together] if together.rows <= 1 else [cls(group, width) for group in groups]

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the legend's upper left corner, in inches of the page's body."""
        if not self._entries:
            return
        x, y, _, _ = page.box(left, top, 0.0, 0.0)
        page.figure.legend(
            [artist for artist, _ in self._entries],
            [literal(name) for _, name in self._entries],
            loc="upper left",
            bbox_to_anchor=(x, y),
            ncols=self.columns,
            borderpad=0.0,
            borderaxespad=0.0,
            handlelength=self._HANDLE,
            handletextpad=self._PAD,
            columnspacing=self._COLUMN,
            labelspacing=self._ROW,
        )
