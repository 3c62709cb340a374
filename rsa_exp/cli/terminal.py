"""Scores of a run as text."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "score_table",
]


def score_table(
    scores: pd.DataFrame, best_layers: pd.DataFrame | None = None, *, greater_is_better: bool
) -> str:
    """Scores of one run as text: ROIs down, layers across, ``*`` at each ROI's best layer.

    Parameters
    ----------
    scores : DataFrame
        Columns roi, layer, depth, score, ceiling_low and ceiling_high of one subject and metric.
    best_layers : DataFrame or None
        How often the best layer is best, in bootstrap draws.
    greater_is_better : bool
        Which layer is best.

    Returns
    -------
    str
        Lines; layers down where they do not fit across, and where neither fits the terminal only
        each ROI's best layer.
    """
    rois, layers = list(dict.fromkeys(scores["roi"])), list(dict.fromkeys(scores["layer"]))
    values = {(row.roi, row.layer): row.score for row in scores.itertuples()}
    best = {roi: _best(roi, layers, values, greater_is_better) for roi in rois}
    cells = {
        (roi, layer): ("-" if math.isnan(value) else f"{value:.3f}")
        + ("*" if best[roi] == layer else " ")
        for (roi, layer), value in values.items()
    }
    columns = list(layers)
    for name, texts in _sureness(scores, best_layers).items():
        if texts:
            columns.append(name)
            cells |= {(roi, name): texts.get(roi, "-") + " " for roi in rois}
    across = _grid(rois, columns, [[cells[roi, name] for name in columns] for roi in rois])
    down = _grid(columns, rois, [[cells[roi, name] for roi in rois] for name in columns])
    width = shutil.get_terminal_size((100, 24)).columns
    for lines in (across, down):
        if max(len(line) for line in lines) <= width:
            return "\n".join(lines)
    first = max(len(roi) for roi in rois)
    return "\n".join(
        f"{roi:<{first}}  best {layer} {values[roi, layer]:.3f}" if layer else f"{roi}  undefined"
        for roi, layer in best.items()
    )


def _sureness(scores: pd.DataFrame, best_layers: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Columns beside the scores: noise ceilings, and in how many draws the best layer is best."""
    known = scores.dropna(subset=["ceiling_low", "ceiling_high"]).drop_duplicates("roi")
    ceilings = {
        row.roi: f"{row.ceiling_low:.3f} to {row.ceiling_high:.3f}" for row in known.itertuples()
    }
    shares = {}
    if best_layers is not None:
        chosen = best_layers[best_layers["best"] & best_layers["boot_frequency"].notna()]
        shares = {row.roi: f"{row.boot_frequency:.0%}" for row in chosen.itertuples()}
    return {"ceiling": ceilings, "* in draws": shares}


def _best(
    roi: str,
    layers: list[str],
    values: dict[tuple[str, str], float],
    greater_is_better: bool,
) -> str | None:
    """Return the best layer of an ROI; None when no score is defined."""
    defined = [layer for layer in layers if not math.isnan(values[roi, layer])]
    choose = max if greater_is_better else min
    return choose(defined, key=lambda layer: values[roi, layer]) if defined else None


def _grid(rows: list[str], columns: list[str], cells: list[list[str]]) -> list[str]:
    """Lines of a table with row and column names, numbers aligned on the right."""
    first = max(len(row) for row in rows)
    widths = [
        max(len(column) + 1, *(len(line[j]) for line in cells)) for j, column in enumerate(columns)
    ]
    head = "".join(
        f"  {column + ' ':>{width}}" for column, width in zip(columns, widths, strict=True)
    )
    lines = [" " * first + head]
    for row, line in zip(rows, cells, strict=True):
        text = "".join(f"  {cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        lines.append(f"{row:<{first}}{text}")
    return [line.rstrip() for line in lines]
