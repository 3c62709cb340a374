"""Similarity of RDMs at hand: arrays or rsatoolbox objects, without files or a study."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.alignment import stem
from rsa_exp.rdms.pair_gather import PairGather
from rsa_exp.rdms.squares import square_problem
from rsa_exp.stats.condensed import FloatArray, IntArray, n_cond_of
from rsa_exp.stats.metrics import similarity as engine
from rsa_exp.stats.metrics.registry import find_metric
from rsa_exp.stats.metrics.similarity import Similarity

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["similarity"]


def similarity(
    brain_rdms: ArrayLike | RDMs,
    model_rdms: ArrayLike | RDMs,
    metric: str = "corr",
    precision: str = "float64",
) -> Similarity:
    """Similarity of every brain RDM to every model RDM.

    Parameters
    ----------
    brain_rdms : array_like or rsatoolbox.rdm.RDMs
        Condensed RDMs of shape (n_brain, n_pairs) or (n_pairs,), n_pairs = n_cond (n_cond - 1) / 2,
        or square ones of shape (n_brain, n_cond, n_cond) or (n_cond, n_cond), symmetric with a
        diagonal of 0. NaN marks a missing pair. Not changed.
    model_rdms : array_like or rsatoolbox.rdm.RDMs
        The same, n_model of them. Where both are rsatoolbox objects with a pattern descriptor
        ``image``, images are matched by name (without their extensions, unless whole names
        match); else they have to be in the same order in both.
    metric : str
        A name of `rsatoolbox.rdm.compare` (``corr``, ``cosine``, ``spearman``, ``rho-a``,
        ``tau-a``, ``tau-b``, ``corr_cov``, ``cosine_cov``, ``bures``, ``bures_metric``,
        ``neg_riem_dist``), or one added by `rsa_exp.register_metric`.
    precision : {'float64', 'float32'}
        What RDMs are kept in; float32 halves memory for ``corr``, ``cosine``, ``corr_cov`` and
        ``cosine_cov``, with an error below 1e-6.

    Returns
    -------
    Similarity
        ``scores`` in the metric's units and range, NaN where it is undefined, and the numbers of
        pairs and images that each rests on, ``n_pairs`` and ``n_images``; all of shape
        (n_brain, n_model).

    Raises
    ------
    InputError
        If an argument cannot be used: an unknown metric, RDMs that are not square or not symmetric
        or not of the same images, infinite dissimilarities.

    Examples
    --------
    >>> similarity([[0.1, 0.5, 0.9]], [[1, 2, 3], [3, 2, 1]]).scores
    array([[ 1., -1.]])
    """
    chosen = find_metric(metric, precision)
    brain, model = _condensed(brain_rdms, "brain_rdms"), _condensed(model_rdms, "model_rdms")
    n_cond, n_model = n_cond_of(brain.shape[1]), n_cond_of(model.shape[1])
    if n_cond != n_model:
        raise InputError(
            f"brain_rdms are of {n_cond} images, model_rdms of {n_model}; give RDMs of the same "
            "images, or let rsa_exp.open_study find those that are common"
        )
    if chosen.max_images is not None and n_cond > chosen.max_images:
        raise InputError(
            f"metric={metric} can be computed for at most {chosen.max_images} images, not {n_cond}"
        )
    order = _model_order(_image_names(brain_rdms), _image_names(model_rdms))
    if order is not None:
        model = np.stack([PairGather(order, n_cond)(row) for row in model])
    return engine.similarity(brain, model, metric, precision)


def _is_rsatoolbox(rdms: Any) -> bool:
    return hasattr(rdms, "dissimilarities") and hasattr(rdms, "pattern_descriptors")


def _image_names(rdms: Any) -> list[str] | None:
    """Return the images' names; an empty list for rsatoolbox RDMs without, None for an array."""
    if not _is_rsatoolbox(rdms):
        return None
    return [str(name) for name in rdms.pattern_descriptors.get("image", ())]


def _condensed(rdms: Any, what: str) -> FloatArray:
    """Return RDMs as an array of shape (n_rdm, n_pairs), which may be the caller's own."""
    given = rdms.dissimilarities if _is_rsatoolbox(rdms) else rdms
    try:
        values = np.asarray(given)
        if values.dtype.kind not in "fiub":
            raise TypeError
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is no array of real numbers: {type(rdms).__name__}") from error
    if values.size == 0 or values.ndim not in {1, 2, 3}:
        raise InputError(
            f"{what} has shape {values.shape}; expected (n_rdm, n_pairs), (n_pairs,) or "
            "(n_rdm, n_cond, n_cond)"
        )
    if values.ndim == 1:
        values = values[None]
    if values.ndim == 2 and len(set(values.shape)) == 1 and square_problem(values) is None:
        values = values[None]
    if values.ndim == 3:
        n_cond = values.shape[1]
        if values.shape[2] != n_cond or n_cond < 2:
            raise InputError(
                f"{what} has shape {values.shape}; square RDMs are (n_rdm, n_cond, n_cond)"
            )
        if problem := square_problem(values):
            raise InputError(f"{what} {problem}")
        rows, columns = np.triu_indices(n_cond, 1)
        values = values[:, rows, columns]
    if np.isinf(values).any():
        raise InputError(f"{what} has infinite dissimilarities; mark missing pairs with NaN")
    try:
        n_cond_of(values.shape[1])
    except ValueError as error:
        raise InputError(
            f"{what} has shape {values.shape}: {values.shape[1]} is not a number of pairs "
            "n (n - 1) / 2; a square RDM has to be symmetric with a diagonal of 0"
        ) from error
    return values


def _model_order(brain: list[str] | None, model: list[str] | None) -> IntArray | None:
    """Return where the model's RDMs have the brain's images; None if orders are the same."""
    if brain is None or model is None or brain == model:
        return None
    if not brain or not model:
        raise InputError(
            f"{'model_rdms' if brain else 'brain_rdms'} have no pattern descriptor 'image', by "
            "which images could be matched; add it, or give .dissimilarities of both, whose images "
            "have to be in the same order"
        )
    if set(brain) != set(model):
        brain, model = [stem(name) for name in brain], [stem(name) for name in model]
    for what, names in (("brain_rdms", brain), ("model_rdms", model)):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InputError(
                f"{what}: '{repeated[0]}' names {names.count(repeated[0])} images, so that images "
                "cannot be matched by name; give each image a name of its own"
            )
    lacking = sorted(set(brain) ^ set(model))
    if lacking:
        raise InputError(
            f"brain_rdms and model_rdms are not of the same images: {len(lacking)} are in one of "
            f"them alone ({listing(lacking, 3)}); use subset_pattern, or rsa_exp.open_study, which "
            "takes the common images"
        )
    index = {name: i for i, name in enumerate(model)}
    return np.array([index[name] for name in brain], dtype=np.int64)
