"""Panels: small multiples of the ROIs of one result, in rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.page import Page
from rsa_exp.figures.layout.score_grid import ScoreGrid, need
from rsa_exp.figures.layout.style import GREY, LABEL_SIZE, NAME_LIMIT, SMALL_SIZE
from rsa_exp.figures.layout.text import in_two_lines, line_height, shorten, wrap

_ROW_GAP = 0.1  # inches between a row of panels and the headings of the next


def run_grid(table: pd.DataFrame, columns: Sequence[str] = ()) -> ScoreGrid:
    """Lay the table of one result out as a grid.

    Raises
    ------
    ValueError
        As :meth:`ScoreGrid.of`; if the table lacks one of `columns`; if it has several subjects,
        whose tests are not those of their mean.
    """
    need(table, columns, "score")
    grid = ScoreGrid.of(table)
    if grid.several:
        raise ValueError(
            f"inference is shown of one subject or of the group, the table has subjects "
            f"{', '.join(grid.subjects)}: pass the rows of one of them"
        )
    return grid


def family_caption(table: pd.DataFrame) -> str:
    """Return over how many tests q controls the false discovery rate, empty if that varies."""
    numbers = table.loc[table["q"].notna(), "n_tests"].dropna().unique()
    if len(numbers) != 1:
        return ""
    return f" (FDR over {int(numbers[0]):,} test{'s' if numbers[0] > 1 else ''})"


def arrange(grid: ScoreGrid, most: int) -> tuple[tuple[int, int], ...]:
    """Row and column of each ROI, in at most `most` columns.

    Where every ROI is one hemisphere's part of a region, a column is a region and the right
    hemisphere stands under the left; otherwise ROIs follow the table's order.
    """
    parts = list(zip(grid.regions, grid.hemispheres, strict=True))
    bilateral = set(grid.hemispheres) == {"LH", "RH"} and all(grid.regions)
    if not bilateral or len(set(parts)) < len(parts):
        return in_rows(len(grid.rois), most)
    regions = list(dict.fromkeys(grid.regions))
    columns = _even(len(regions), most)
    positions = []
    for region, side in parts:
        band, column = divmod(regions.index(region), columns)
        positions.append((2 * band + (side == "RH"), column))
    rows = sorted({row for row, _ in positions})
    return tuple((rows.index(row), column) for row, column in positions)


def in_rows(n: int, most: int) -> tuple[tuple[int, int], ...]:
    """Row and column of each of `n` panels, in as few and even rows as `most` columns allow."""
    columns = _even(n, most)
    return tuple(divmod(i, columns) for i in range(n))


def _even(n: int, most: int) -> int:
    """Columns of `n` panels in as few rows as `most` columns need."""
    return -(-n // -(-n // max(most, 1)))


def extent(positions: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Numbers of rows and of columns that panels stand in."""
    rows, columns = zip(*positions, strict=True)
    return 1 + max(rows), 1 + max(columns)


def column_names(
    names: Sequence[str], slot: float, positions: Sequence[tuple[int, int]]
) -> AxisNames:
    """Names under the columns of panels, at ticks `slot` inches apart.

    Where a column ends above the last row, slanted names would reach into the panel beside
    them; they then stand upright.
    """
    fitted = AxisNames.fit(names, slot)
    ends = {column: max(row for row, at in positions if at == column) for _, column in positions}
    if fitted.rotation == 45 and len(set(ends.values())) > 1:
        return AxisNames.fit(names, line_height(SMALL_SIZE))  # too narrow a slot for a slant
    return fitted


def headings(
    names: Sequence[str], width: float, limit: int = NAME_LIMIT
) -> tuple[tuple[str, ...], ...]:
    """Names of panels `width` inches wide, each in as many lines as it needs.

    Names of more than `limit` characters are without their middle.
    """
    lines = []
    for name in shorten(names, limit):
        broken = in_two_lines(name, width, LABEL_SIZE)
        pieces = broken.split("\n") if broken is not None else wrap(name, width, LABEL_SIZE)
        lines.append(tuple(pieces))
    return tuple(lines)


@dataclass(frozen=True)
class RoiPanels:
    """A panel for each ROI (or variant of an analysis), in rows and columns; sizes in inches."""

    positions: tuple[tuple[int, int], ...]  # row and column of each ROI's panel
    headings: tuple[tuple[str, ...], ...]  # lines above each panel
    size: tuple[float, float]  # width and height of a panel's axes
    left: float  # left of the first column's axes
    below: float  # below the last row's axes
    across: float  # between the axes of neighbouring columns
    notes: tuple[str, ...] = ()  # a small line under each panel's heading, or nothing for all
    between: float = _ROW_GAP  # from a row of axes to the headings of the next

    @property
    def right(self) -> float:
        """Inches at which the last column's axes end."""
        _, columns = extent(self.positions)
        return self.left + columns * (self.size[0] + self.across) - self.across

    @property
    def top(self) -> float:
        """Inches at which the first row's axes end."""
        return self._bottom(0) + self.size[1]

    @property
    def body(self) -> float:
        """Inches of all rows with what stands above and below."""
        return self.top + self._heading(0)

    def _bottom(self, row: int) -> float:
        rows, _ = extent(self.positions)
        beneath = range(row + 1, rows)
        return self.below + sum(self.size[1] + self._heading(i) + self.between for i in beneath)

    def _heading(self, row: int) -> float:
        """Inches above the axes of a row for their headings."""
        pairs = zip(self.positions, self.headings, strict=True)
        lines = max(len(heading) for (at, _), heading in pairs if at == row)
        notes = line_height(SMALL_SIZE) if self.notes else 0.0
        return lines * line_height(LABEL_SIZE) + notes + 0.06

    def corner(self, roi: int) -> tuple[float, float]:
        """Lower left corner of an ROI's axes, inches of the page's body."""
        row, column = self.positions[roi]
        return self.left + column * (self.size[0] + self.across), self._bottom(row)

    def axes(self, page: Page, roi: int) -> Axes:
        """Add the axes of an ROI, its heading above."""
        x, y = self.corner(roi)
        ax = page.axes(x, y, *self.size)
        top, above = y + self.size[1], 0.05
        if self.notes:
            page.text(x, top, self.notes[roi], offset=(0, above), va="bottom").set_color(GREY)
            above += line_height(SMALL_SIZE)
        heading = self.headings[roi]
        page.text(x, top, heading, offset=(0, above), size=LABEL_SIZE, va="bottom")
        return ax

    def lowest(self, roi: int) -> bool:
        """Whether no panel stands below that of an ROI, so that it names the column's axis."""
        row, column = self.positions[roi]
        return all(other <= row for other, beside in self.positions if beside == column)

    def first(self, roi: int) -> bool:
        """Whether an ROI's panel names its row's axis: nothing stands left of it.

        Neither a panel, nor the names under a column of panels that ends above.
        """
        row, column = self.positions[roi]
        panel = any(beside == row and other < column for beside, other in self.positions)
        ends = all(beside < row for beside, other in self.positions if other == column - 1)
        return column == 0 or not (panel or ends)
