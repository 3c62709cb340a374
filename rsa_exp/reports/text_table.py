"""Tables as lines of text, for terminals and README files."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Lay rows out in columns that are two spaces apart, a line for each.

    A head is the first row. `align` has a letter for each column: ``l`` aligns it on the left,
    ``r`` on the right, as numbers are.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ).rstrip()
        for row in rows
    ]
