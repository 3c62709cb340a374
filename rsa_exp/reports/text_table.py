"""Tables as lines of text, for terminals and README files."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Lay rows out in columns that are two spaces apart.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells, as many in every row; a head is the first row.
    align : str
        A letter for each column: ``l`` aligns it on the left, ``r`` on the right, as numbers are.

    Returns
    -------
    list of str
        A line for each row, without spaces at its end.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ).rstrip()
        for row in rows
    ]
