"""Whether layers and ROIs rank alike under another metric, alignment or choice of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_exp.reports.group_table import as_grid
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.metrics.registry import METRICS, is_best
from rsa_exp.vocabulary import POOLED

__all__ = ["agreement_table"]

# Fewer ROIs than these make no order worth a coefficient.
_FEWEST_ROIS = 3


@dataclass(frozen=True, eq=False)
class _Profile:
    """The scores of one variant in some subjects."""

    model: str
    rois: list[str]
    layers: list[str]
    # (n_roi, n_layer): mean over subjects, greater is better; NaN where one is undefined
    merit: FloatArray

    @classmethod
    def of(cls, rows: pd.DataFrame, subjects: tuple[str, ...]) -> _Profile:
        """Take the scores of some subjects, or of the group or the mean RDM."""
        table = rows[rows["subject"].isin(subjects)]
        rois = list(dict.fromkeys(table["roi"]))
        layers = list(dict.fromkeys(table.sort_values("depth", kind="stable")["layer"]))
        sign = METRICS[str(table["metric"].iloc[0])].sign
        grids = [as_grid(part, "score", rois, layers) for _, part in table.groupby("subject")]
        return cls(str(table["model"].iloc[0]), rois, layers, sign * np.mean(grids, axis=0))

    def at(self, rois: list[str], layers: list[str]) -> FloatArray:
        """Merit of some ROIs and layers."""
        rows = [self.rois.index(roi) for roi in rois]
        columns = [self.layers.index(layer) for layer in layers]
        return self.merit[np.ix_(rows, columns)]

    def best(self, rois: list[str]) -> FloatArray:
        """Merit of the best layer of some ROIs; NaN where none is defined."""
        merit = self.at(rois, self.layers)
        found = np.where(np.isnan(merit), -np.inf, merit).max(axis=1, initial=-np.inf)
        return np.where(np.isneginf(found), np.nan, found)


def agreement_table(kept: pd.DataFrame) -> pd.DataFrame | None:
    """Compare every pair of variants in `kept`, of `group_table.latest`; None with one variant.

    Means over the subjects that both have are compared, else the group, else the mean RDM.

    Returns
    -------
    DataFrame or None
        For each pair two rows. what: ``layers`` or ``ROIs``; variant_a, variant_b; tau: Kendall's
        tau-b, in [-1, 1], for layers that of their profiles, the mean over n ROIs, for ROIs that of
        their best layers' scores; same_best: share of ROIs with the same best layer, or whether
        (1 or 0) the same ROI is best; n: ROIs compared; subjects: those compared, comma-separated,
        else ``group`` or ``joint``. NaN where layers differ, as those of two models do, fewer than
        three ROIs are common, or no subject is.
    """
    parts = {str(name): rows for name, rows in kept.groupby("variant", sort=False)}
    if len(parts) < 2:
        return None
    scored = {name: list(dict.fromkeys(rows["subject"])) for name, rows in parts.items()}

    @cache
    def profile(name: str, subjects: tuple[str, ...]) -> _Profile:
        return _Profile.of(parts[name], subjects)

    rows = []
    for one, other in combinations(parts, 2):
        subjects = _shared(scored[one], scored[other])
        layers = rois = (np.nan, np.nan, 0)
        if subjects:
            a, b = profile(one, subjects), profile(other, subjects)
            common = [roi for roi in a.rois if roi in b.rois]
            layers, rois = _layers(a, b, common), _rois(a, b, common)
        for what, found in (("layers", layers), ("ROIs", rois)):
            rows.append((what, one, other, *found, ",".join(subjects)))
    columns = ["what", "variant_a", "variant_b", "tau", "same_best", "n", "subjects"]
    return pd.DataFrame(rows, columns=columns)


def _shared(a: Iterable[str], b: Iterable[str]) -> tuple[str, ...]:
    """Single subjects that two variants have scores of, else the group or the mean RDM."""
    both = [name for name in a if name in b]
    single = tuple(name for name in both if name not in POOLED)
    return single or tuple(name for name in POOLED if name in both)[:1]


def _layers(a: _Profile, b: _Profile, rois: list[str]) -> tuple[float, float, int]:
    layers = [layer for layer in a.layers if layer in b.layers]
    comparable = a.model == b.model or set(a.layers) == set(b.layers)
    if not comparable or len(layers) < 2 or not rois:
        return np.nan, np.nan, 0
    first, second = a.at(rois, layers), b.at(rois, layers)
    # A layer without a score in one of them is not to be best in the other.
    missing = np.isnan(first) | np.isnan(second)
    first, second = np.where(missing, np.nan, first), np.where(missing, np.nan, second)
    taus = _tau(first, second)
    usable = np.asarray((~missing).sum(axis=1) >= 2)
    if not usable.any():
        return np.nan, np.nan, 0
    same = _best(first[usable]) == _best(second[usable])
    tau = float(taus[np.isfinite(taus)].mean()) if np.isfinite(taus).any() else np.nan
    return tau, float(same.mean()), int(usable.sum())


def _rois(a: _Profile, b: _Profile, rois: list[str]) -> tuple[float, float, int]:
    first, second = a.best(rois)[None], b.best(rois)[None]
    usable = np.isfinite(first[0]) & np.isfinite(second[0])
    n = int(usable.sum())
    if n < _FEWEST_ROIS:
        return np.nan, np.nan, n
    first, second = first[:, usable], second[:, usable]
    same = _best(first) == _best(second)
    return float(_tau(first, second)[0]), float(same[0]), n


def _best(merit: FloatArray) -> NDArray[np.intp]:
    """Index of the best of each row, the first of equals."""
    return np.asarray(is_best(merit).argmax(axis=1))


def _tau(first: FloatArray, second: FloatArray) -> FloatArray:
    """Kendall's tau-b of each row, over what both define; NaN where one of them is constant.

    Equals `scipy.stats.kendalltau`, for all rows at once.
    """
    left, right = np.triu_indices(first.shape[1], 1)
    a = np.sign(first[:, left] - first[:, right])
    b = np.sign(second[:, left] - second[:, right])
    missing = np.isnan(a) | np.isnan(b)
    a, b = np.where(missing, 0.0, a), np.where(missing, 0.0, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)))
