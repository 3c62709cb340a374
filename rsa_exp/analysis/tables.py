"""From draws to tables: how far scores, their differences and noise ceilings can be trusted."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_exp.analysis.draws import Drawn
from rsa_exp.analysis.permutation import Permuted
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.uncertainty import Sampling, false_discovery_rate, permutation_p_value, t_test
from rsa_exp.vocabulary import INFERENCE_COLUMNS

__all__ = [
    "best_layer_table", "ceiling_table", "comparison_table", "extreme_scores",
    "member_table", "score_table", "tested",
]  # fmt: skip

# Values of columns where nothing was inferred, if not NaN.
_EMPTY = {"ci_method": "", "n_tests": 0}


def score_table(
    scores: pd.DataFrame, drawn: Drawn | None, permuted: Permuted | None, metric: Metric
) -> pd.DataFrame:
    """Add what inference found, in `rsa_exp.vocabulary.INFERENCE_COLUMNS`, to a copy of scores.

    Scores have one row per ROI x layer, layers fastest.
    """
    table = _with_columns(scores)
    estimate = _grid(scores)
    if drawn is not None:
        sampling = drawn.sampling
        if sampling is not None:
            _enter_spread(table, estimate, drawn.scores, sampling)
            se = _grid(table, "se")
            if metric.zero_is_null:
                _enter(table, "p_zero", t_test(estimate, se, sampling.dof, "greater"))
            below_ceiling = estimate - drawn.full_ceilings[:, :1]
            draws = drawn.scores - drawn.ceilings[:, :, :1]
            # A ceiling that was not drawn is taken for known.
            known = not np.isfinite(draws).any()
            spread = se if known else np.sqrt(sampling.variance(draws))
            _enter(table, "p_ceiling", t_test(below_ceiling, spread, sampling.dof, "both"))
        _enter_ceilings(table, drawn.full_ceilings)
        _enter(table, "se_jackknife", drawn.jackknife)
    if permuted is not None:
        observed, null = metric.sign * permuted.observed, metric.sign * permuted.scores
        _enter(table, "score_perm", permuted.observed)
        _enter(table, "p_perm", permutation_p_value(observed, null))
        largest = metric.sign * extreme_scores(permuted, metric)
        _enter(table, "p_fwe", permutation_p_value(observed, largest))
    table["q"], table["n_tests"] = false_discovery_rate(tested(table))
    return table


def tested(scores: pd.DataFrame) -> pd.Series:
    """P values that q corrects: those against 0, or of its permutation test if it has none.

    One kind for all scores of a table: a table must not mix tests.
    """
    return scores["p_zero"] if scores["p_zero"].notna().any() else scores["p_perm"]


def member_table(scores: pd.DataFrame, drawn: Drawn | None, member: int) -> pd.DataFrame:
    """Add intervals over images, and noise ceilings, to one subject's scores of a group run."""
    table = _with_columns(scores)
    if drawn is not None:
        draws = drawn.member_scores[member][None]
        if draws.shape[-1] and drawn.sampling is not None:
            sampling = drawn.sampling
            kind = sampling.kind if sampling.kind == "jackknife" else "images"
            images = Sampling(kind, sampling.n_images, 1, sampling.level)
            _enter_spread(table, _grid(scores), draws, images)
        _enter_ceilings(table, drawn.member_ceilings[member])
    return table


def extreme_scores(permuted: Permuted, metric: Metric) -> FloatArray:
    """Return the best score over ROIs and layers of each permutation, shape (n_perm,)."""
    merit = np.where(np.isfinite(permuted.scores), metric.sign * permuted.scores, -np.inf)
    return np.asarray(metric.sign * merit.max(axis=(0, 1)))


def comparison_table(scores: pd.DataFrame, drawn: Drawn) -> pd.DataFrame | None:
    """Compare layers within each ROI and ROIs within each layer, from the same draws.

    Returns
    -------
    DataFrame or None
        One row per pair: kind (``layers`` or ``rois``), within (the ROI or the layer that they
        share), a, b, difference (a less b), its standard error, interval and two-sided p, and q
        over all pairs of the kind; None without a bootstrap, or with nothing to compare.
    """
    sampling = drawn.sampling
    rois, layers = _names(scores, "roi"), _names(scores, "layer")
    if sampling is None or max(len(rois), len(layers)) < 2:
        return None
    estimate = _grid(scores)
    tables = []
    for kind, within, names in (("layers", rois, layers), ("rois", layers, rois)):
        values = estimate if kind == "layers" else estimate.T
        draws = drawn.scores if kind == "layers" else drawn.scores.swapaxes(1, 2)
        rows = []
        for index, shared in enumerate(within):
            pairs = list(combinations(range(len(names)), 2))
            if not pairs:
                continue
            a, b = np.array(pairs).T
            difference = values[index, a] - values[index, b]
            spread = sampling.spread(difference, draws[:, index, a] - draws[:, index, b])
            p = t_test(difference, spread.se, sampling.dof, "both")
            rows.append(
                pd.DataFrame(
                    {
                        "kind": kind,
                        "within": shared,
                        "a": [names[i] for i in a],
                        "b": [names[i] for i in b],
                        "difference": difference,
                        "se": spread.se,
                        "ci_low": spread.low,
                        "ci_high": spread.high,
                        "ci_method": np.where(np.isfinite(spread.se), sampling.method, ""),
                        "p": p,
                    }
                )
            )
        if rows:
            table = pd.concat(rows, ignore_index=True)
            table["q"], table["n_tests"] = false_discovery_rate(table["p"])
            tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    for index, name in enumerate(("study", "subject", "model", "metric")):
        whole.insert(index, name, scores[name].iloc[0])
    return whole


