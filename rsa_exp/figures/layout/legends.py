"""Legends whose size is known before they are plotted."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import FigureBase
from matplotlib.patches import Patch

from rsa_exp.figures.layout.style import NAME_LIMIT, SMALL_SIZE, layer_colours
from rsa_exp.figures.layout.text import POINTS_PER_INCH, SLACK, literal, shorten, widest

Entry = tuple[Artist, str]
"""Handle of a legend, and its literal label."""


def layer_entries(layers: Sequence[str]) -> list[Entry]:
    """Colour and name of each layer."""
    colours = layer_colours(len(layers))
    return [(Patch(color=colour), layer) for colour, layer in zip(colours, layers, strict=True)]


class Legend:
    """A frameless legend of handles and literal names, in as many columns as fit `width` inches."""

    _HANDLE, _PAD, _COLUMN, _ROW = 2.0, 0.5, 1.4, 0.45  # in font sizes, as matplotlib has them

    def __init__(self, entries: Sequence[Entry], width: float) -> None:
        names = shorten([name for _, name in entries], 2 * NAME_LIMIT)
        self._entries = [(artist, name) for (artist, _), name in zip(entries, names, strict=True)]
        em = SMALL_SIZE / POINTS_PER_INCH
        entry = widest(names, SMALL_SIZE) * SLACK + (self._HANDLE + self._PAD) * em
        fitting = int((width + self._COLUMN * em) / (entry + self._COLUMN * em))
        self.columns = max(1, min(len(entries), fitting))
        self.rows = -(-len(entries) // self.columns)
        self.columns = -(-len(entries) // self.rows) if entries else 1
        self.width = self.columns * (entry + self._COLUMN * em) - self._COLUMN * em
        self.height = self.rows * em * (1.0 + self._ROW) + 0.05 if entries else 0.0

    @classmethod
    def stack(cls, groups: Sequence[Sequence[Entry]], width: float) -> list["Legend"]:
        """Legend of several kinds of entries: in one row if they fit, else a legend a kind."""
        together = cls([entry for group in groups for entry in group], width)
        return [together] if together.rows <= 1 else [cls(group, width) for group in groups]

    def add_to(self, figure: FigureBase, left: float, top: float) -> None:
        """Place the legend's upper left corner, in fractions of a figure."""
        if not self._entries:
            return
        figure.legend(
            [artist for artist, _ in self._entries],
            [literal(name) for _, name in self._entries],
            loc="upper left",
            bbox_to_anchor=(left, top),
            ncols=self.columns,
            borderpad=0.0,
            borderaxespad=0.0,
            handlelength=self._HANDLE,
            handletextpad=self._PAD,
            columnspacing=self._COLUMN,
            labelspacing=self._ROW,
        )
