"""Text on a figure: names made safe and short, lines measured and broken."""

from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

FONT_FAMILY = "DejaVu Sans"  # comes with matplotlib: the same layout on every machine
POINTS_PER_INCH = 72.0
LINE_HEIGHT = 1.3  # in font sizes
SLACK = 1.04  # hinted text may be a little wider than its measured outline

_GLYPHS = TextToPath()


def literal(name: str) -> str:
    r"""Return `name` as matplotlib has to be given it to show it as it is.

    A dollar sign would start mathtext, so it is escaped.
    """
    return printable(name).replace("$", r"\$")


def literal_lines(lines: Sequence[str]) -> str:
    """Lines of literal text as one string for matplotlib."""
    return "\n".join(literal(line) for line in lines)


def printable(name: str) -> str:
    """Replace line breaks and control characters (which an SVG may not contain) by spaces."""
    return "".join(c if c.isprintable() else " " for c in name)


def shorten(names: Sequence[str], limit: int) -> tuple[str, ...]:
    """Cut the middle out of names longer than `limit` characters, keeping them distinct.

    The middle goes because ROI and layer names tend to differ at either end (hemisphere first,
    area last). Where two names would become one, more is kept of all of them.
    """
    for length in range(limit, max(map(len, names), default=limit) + 1):
        short = tuple(_without_middle(name, length) for name in names)
        if len(set(short)) == len(set(names)):
            return short
    return tuple(names)


def _without_middle(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    tail = (limit - 1) // 2
    return f"{name[: limit - 1 - tail]}…{name[len(name) - tail :]}"


def fit_width(name: str, width: float, size: float) -> str:
    """Cut the middle out of a name until it is at most `width` inches wide."""
    limit = len(name)
    while limit > 3 and text_width(_without_middle(name, limit), size) > width:
        limit -= 1
    return _without_middle(name, limit)


def in_two_lines(name: str, width: float, size: float) -> str | None:
    """Break a name in two so that it fits a width in inches; None if it does not.

    It breaks after ``_ - . /`` or a space or before a capital, as near its middle as it can.
    """
    if text_width(name, size) <= width:
        return name
    middle = len(name) / 2
    for i in sorted(range(1, len(name)), key=lambda i: abs(i - middle)):
        natural = name[i - 1] in "_-./ " or (name[i].isupper() and name[i - 1].islower())
        if natural and max(text_width(name[:i], size), text_width(name[i:], size)) <= width:
            return f"{name[:i]}\n{name[i:]}"
    return None


@lru_cache(maxsize=4096)
def text_width(line: str, size: float, weight: str = "normal") -> float:
    """Width in inches of one line of literal text set at `size` points."""
    font = FontProperties(family=FONT_FAMILY, size=size, weight=weight)
    width, _, _ = _GLYPHS.get_text_width_height_descent(printable(line), font, False)
    return float(width) / POINTS_PER_INCH


def widest(lines: Sequence[str], size: float) -> float:
    """Width in inches of the widest of the lines, 0 if there are none."""
    return max((text_width(line, size) for line in lines), default=0.0)


def line_height(size: float) -> float:
    """Height in inches of a line of text set at `size` points."""
    return LINE_HEIGHT * size / POINTS_PER_INCH


def wrap(paragraph: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break a paragraph into lines at most `width` inches wide.

    A word wider than a line is broken between characters: a path in a note must not run off
    the page.
    """
    lines: list[str] = []
    for word in paragraph.split():
        if lines and text_width(f"{lines[-1]} {word}", size, weight) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.extend(_pieces(word, width, size, weight))
    return lines


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    pieces = [""]
    for character in word:
        if pieces[-1] and text_width(pieces[-1] + character, size, weight) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces
