"""Formatting numbers: equally many decimals in a table, true minus signs."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["decimals", "duration", "number", "percent"]


def decimals(values: Iterable[float]) -> int:
    """Decimals that show the largest of some scores with two digits; at least three.

    Fewer for numbers above ten, whose thousandths mean nothing.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0.0:
        return 3
    magnitude = math.floor(math.log10(largest))
    return max(0, 3 - magnitude) if magnitude >= 1 else max(3, 1 - magnitude)


def number(value: float, places: int) -> str:
    """Return a number with a true minus sign; a dash where it is undefined."""
    return f"{value:.{places}f}".replace("-", "−") if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """Return a share as whole percent; a dash where it is undefined."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else "–"


def duration(seconds: float) -> str:
    """Return a time as ``0.8 s``, ``42 s``, ``3.5 min`` or ``2.0 h``; empty where unknown."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
