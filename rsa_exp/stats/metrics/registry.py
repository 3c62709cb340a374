"""The similarity metrics: what each is, how it is computed, how its results are to be read.

Each metric has two stages, so that work on one RDM is done once however many RDMs it is compared
with: `prepare` takes one RDM, `compare` a prepared brain RDM and prepared model RDMs. Names and
values are rsatoolbox's (`rsatoolbox.rdm.compare`).

References
----------
Kriegeskorte, Mur & Bandettini 2008, Front. Syst. Neurosci. 2:4 (RSA). Nili et al. 2014, PLoS
Comput. Biol. 10:e1003553 (Kendall's tau-a). Knight 1966, JASA 61:436 (tau in O(P log P)).
Diedrichsen et al. 2021, Neurons Behav. Data Anal. Theory (whitened metrics). Schuett et al. 2023,
eLife 12:e82566 (rho-a). Shahbazi et al. 2021, NeuroImage 239:118271 (Riemannian distance). Harvey
et al. 2024, UniReps (Bures).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from rsa_exp.errors import InputError, check_choice, listing
from rsa_exp.stats.condensed import BoolArray, FloatArray, Rdm
from rsa_exp.stats.metrics import inner_products as linear
from rsa_exp.stats.metrics import matrices as matrix
from rsa_exp.stats.metrics import ranks

__all__ = ["METRICS", "PRECISIONS", "Metric", "find_metric", "is_best"]

# Scores that differ by less are equal.
_EQUAL = 1e-12

PRECISIONS: dict[str, type] = {"float64": np.float64, "float32": np.float32}


def is_best(scores: ArrayLike, *, greater_is_better: bool = True, axis: int = -1) -> BoolArray:
    """Mark the best scores along an axis: the one rule for which score is best, and for ties.

    Scores that differ by less than 1e-12 are equal, as they may have been summed in another order.
    Where one of several equals has to be named, it is the first.

    Parameters
    ----------
    scores : array_like
        NaN is undefined, and never best.
    greater_is_better : bool
        False for a distance.
    axis : int
        Along which scores compete.

    Returns
    -------
    ndarray of bool
        Of the shape of `scores`: True for the best and all that equal it.
    """
    values = np.asarray(scores, dtype=float)
    merit = np.where(np.isnan(values), -np.inf, values if greater_is_better else -values)
    best = merit.max(axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray((merit >= best - _EQUAL) & ~np.isnan(values))


@dataclass(frozen=True)
class Metric:
    """A similarity metric and what its users must know about it.

    Attributes
    ----------
    name : str
        rsatoolbox's name.
    label : str
        How an axis or a table names it.
    bounds : tuple of float
        Range of its values.
    prepare : callable
        An `Rdm`, whose values it may overwrite, and the type to keep, to what `compare` takes.
    compare : callable
        A prepared brain RDM and prepared model RDMs to an array (n_layer,); NaN where undefined.
        A score depends on its two RDMs alone, to the last bit.
    greater_is_better : bool
        False for a distance: best layer, tests and permutation turn round.
    zero_is_null : bool
        Whether 0 is the value of unrelated RDMs, so that a test against 0 makes sense.
    has_ceiling : bool
        Whether a noise ceiling is defined (a way to pool subjects' RDMs is known).
    centred, whitened : bool
        For inner products, whether means are subtracted, and whether pairs are decorrelated.
    missing : {'pairs', 'images'}
        What is left out where an entry is NaN: that pair, or enough images to be rid of it.
    bootstrap : {'weights', 'ranks', 'resample', 'none'}
        What a bootstrap draw costs: a matrix product, a cumulative sum over sorted pairs, or the
        whole comparison again; or that a draw, which contains images more than once, has no score.
    single_precision : bool
        Whether float32 is safe (its error is below 1e-6; see `tests/stats`).
    max_images : int or None
        Above this the metric cannot be computed.
    undefined : str
        When a score is NaN.
    """

    name: str
    label: str
    bounds: tuple[float, float]
    prepare: Callable[[Rdm, type], Any]
    compare: Callable[[Any, Sequence[Any]], FloatArray]
    greater_is_better: bool = True
    zero_is_null: bool = True
    has_ceiling: bool = True
    missing: Literal["pairs", "images"] = "pairs"
    centred: bool = False
    whitened: bool = False
    bootstrap: Literal["weights", "ranks", "resample", "none"] = "weights"
    single_precision: bool = False
    max_images: int | None = None
    undefined: str = "the RDM is constant"

    @property
    def sign(self) -> float:
        """What makes greater mean better: -1 for a distance, else 1."""
        return 1.0 if self.greater_is_better else -1.0

    def is_best(self, scores: ArrayLike, axis: int = -1) -> BoolArray:
        """Mark the best scores along an axis, as `is_best` does."""
        return is_best(scores, greater_is_better=self.greater_is_better, axis=axis)

    def best(self, scores: ArrayLike) -> int | None:
        """Position of the best of several scores, the first of equals; None if none is defined."""
        marked = self.is_best(scores)
        return int(marked.argmax()) if marked.any() else None

    @property
    def has_unit(self) -> bool:
        """Whether scores are inner products of vectors, one made of each complete RDM."""
        return self.bootstrap in {"weights", "ranks"}


def _inner_product(name: str, label: str, *, centred: bool, whitened: bool) -> Metric:
    def prepare(rdm: Rdm, dtype: type) -> linear.Vector:
        return linear.prepare_vector(rdm, dtype, centred=centred, whitened=whitened)

    return Metric(
        name,
        label,
        _CORRELATION,
        prepare,
        linear.compare_vectors,
        zero_is_null=centred,
        centred=centred,
        whitened=whitened,
        single_precision=True,
        undefined="the RDM is constant" if centred else _ZERO,
    )


_CORRELATION = (-1.0, 1.0)
_ZERO = "the RDM is all zero"
_ranked = partial(Metric, bounds=_CORRELATION, prepare=lambda rdm, _: ranks.prepare_ranks(rdm))
_of_matrices = partial(
    Metric,
    prepare=lambda rdm, _: matrix.prepare_bures(rdm),
    zero_is_null=False,
    has_ceiling=False,
    missing="images",
    bootstrap="resample",
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _inner_product("corr", "Pearson r", centred=True, whitened=False),
        _inner_product("cosine", "cosine similarity", centred=False, whitened=False),
        _ranked("spearman", "Spearman ρ", compare=ranks.compare_spearman, bootstrap="ranks"),
        _ranked("rho-a", "ρ-a", compare=ranks.compare_rho_a, bootstrap="ranks"),
        _ranked("tau-a", "Kendall τ-a", compare=ranks.compare_tau_a, bootstrap="resample"),
        _ranked("tau-b", "Kendall τ-b", compare=ranks.compare_tau_b, bootstrap="resample"),
        _inner_product("corr_cov", "whitened Pearson r", centred=True, whitened=True),
        _inner_product("cosine_cov", "whitened cosine similarity", centred=False, whitened=True),
        _of_matrices(
            "bures",
            "Bures similarity",
            (0.0, 1.0),
            compare=matrix.compare_bures,
            undefined=_ZERO,
        ),
        _of_matrices(
            "bures_metric",
            "squared Bures distance",
            (0.0, np.inf),
            compare=matrix.compare_bures_metric,
            greater_is_better=False,
            undefined="never",
        ),
        _of_matrices(
            "neg_riem_dist",
            "negative Riemannian distance",
            (-np.inf, 0.0),
            prepare=lambda rdm, _: matrix.Matrix(rdm),
            compare=matrix.compare_riemann,
            bootstrap="none",
            max_images=200,
            undefined="the RDM is not positive definite",
        ),
    )
}


def find_metric(name: str, precision: str = "float64") -> Metric:
    """Return a metric by its name.

    Parameters
    ----------
    name : str
        A key of `METRICS`.
    precision : {'float64', 'float32'}
        What RDMs are to be kept in.

    Raises
    ------
    InputError
        If there is no such metric or precision, or the metric is not computed in it.
    """
    check_choice("metric", name, METRICS)
    check_choice("precision", precision, PRECISIONS)
    if precision == "float32" and not METRICS[name].single_precision:
        single = [metric.name for metric in METRICS.values() if metric.single_precision]
        raise InputError(
            f"precision=float32 is for metric={listing(single)}; {name} is computed in float64"
        )
    return METRICS[name]
