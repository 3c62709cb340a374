"""Numbers in the place of names that there is no room for, and the key to them."""

from collections.abc import Sequence

from rsa_exp.figures.page import MARGIN, Page
from rsa_exp.figures.style import NAME_LIMIT, SMALL_SIZE
from rsa_exp.figures.text import line_height, shorten, widest


class Key:
    """A list of numbered names in columns, read downwards.

    Parameters
    ----------
    names : sequence of str
        Literal names; the first has number 1.
    width : float
        Inches of the page.
    limit : int
        Characters beyond which a name loses its middle.
    """

    def __init__(self, names: Sequence[str], width: float, limit: int = NAME_LIMIT) -> None:
        short = shorten(names, limit)
        self._names = short
        self._numbers = [f"{i}" for i in range(1, len(names) + 1)]
        self._indent = widest(self._numbers, SMALL_SIZE) + 0.06
        needed = self._indent + widest(short, SMALL_SIZE) * 1.04 + 0.2
        columns = max(1, int((width - 2 * MARGIN) / needed))
        self._rows = -(-len(names) // columns)
        self._pitch = (width - 2 * MARGIN) / -(-len(names) // self._rows)
        self.height = self._rows * line_height(SMALL_SIZE) + 0.05

    def draw(self, page: Page, top: float) -> None:
        """Write the list below `top`, inches of the page's body."""
        for i, (number, name) in enumerate(zip(self._numbers, self._names, strict=True)):
            column, row = divmod(i, self._rows)
            x = MARGIN + column * self._pitch + self._indent
            y = top - (row + 0.5) * line_height(SMALL_SIZE)
            page.text(x - 0.06, y, number, ha="right")
            page.text(x, y, name)
