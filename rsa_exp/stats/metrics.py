"""The similarity metrics: what each is, how it is computed, how its results are to be read.

Each metric has two stages, so that work on one RDM is done once however many RDMs it is compared
with: `prepare` takes condensed RDMs of shape (n_rdm, n_pairs), `compare` two prepared sets. Names
and values are rsatoolbox's (`rsatoolbox.rdm.compare`).

References
----------
Kriegeskorte, Mur & Bandettini 2008, Front. Syst. Neurosci. 2:4 (RSA). Nili et al. 2014, PLoS
Comput. Biol. 10:e1003553 (Kendall's tau-a). Diedrichsen et al. 2021, Neurons Behav. Data Anal.
Theory (whitened metrics). Schuett et al. 2023, eLife 12:e82566 (rho-a). Shahbazi et al. 2021,
NeuroImage 239:118271 (Riemannian distance). Harvey et al. 2024, UniReps (Bures).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigvalsh
from scipy.spatial.distance import squareform
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from rsa_exp.stats.condensed import BoolArray, FloatArray, image_sums
from rsa_exp.stats.products import inner_products

__all__ = ["METRICS", "Metric", "Prepared"]


@dataclass(frozen=True)
class Prepared:
    """RDMs made ready for comparison.

    Attributes
    ----------
    vectors : ndarray of shape (n_rdm, n_entries)
        What is multiplied: centred, ranked or raw dissimilarities.
    norms : ndarray of shape (n_rdm,)
        What an inner product is divided by, per RDM; 0 where the metric is undefined.
    sums : ndarray of shape (n_rdm, n_cond) or None
        Image sums, for the whitened metrics.
    solved : ndarray of shape (n_rdm, n_cond) or None
        ``(2 I + M'M)^-1`` times `sums`, for the whitened metrics.
    """

    vectors: FloatArray
    norms: FloatArray
    sums: FloatArray | None = None
    solved: FloatArray | None = None


Prepare = Callable[[FloatArray, "BoolArray | None"], Prepared]
Compare = Callable[[Prepared, Prepared], FloatArray]


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
    greater_is_better : bool
        False for a distance: best layer, tests and permutation turn round.
    zero_is_null : bool
        Whether 0 is the value of unrelated RDMs, so that a test against 0 makes sense.
    has_ceiling : bool
        Whether a noise ceiling is defined (a way to pool subjects' RDMs is known).
    missing : {'pairs', 'images'}
        What is left out where an entry is NaN: that pair, or enough images to be rid of it.
    bootstrap : {'weights', 'ranks', 'resample'}
        What a bootstrap draw costs: a matrix product, a cumulative sum over sorted pairs, or the
        whole comparison again.
    max_images : int or None
        Above this the metric cannot be computed.
    undefined : str
        When a score is NaN.
    prepare : callable
        Condensed RDMs (n_rdm, n_pairs) without NaN and, where pairs are missing, the mask
        (n_all_pairs,) of those present, to `Prepared`.
    compare : callable
        Prepared brain and model RDMs to an array (n_roi, n_layer); NaN where undefined.
    prepare_model : callable or None
        How model RDMs are prepared where that differs from brain RDMs (`prepare`).
    """

    name: str
    label: str
    bounds: tuple[float, float]
    prepare: Prepare
    compare: Compare
    prepare_model: Prepare | None = None
    greater_is_better: bool = True
    zero_is_null: bool = True
    has_ceiling: bool = True
    missing: Literal["pairs", "images"] = "pairs"
    bootstrap: Literal["weights", "ranks", "resample"] = "weights"
    max_images: int | None = None
    undefined: str = "the RDM is constant"

    def prepare_models(self, rdms: FloatArray, present: BoolArray | None) -> Prepared:
        """Prepare model RDMs: `prepare_model` where it differs from `prepare`."""
        return (self.prepare_model or self.prepare)(rdms, present)


def _norms(vectors: FloatArray) -> FloatArray:
    squares = [float(inner_products(row[None], row[None])[0, 0]) for row in vectors]
    return np.asarray(np.sqrt(squares))


def _centred(rdms: FloatArray) -> FloatArray:
    """Rows minus their mean; a constant row becomes exactly 0, not a row of rounding errors."""
    centred: FloatArray = rdms - rdms.mean(axis=1, keepdims=True)
    centred[rdms.max(axis=1) == rdms.min(axis=1)] = 0.0
    return centred


def _ranks(rdms: FloatArray) -> FloatArray:
    """Midranks of each row, centred: the mean of 1..n is known, so it is exact."""
    ranks: FloatArray = np.stack([rankdata(row) for row in rdms])
    ranks -= (rdms.shape[1] + 1) / 2
    return ranks


def _prepare_cosine(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    return Prepared(rdms, _norms(rdms))


def _prepare_corr(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    return _prepare_cosine(_centred(rdms))


def _prepare_spearman(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    return _prepare_cosine(_ranks(rdms))


def _compare_cosine(left: Prepared, right: Prepared) -> FloatArray:
    return _normalised(inner_products(left.vectors, right.vectors), left.norms, right.norms)


def _normalised(products: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    scale = np.outer(left, right)
    defined = scale > 0
    scores: FloatArray = np.full(scale.shape, np.nan)
    scores[defined] = np.clip(products[defined] / scale[defined], -1.0, 1.0)
    return scores


def _compare_rho_a(left: Prepared, right: Prepared) -> FloatArray:
    n = left.vectors.shape[1]
    products = inner_products(left.vectors, right.vectors) * 12 / (float(n) ** 3 - n)
    return np.where(np.outer(left.norms, right.norms) > 0, products, np.nan)


def _whiten(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:
    """Prepare for ``x' V^-1 y`` in closed form, with ``V = 2 I + M M'``.

    M is the pairs-by-images incidence matrix.

    By Woodbury ``V^-1 = (I - M (2 I + M'M)^-1 M') / 2``, and ``M'x`` are the image sums. With all
    pairs present ``2 I + M'M = n I + 11'``, which Sherman-Morrison inverts; with pairs missing it
    is a Laplacian-like n x n matrix, solved by Cholesky.
    """
    if present is None:
        sums = image_sums(rdms)
        n_cond = sums.shape[1]
        solved = (sums - sums.sum(axis=1, keepdims=True) / (2 * n_cond)) / n_cond
    else:
        full = np.zeros((len(rdms), len(present)))
        full[:, present] = rdms
        sums = image_sums(full)
        gram = squareform(present.astype(np.float64))
        np.fill_diagonal(gram, 2 + gram.sum(axis=1))
        with threadpool_limits(limits=1, user_api="blas"):
            solved = cho_solve(cho_factor(gram, overwrite_a=True), sums.T).T
    squares = np.array([inner_products(row[None], row[None])[0, 0] for row in rdms])
    norms = np.sqrt(np.maximum(squares - np.einsum("ij,ij->i", sums, solved), 0.0))
    norms[~rdms.any(axis=1)] = 0.0
    return Prepared(rdms, norms, sums, solved)


def _prepare_corr_cov(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:
    return _whiten(_centred(rdms), present)


def _compare_whitened(left: Prepared, right: Prepared) -> FloatArray:
    if left.sums is None or right.solved is None:
        raise TypeError("whitened metrics compare RDMs prepared by a whitened metric")
    products = inner_products(left.vectors, right.vectors) - left.sums @ right.solved.T
    return _normalised(products, left.norms, right.norms)


def _prepare_raw(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    """Keep the RDMs; the norm only marks those that are constant."""
    return Prepared(rdms, (rdms.max(axis=1) > rdms.min(axis=1)).astype(np.float64))


def _compare_kendall(method: str) -> Compare:
    """Kendall's tau as rsatoolbox defines it, one pair of RDMs after another."""

    def compare(left: Prepared, right: Prepared) -> FloatArray:
        from rsatoolbox.rdm.compare import compare as rsatoolbox_compare

        scores = np.full((len(left.vectors), len(right.vectors)), np.nan)
        usable = np.outer(left.norms, right.norms) > 0
        for i, j in np.argwhere(usable):
            scores[i, j] = rsatoolbox_compare(left.vectors[i], right.vectors[j], method)[0, 0]
        return scores

    return compare


def _moments(row: FloatArray) -> FloatArray:
    """Second-moment matrix of centred patterns, ``-H D H / 2``, of one condensed RDM."""
    moments: FloatArray = squareform(-row / 2)
    means = moments.mean(axis=0)
    moments += means.mean() - means[:, None] - means[None, :]
    return moments


def _stack_squares(squares: list[FloatArray], norms: list[float]) -> Prepared:
    return Prepared(np.stack([square.ravel() for square in squares]), np.array(norms))


def _prepare_bures(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    """Square root of each second-moment matrix, negative eigenvalues clipped; norm its trace."""
    roots, norms = [], []
    with threadpool_limits(limits=1, user_api="blas"):
        for row in rdms:
            moments = _moments(row)
            values, axes = np.linalg.eigh(moments)
            roots.append((axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T)
            norms.append(float(np.trace(moments)))
    return _stack_squares(roots, norms)


def _prepare_bures_model(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    """Second-moment matrices as they are: rsatoolbox takes the root of the first side only."""
    squares = [_moments(row) for row in rdms]
    return _stack_squares(squares, [float(np.trace(square)) for square in squares])


def _fidelity(left: Prepared, right: Prepared) -> FloatArray:
    """``tr (A^1/2 B A^1/2)^1/2``, negative eigenvalues clipped, of every pair."""
    n_cond = round(left.vectors.shape[1] ** 0.5)
    sums = np.empty((len(left.vectors), len(right.vectors)))
    with threadpool_limits(limits=1, user_api="blas"):
        for i, root in enumerate(left.vectors.reshape(-1, n_cond, n_cond)):
            for j, moments in enumerate(right.vectors.reshape(-1, n_cond, n_cond)):
                values = eigvalsh(root @ moments @ root, check_finite=False)
                sums[i, j] = np.sqrt(np.maximum(values, 0.0)).sum()
    return sums


def _compare_bures(left: Prepared, right: Prepared) -> FloatArray:
    defined = np.outer(left.norms > 0, right.norms > 0)
    scale = np.sqrt(np.where(defined, np.outer(left.norms, right.norms), np.nan))
    return _fidelity(left, right) / scale


def _compare_bures_metric(left: Prepared, right: Prepared) -> FloatArray:
    return left.norms[:, None] + right.norms[None, :] - 2 * _fidelity(left, right)


def _prepare_riemann(rdms: FloatArray, present: BoolArray | None = None) -> Prepared:  # noqa: ARG001
    return Prepared(rdms, np.ones(len(rdms)))


def _compare_riemann(left: Prepared, right: Prepared) -> FloatArray:
    """Search as rsatoolbox does; NaN where an RDM is not positive definite."""
    from rsatoolbox.rdm.compare import compare as rsatoolbox_compare

    scores = np.full((len(left.vectors), len(right.vectors)), np.nan)
    for i, a in enumerate(left.vectors):
        for j, b in enumerate(right.vectors):
            try:
                with np.errstate(invalid="raise", divide="raise"):
                    scores[i, j] = rsatoolbox_compare(a, b, "neg_riem_dist")[0, 0]
            except (np.linalg.LinAlgError, FloatingPointError):
                continue
    return scores


_CORRELATION = (-1.0, 1.0)
_ZERO = "the RDM is all zero"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("corr", "Pearson r", _CORRELATION, _prepare_corr, _compare_cosine),
        Metric(
            "cosine",
            "cosine similarity",
            _CORRELATION,
            _prepare_cosine,
            _compare_cosine,
            zero_is_null=False,
            undefined=_ZERO,
        ),
        Metric(
            "spearman",
            "Spearman ρ",
            _CORRELATION,
            _prepare_spearman,
            _compare_cosine,
            bootstrap="ranks",
        ),
        Metric("rho-a", "ρ-a", _CORRELATION, _prepare_spearman, _compare_rho_a, bootstrap="ranks"),
        Metric(
            "tau-a",
            "Kendall τ-a",
            _CORRELATION,
            _prepare_raw,
            _compare_kendall("tau-a"),
            bootstrap="resample",
        ),
        Metric(
            "tau-b",
            "Kendall τ-b",
            _CORRELATION,
            _prepare_raw,
            _compare_kendall("tau-b"),
            bootstrap="resample",
        ),
        Metric(
            "corr_cov", "whitened Pearson r", _CORRELATION, _prepare_corr_cov, _compare_whitened
        ),
        Metric(
            "cosine_cov",
            "whitened cosine similarity",
            _CORRELATION,
            _whiten,
            _compare_whitened,
            zero_is_null=False,
            undefined=_ZERO,
        ),
        Metric(
            "bures",
            "Bures similarity",
            (0.0, 1.0),
            _prepare_bures,
            _compare_bures,
            prepare_model=_prepare_bures_model,
            zero_is_null=False,
            has_ceiling=False,
            missing="images",
            bootstrap="resample",
            undefined=_ZERO,
        ),
        Metric(
            "bures_metric",
            "squared Bures distance",
            (0.0, np.inf),
            _prepare_bures,
            _compare_bures_metric,
            prepare_model=_prepare_bures_model,
            greater_is_better=False,
            zero_is_null=False,
            has_ceiling=False,
            missing="images",
            bootstrap="resample",
            undefined="never",
        ),
        Metric(
            "neg_riem_dist",
            "negative Riemannian distance",
            (-np.inf, 0.0),
            _prepare_riemann,
            _compare_riemann,
            zero_is_null=False,
            has_ceiling=False,
            missing="images",
            bootstrap="resample",
            max_images=200,
            undefined="the RDM is not positive definite",
        ),
    )
}