def ceiling_table(scores: pd.DataFrame, drawn: Drawn) -> pd.DataFrame | None:
    """Noise ceilings of each ROI, with their standard errors and intervals where they were drawn.

    Returns
    -------
    DataFrame or None
        One row per ROI; None where no ceiling is defined.
    """
    if not np.isfinite(drawn.full_ceilings).any():
        return None
    facts = ["study", "subject", "roi", "hemisphere", "region", "level", "metric"]
    table = scores[facts].drop_duplicates("roi").reset_index(drop=True)
    spread = None
    if drawn.sampling is not None and np.isfinite(drawn.ceilings).any():
        spread = drawn.sampling.spread(drawn.full_ceilings, drawn.ceilings)
    for bound, name in enumerate(("ceiling_low", "ceiling_high")):
        table[name] = drawn.full_ceilings[:, bound]
        for suffix, column in (("se", "se"), ("ci_low", "low"), ("ci_high", "high")):
            values = np.nan if spread is None else getattr(spread, column)[:, bound]
            table[f"{name}_{suffix}"] = values
    table["ci_method"] = "" if spread is None or drawn.sampling is None else drawn.sampling.method
    return table


def best_layer_table(scores: pd.DataFrame, drawn: Drawn, metric: Metric) -> pd.DataFrame | None:
    """How often each layer is the best one, in bootstrap draws and in split halves.

    Returns
    -------
    DataFrame or None
        One row per ROI x layer: whether the layer is best; the share of draws, and of halves of the
        images, in which it is; and for each ROI the mean score on one half of the layer chosen on
        the other, and the share of splits whose halves choose the same layer. None where neither
        was drawn, or with a single layer.
    """
    if len(_names(scores, "layer")) < 2:
        return None
    # Leaving out one image changes too little to tell how often a layer would be the best.
    drawn_anew = drawn.sampling is not None and drawn.sampling.kind != "jackknife"
    draws = drawn.scores[0] if drawn_anew else np.empty((*drawn.jackknife.shape, 0))
    if not (np.isfinite(draws).any() or np.isfinite(drawn.halves).any()):
        return None
    facts = ["study", "subject", "roi", "model", "layer", "depth", "metric", "score"]
    table = scores[facts].reset_index(drop=True)
    best = _shares(_grid(scores)[:, :, None], metric)
    table["best"] = (best > 0).ravel()
    table["boot_frequency"] = _shares(draws, metric).ravel()
    both = np.concatenate(list(drawn.halves), axis=-1)
    table["split_frequency"] = _shares(both, metric).ravel()
    n_layer = len(_names(scores, "layer"))
    held_out, agreement = _held_out(drawn.halves, metric)
    table["heldout_score"] = np.repeat(held_out, n_layer)
    table["split_agreement"] = np.repeat(agreement, n_layer)
    return table


def _shares(scores: FloatArray, metric: Metric) -> FloatArray:
    """Share of columns in which each layer of an ROI is best, of shape (n_roi, n_layer).

    Layers that are equally good share a column. Columns without any score are left out; NaN where
    that is all of them.
    """
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(scores).any(axis=1))
    hits = metric.is_best(scores, axis=1) & usable[:, None]
    with np.errstate(invalid="ignore"):
        share = (hits / np.maximum(hits.sum(axis=1, keepdims=True), 1)).sum(axis=2)
        return np.asarray(share / usable.sum(axis=1)[:, None])


def _held_out(halves: FloatArray, metric: Metric) -> tuple[FloatArray, FloatArray]:
    """Mean score of the layer that the other half chooses, and how often both choose the same."""
    n_roi = halves.shape[1]
    held_out, agreement = np.full(n_roi, np.nan), np.full(n_roi, np.nan)
    for roi in range(n_roi):
        # A layer that is undefined on either half is not to be chosen.
        both: FloatArray = halves[:, roi] + 0 * halves[::-1, roi]
        usable = np.isfinite(both[0]).any(axis=0)
        if usable.any():
            first, second = both[0][:, usable], both[1][:, usable]
            split = np.arange(first.shape[1])
            a, b = (metric.is_best(half, axis=0).argmax(axis=0) for half in (first, second))
            held_out[roi] = (second[a, split].mean() + first[b, split].mean()) / 2
            agreement[roi] = (a == b).mean()
    return held_out, agreement


def _with_columns(scores: pd.DataFrame) -> pd.DataFrame:
    empty = {name: _EMPTY.get(name, np.nan) for name in INFERENCE_COLUMNS}
    return scores.assign(**empty)


def _names(scores: pd.DataFrame, column: str) -> list[str]:
    return list(dict.fromkeys(scores[column]))


def _grid(scores: pd.DataFrame, column: str = "score") -> FloatArray:
    """Return a column as an array of shape (n_roi, n_layer)."""
    values = scores[column].to_numpy(dtype=float)
    return np.asarray(values.reshape(len(_names(scores, "roi")), -1))


def _enter(table: pd.DataFrame, name: str, values: FloatArray) -> None:
    table[name] = values.ravel()


def _enter_spread(
    table: pd.DataFrame, estimate: FloatArray, draws: FloatArray, sampling: Sampling
) -> None:
    spread = sampling.spread(estimate, draws)
    _enter(table, "se", spread.se)
    _enter(table, "ci_low", spread.low)
    _enter(table, "ci_high", spread.high)
    table["ci_method"] = np.where(np.isfinite(spread.se).ravel(), sampling.method, "")


def _enter_ceilings(table: pd.DataFrame, ceilings: FloatArray) -> None:
    n_layer = len(_names(table, "layer"))
    table["ceiling_low"] = np.repeat(ceilings[:, 0], n_layer)
    table["ceiling_high"] = np.repeat(ceilings[:, 1], n_layer)
