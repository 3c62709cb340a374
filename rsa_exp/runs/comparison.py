"""Comparing two tables of scores cell by cell: identical, within a tolerance, or different."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from rsa_exp.errors import listing
from rsa_exp.vocabulary import CELL_KEYS, NUMBER_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TOLERANCE", "Comparison", "Verdict"]

TOLERANCE = 1e-9
"""Largest difference that another BLAS or processor may make; measured: below 1e-12."""


# Counts on which a score is based.
_COUNTS = ("n_images", "n_pairs", "n_tests")


class Verdict(Enum):
    """Whether numbers were reproduced."""

    IDENTICAL = "identical"
    CLOSE = "within tolerance"
    DIFFERENT = "different"


class Comparison:
    """Two score tables cell by cell.

    Parameters
    ----------
    old, new : DataFrame
        Tables with the columns subject, roi, layer, metric and score. Of the other numbers of a
        run (intervals, p values, ceilings), the columns are compared that both have.

    Attributes
    ----------
    n_cells : int
        Cells of the old table.
    n_missing : int
        Cells that only one of the tables has.
    n_different : int
        Cells of both whose scores differ in any bit; NaN equals NaN.
    largest : float
        Largest absolute difference of a score; NaN when one became defined or undefined.
    where : str
        Its subject, ROI and layer.
    others : dict of str to float
        Other columns in which any cell differs, and the largest difference there.
    """

    def __init__(self, old: pd.DataFrame, new: pd.DataFrame) -> None:
        names = [name for name in (*NUMBER_COLUMNS, *_COUNTS) if name in old and name in new]
        old, new = (table[[*CELL_KEYS, *names]] for table in (old, new))
        both = old.merge(
            new, on=list(CELL_KEYS), how="outer", suffixes=("_old", "_new"), indicator=True
        )
        self.n_cells = len(old)
        self.n_missing = int((both["_merge"] != "both").sum())
        both = both[both["_merge"] == "both"]
        size = _difference(both, "score")
        self.n_different = int((size != 0).sum())
        self.largest, self.where = 0.0, ""
        if self.n_different:
            worst = both.loc[size.isna().idxmax() if size.isna().any() else size.idxmax()]
            self.largest = float(size[worst.name])
            self.where = f"subject {worst['subject']}, {worst['roi']} x {worst['layer']}"
        sizes = {name: _difference(both, name) for name in names if name != "score"}
        self.others = {
            name: float("nan") if size.isna().any() else float(size.max())
            for name, size in sizes.items()
            if (size != 0).any()
        }

    @property
    def verdict(self) -> Verdict:
        """Whether all scores, and all other numbers, were reproduced."""
        if not (self.n_missing or self.n_different or self.others):
            return Verdict.IDENTICAL
        close = [size <= TOLERANCE for size in (self.largest, *self.others.values())]
        return Verdict.CLOSE if all(close) and not self.n_missing else Verdict.DIFFERENT

    def __str__(self) -> str:
        """Describe it in one line."""
        if self.verdict is Verdict.IDENTICAL:
            return f"identical: all {self.n_cells} scores to the last bit"
        parts = []
        if self.n_different:
            parts.append(
                f"{self.n_different} of {self.n_cells} scores differ, the most by "
                f"{self.largest:.3g} ({self.where})"
            )
        if self.n_missing:
            parts.append(f"{self.n_missing} scores are in only one of the two runs")
        if self.others:
            sizes = [f"{name} by {size:.3g}" for name, size in self.others.items()]
            parts.append(f"also different: {listing(sizes, 20)}")
        within = " (1e-9)" if self.verdict is Verdict.CLOSE else ""
        return f"{self.verdict.value}{within}: {'; '.join(parts)}"


def _difference(both: pd.DataFrame, name: str) -> pd.Series[float]:
    """Absolute difference of a column of a merged table; NaN and NaN are no difference."""
    before, after = both[f"{name}_old"], both[f"{name}_new"]
    size = (before - after).abs()
    same = (before == after) | (before.isna() & after.isna())  # infinities, too
    return size.where(~same, np.float64(0.0))
