"""Where things go on a figure: title, note, legends and axes, placed by measured text.

Every size is known before anything is plotted, so nothing overlaps and no layout solver has to
render the figure twice to find out.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.style import (
    DOUBLE_COLUMN,
    GREY,
    SINGLE_COLUMN,
    SMALL_SIZE,
    TITLE_SIZE,
    restyle,
)
from rsa_exp.figures.layout.text import SLACK, line_height, literal_lines, wrap
from rsa_exp.figures.result import FigureText

MARGIN = 0.1  # inches around everything
_GAP = 0.1  # between title, body and note
_BELOW_LEGENDS = 0.12


class Canvas:
    """What a page is laid out on: a figure of its own, or an area of one of the caller's.

    That area is all of `figure`, or the area of `ax`, which becomes the page's first axes. Its
    `size` and the `corner` at its lower left are in inches; of a figure of its own, `figure` is
    None and `size` the most that its width should be, and 0.

    Raises
    ------
    ValueError
        If both are given.
    """

    def __init__(self, ax: Axes | None = None, figure: Figure | SubFigure | None = None) -> None:
        if ax is not None and figure is not None:
            raise ValueError("ax and figure are both given: pass one of them")
        self.ax = ax
        self.figure = ax.figure if ax is not None else figure
        self.size, self.corner = (DOUBLE_COLUMN, 0.0), (0.0, 0.0)
        if self.figure is not None:
            self.size = self.whole
        if ax is not None:
            left, bottom, width, height = ax.get_position().bounds
            self.corner = (left * self.whole[0], bottom * self.whole[1])
            self.size = (width * self.whole[0], height * self.whole[1])

    @property
    def whole(self) -> tuple[float, float]:
        """Inches of the caller's figure."""
        assert self.figure is not None  # noqa: S101 - used with a given figure alone
        box, dpi = self.figure.bbox, self.figure.dpi
        return float(box.width / dpi), float(box.height / dpi)

    @property
    def most(self) -> float:
        """Inches of width that a layout should keep to: the area's, or a journal's two columns."""
        return self.size[0]

    @property
    def least(self) -> float:
        """Inches of width that a layout should have: a journal's column, if the area has it."""
        return min(SINGLE_COLUMN, self.most)


class Page:
    """A figure with a title above and a note below a body that is laid out in inches.

    On an area of the caller's, title, legends and note keep their size and the body is stretched
    or squeezed to the rest of the area; a `rigid` one alike in width and height, which keeps
    circles round. `width` and `body_height` are the inches that the body needs; a figure of its own
    is as much higher as title, note with `captions`, and `legends` need.

    Raises
    ------
    ValueError
        If the area has no room for a body besides title, legends and note.
    """

    def __init__(
        self,
        canvas: Canvas,
        text: FigureText,
        captions: Sequence[str],
        width: float,
        body_height: float,
        legends: Sequence[Legend] = (),
        *,
        rigid: bool = False,
    ) -> None:
        self.body_height = body_height
        inner = ((width if canvas.figure is None else canvas.size[0]) - 2 * MARGIN) / SLACK
        title = wrap(text.title, inner, TITLE_SIZE, "bold")
        note = wrap("; ".join(captions), inner, SMALL_SIZE) + wrap(text.note, inner, SMALL_SIZE)
        head = len(title) * line_height(TITLE_SIZE) + _GAP if title else 0.0
        foot = MARGIN + (len(note) * line_height(SMALL_SIZE) + _GAP if note else 0.0)
        legend_height = sum(legend.height for legend in legends)
        legend_height += _BELOW_LEGENDS if legend_height else 0.0
        around = legend_height + head + foot + MARGIN

        self._ax, self._scale = canvas.ax, (1.0, 1.0)
        left, bottom = canvas.corner
        right = above = 0.0  # what a rigid body leaves of the area
        if canvas.figure is None:
            self._size = (width, body_height + around)
            self.part: Figure | SubFigure = Figure(figsize=self._size)
            FigureCanvasAgg(self.part)
            top = self._size[1]
        else:
            self.part, self._size = canvas.figure, canvas.whole
            top, room = bottom + canvas.size[1], canvas.size[1] - around
            if room <= 0:
                raise ValueError(
                    f"there are {canvas.size[0]:.1f} x {canvas.size[1]:.1f} inches to plot in, "
                    f"title, legends and note alone are {around:.1f} high: make more room"
                )
            self._scale = (canvas.size[0] / width, room / body_height)
            if rigid:
                self._scale = (min(self._scale),) * 2
                right = canvas.size[0] - self._scale[0] * width
                above = room - self._scale[1] * body_height
        self._origin = (left + right / 2, bottom + foot + above)

        if title:
            self._write(left + MARGIN, top - MARGIN, title, TITLE_SIZE, "top", "title").set(
                weight="bold"
            )
        if note:
            self._write(left + MARGIN, bottom + MARGIN, note, SMALL_SIZE, "bottom", "note").set(
                color=GREY
            )
        at = top - MARGIN - head
        for legend in legends:
            legend.add_to(self.part, (left + MARGIN) / self._size[0], at / self._size[1])
            at -= legend.height

    @property
    def figure(self) -> Figure:
        """The whole figure that the page is on."""
        return self.part.figure

    def box(
        self, left: float, bottom: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Turn a box in inches of the body into one in fractions of the figure."""
        x, y = self._scale
        return (
            (self._origin[0] + x * left) / self._size[0],
            (self._origin[1] + y * bottom) / self._size[1],
            x * width / self._size[0],
            y * height / self._size[1],
        )

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes, placed in inches of the body; the caller's, if given, are the first."""
        box = self.box(left, bottom, width, height)
        if self._ax is None:
            return self.part.add_axes(box)
        ax, self._ax = self._ax, None
        restyle(ax)
        ax.set_position(box)
        return ax

    def text(
        self,
        x: float,
        y: float,
        lines: str | Sequence[str],
        *,
        offset: tuple[float, float] = (0.0, 0.0),
        size: float = SMALL_SIZE,
        ha: str = "left",
        va: str = "center",
        rotation: float = 0.0,
    ) -> Text:
        """Write literal text of one or several lines, placed in inches of the body.

        `offset` moves it by inches that stay the same when the body is stretched or squeezed.
        """
        x, y, _, _ = self.box(x + offset[0] / self._scale[0], y + offset[1] / self._scale[1], 0, 0)
        shown = literal_lines([lines] if isinstance(lines, str) else lines)
        return self.part.text(x, y, shown, size=size, ha=ha, va=va, rotation=rotation)

    def _write(
        self, x: float, y: float, lines: Sequence[str], size: float, va: str, gid: str
    ) -> Text:
        """Write title or note, placed in inches of the figure."""
        at = (x / self._size[0], y / self._size[1])
        return self.part.text(*at, literal_lines(lines), size=size, va=va, gid=gid)
