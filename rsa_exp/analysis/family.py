"""Corrections over all runs of a sweep, where they are declared to be one family of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rsa_exp.analysis.tables import tested
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.uncertainty import false_discovery_rate, permutation_p_value

__all__ = ["correct_over_runs"]


def correct_over_runs(
    tables: Sequence[pd.DataFrame], nulls: Sequence[FloatArray | None]
) -> pd.DataFrame:
    """Join runs' scores and correct their p values over all of them.

    Parameters
    ----------
    tables : sequence of DataFrame
        Score tables, one for each run.
    nulls : sequence of ndarray of shape (n_perm,), or None
        The best score of each permutation in each run. Runs over equally many images share their
        permutations; a maximum over others is one of fewer, independent ones: valid too.

    Returns
    -------
    DataFrame
        All rows; q and n_tests over all, p_fwe over all of one metric, as the maximum of scores of
        different metrics means nothing.
    """
    joined = pd.concat(tables, ignore_index=True)
    p_values = pd.concat([tested(table) for table in tables], ignore_index=True)
    joined["q"], joined["n_tests"] = false_discovery_rate(p_values)
    for name, null in _extremes(tables, nulls).items():
        rows = joined["metric"] == name
        observed = METRICS[name].sign * joined.loc[rows, "score_perm"].to_numpy()
        p = permutation_p_value(observed, null)
        joined.loc[rows, "p_fwe"] = np.where(joined.loc[rows, "p_perm"].notna(), p, np.nan)
    return joined


def _extremes(
    tables: Sequence[pd.DataFrame], nulls: Sequence[FloatArray | None]
) -> Mapping[str, FloatArray]:
    """Largest merit over the runs of each metric, permutation by permutation."""
    found: dict[str, FloatArray] = {}
    for table, null in zip(tables, nulls, strict=True):
        if null is None or not len(null):
            continue
        name = str(table["metric"].iloc[0])
        merit = METRICS[name].sign * null
        if name in found:
            size = min(len(merit), len(found[name]))
            merit = np.maximum(merit[:size], found[name][:size])
        found[name] = merit
    return found
