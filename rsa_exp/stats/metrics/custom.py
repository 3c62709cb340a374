"""Metrics of the user's own: a function of two condensed RDMs becomes an entry of the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rsa_exp.errors import InputError
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm
from rsa_exp.stats.metrics.registry import METRICS, Metric
from rsa_exp.stats.missing_pairs import group_by_missing
from rsa_exp.vocabulary import METRIC_NAMES

__all__ = ["register_metric"]

Compare = Callable[[FloatArray, FloatArray], float]


def register_metric(
    name: str,
    *,
    label: str | None = None,
    greater_is_better: bool = True,
    zero_is_null: bool = True,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    undefined: str = "the metric is NaN",
    replace: bool = False,
) -> Callable[[Compare], Compare]:
    """Add a metric: decorate a function that compares two condensed RDMs.

    The metric can then be named in `rsa_exp.analyse` and `rsa_exp.similarity`. It costs a whole
    comparison for each bootstrap draw and each permutation, as Kendall's tau does, so these are
    made with ``Inference(resampling=True)`` alone. It has no noise ceiling, as it is not known
    how RDMs are to be pooled for it. It is known in this process alone: the command line's
    ``metric=`` takes the built-in names.

    Parameters
    ----------
    name : str
        What it is called from now on.
    label : str, optional
        What axes and tables call it; else the name.
    greater_is_better : bool
        False for a distance: best layer, tests and permutation turn round.
    zero_is_null : bool
        Whether unrelated RDMs score 0, so that a test against 0 makes sense.
    bounds : tuple of float
        Range of its values.
    undefined : str
        When the function returns NaN, for warnings: ``the RDM is constant``.
    replace : bool
        Whether a metric that was registered under this name before is replaced, as when a
        notebook's cell is run again. Built-in metrics are never replaced.

    Returns
    -------
    callable
        The decorator. The function gets a brain RDM and a model RDM, ndarrays of shape (n_pairs,)
        in float64 without NaN, over the same pairs, which it must not change; pairs that either
        lacks are left out, and in bootstrap draws also pairs of copies of one image. It returns a
        float, NaN where undefined, and is called from several threads at a time.

    Raises
    ------
    InputError
        If the name is taken or empty.

    Examples
    --------
    >>> @register_metric("r2", label="R²", bounds=(0, 1), zero_is_null=False)  # doctest: +SKIP
    ... def squared_correlation(brain, model):
    ...     return np.corrcoef(brain, model)[0, 1] ** 2
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"a metric needs a name, not {name!r:.100}")
    if name in METRIC_NAMES or (name in METRICS and not replace):
        remedy = "" if name in METRIC_NAMES else ", or set replace=True"
        raise InputError(f"there is a metric {name!r} already; choose another name{remedy}")

    def register(function: Compare) -> Compare:
        METRICS[name] = Metric(
            name,
            label or name,
            bounds,
            prepare=lambda rdm, _: rdm,
            compare=_comparer(function),
            greater_is_better=greater_is_better,
            zero_is_null=zero_is_null,
            has_ceiling=False,
            bootstrap="resample",
            undefined=undefined,
        )
        return function

    return register


def _comparer(function: Compare) -> Callable[[Rdm, Sequence[Rdm]], FloatArray]:
    """Return what compares a brain RDM with several models over the pairs that both have."""

    def compare(brain: Rdm, models: Sequence[Rdm]) -> FloatArray:
        scores = np.empty(len(models))
        for missing, indices in group_by_missing(brain, models):
            left = _complete(brain, missing)
            for index in indices:
                scores[index] = float(function(left, _complete(models[index], missing)))
        return scores

    return compare


def _complete(rdm: Rdm, missing: IntArray) -> FloatArray:
    """Return an RDM without some pairs, read-only: it serves several comparisons."""
    values = np.delete(rdm.values, missing) if len(missing) else rdm.values.view()
    values.flags.writeable = False
    return values
