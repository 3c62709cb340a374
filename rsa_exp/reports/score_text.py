"""The scores of one run as lines of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rsa_exp.reports.text_table import text_table

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.stats.metrics.registry import Metric

__all__ = ["score_text"]


def score_text(
    scores: pd.DataFrame, best_layers: pd.DataFrame | None, metric: Metric, width: int
) -> str:
    """Lay out the scores of one run: ROIs down, layers across, ``*`` at each ROI's best layer.

    Layers are down where they do not fit across `width` characters, and where neither fits only
    each ROI's best layer is named. `scores` has the columns roi, layer, depth, score, ceiling_low
    and ceiling_high of one subject and metric; `best_layers` has how often the best layer is best
    in bootstrap draws.
    """
    table = scores.pivot_table(
        index="roi", columns="layer", values="score", dropna=False, sort=False
    )  # fmt: skip
    rois, layers = [str(roi) for roi in table.index], [str(layer) for layer in table.columns]
    values = table.to_numpy()
    best = metric.is_best(values)
    # Each cell ends in the sign of the best layer or a space, so that numbers are aligned.
    columns = {
        layer: [
            "- " if math.isnan(value) else f"{value:.3f}{'*' if marked else ' '}"
            for value, marked in zip(values[:, j], best[:, j], strict=True)
        ]
        for j, layer in enumerate(layers)
    }
    for name, found in _further_columns(scores, best_layers).items():
        if found:
            columns[name] = [f"{found.get(roi, '-')} " for roi in rois]
    across = [["", *(f"{name} " for name in columns)]]
    across += [[roi, *cells] for roi, *cells in zip(rois, *columns.values(), strict=True)]
    down = [["", *(f"{roi} " for roi in rois)]]
    down += [[name, *cells] for name, cells in columns.items()]
    for cells in (across, down):
        lines = text_table(cells, "l" + "r" * (len(cells[0]) - 1))
        if max(map(len, lines)) <= width:
            return "\n".join(lines)
    return "\n".join(_best_alone(rois, layers, values, metric))


def _best_alone(rois: list[str], layers: list[str], values: Any, metric: Metric) -> list[str]:
    """Name each ROI's best layer, where a table does not fit."""
    lines = []
    for roi, row in zip(rois, values, strict=True):
        at = metric.best(row)
        lines.append([roi, "undefined" if at is None else f"best {layers[at]} {row[at]:.3f}"])
    return text_table(lines, "ll")


def _further_columns(
    scores: pd.DataFrame, best_layers: pd.DataFrame | None
) -> dict[str, dict[str, str]]:
    """Noise ceilings by ROI, and in how many draws the best layer is best."""
    known = scores.dropna(subset=["ceiling_low", "ceiling_high"]).drop_duplicates("roi")
    ceilings = {
        row.roi: f"{row.ceiling_low:.3f} to {row.ceiling_high:.3f}" for row in known.itertuples()
    }
    shares = {}
    if best_layers is not None:
        chosen = best_layers[best_layers["best"] & best_layers["boot_frequency"].notna()]
        shares = {row.roi: f"{row.boot_frequency:.0%}" for row in chosen.itertuples()}
    return {"ceiling": ceilings, "* in draws": shares}
