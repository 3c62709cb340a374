"""How many of a run's scores pass their tests, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsa_exp.vocabulary import ALPHA

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["count_significant"]


def count_significant(scores: pd.DataFrame) -> str:
    """Count in one line the scores of ``scores.csv`` that pass each test; empty if none was made.

    Runs of one kind of bootstrap may be joined.
    """
    parts = []
    tested = scores["q"].notna()
    if tested.any():
        passed, total = int((scores["q"] < ALPHA).sum()), int(tested.sum())
        what = "are better than permuted images"
        if scores["p_zero"].notna().any():
            method = next(text for text in scores["ci_method"] if text).split(",")[0]
            what = f"are above 0 (one-sided t test, {method})"
        parts.append(f"{passed} of {total} scores {what} at q < {ALPHA}")
    permuted = scores["p_fwe"].notna()
    if permuted.any():
        passed = int((scores["p_fwe"] < ALPHA).sum())
        parts.append(
            f"{passed} of {int(permuted.sum())} are better than the best of permuted images at "
            f"p_fwe < {ALPHA}"
        )
    return "; ".join(parts)
