"""The permutation test of a study: each layer's images permuted, against each subject's ROIs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain

import numpy as np
from tqdm import tqdm

from rsa_exp.analysis.cost import BAR, announce_cost
from rsa_exp.analysis.question import Question
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.bootstrap.resampling import permuted_scores, resample
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, complete_images, count_pairs
from rsa_exp.stats.draws import Permutations
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import union
from rsa_exp.stats.parallel import Progress, in_order
from rsa_exp.stats.permutation import PermutedModels, square_bytes
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["Permuted", "permute_study"]

# Brain RDMs, as squares, that are compared with each permuted layer together.
_BRAIN_BYTES = 1 << 29

Group = Sequence[Callable[[], Rdm]]
Compare = Callable[[Sequence[Group], Progress], FloatArray]


@dataclass(frozen=True)
class Permuted:
    """Scores after permuting the model's images.

    Attributes
    ----------
    scores : ndarray of shape (n_roi, n_layer, n_perm)
        Mean over the members.
    observed : ndarray of shape (n_roi, n_layer)
        Unpermuted, on the same images: what the others are compared with.
    n_images : int
        Images that no RDM lacks a pair of; the others are left out.
    """

    scores: FloatArray
    observed: FloatArray
    n_images: int


def permute_study(
    rdms: RdmCache,
    question: Question,
    n_perm: int,
    *,
    complete: bool,
    comparison: PointComparison | None = None,
) -> Permuted:
    """Score every layer against every ROI after permuting its images.

    One permutation serves all layers, ROIs and members, so that their maximum is one of a family
    (Nichols & Holmes 2002, Hum. Brain Mapp. 15:1). Held in memory, as squares in the working type:
    the model's RDMs, and the ROIs' (means over members) up to half a gigabyte; with more ROIs than
    that the layers are permuted again for the next ones.

    Parameters
    ----------
    rdms, question
        The study's RDMs, and what is scored.
    n_perm : int
        How many permutations to make.
    complete : bool
        Whether it is known that no pair is missing.
    comparison : PointComparison, optional
        Of the study's layers and ROIs, which are then permuted without RDMs.
    """
    if comparison is not None:
        permutations = Permutations.draw(question.seed, rdms.n_images, n_perm)
        with tqdm(total=1.0, desc="permuting", bar_format=BAR, disable=None, leave=False) as bar:
            found = comparison.permuted(permutations, bar.update)
        return Permuted(found[:, :, 1:], found[:, :, 0], rdms.n_images)
    metric, members = question.metric, list(question.members.values())
    rois, layers = question.rois, question.layers

    def read_brain(roi: str, member: Sequence[str]) -> Rdm:
        return Rdm.of(rdms.brain_rdm(member, roi))

    def read_layer(layer: str) -> Rdm:
        return Rdm.of(rdms.model_rdm(layer))

    models = [partial(read_layer, layer) for layer in layers]
    groups = [[partial(read_brain, roi, member) for member in members] for roi in rois]
    images = np.arange(rdms.n_images)
    if not complete:
        missing = in_order(lambda read: read().missing, [*models, *chain.from_iterable(groups)])
        images = _images_of_all(list(missing), rdms.n_images)
    if count_pairs(len(images)) < MIN_PAIRS:
        shape = len(rois), len(layers)
        return Permuted(np.full((*shape, 0), np.nan), np.full(shape, np.nan), 0)
    permutations = Permutations.draw(question.seed, len(images), n_perm)
    models = [partial(_read_used, read, images) for read in models]
    groups = [[partial(_read_used, read, images) for read in group] for group in groups]
    if metric.has_unit:
        compare: Compare = PermutedModels(metric, models, permutations).score
    else:
        compare = partial(_compare_anew, metric, models, permutations.orders())
    step = max(1, _BRAIN_BYTES // square_bytes(len(images)))
    blocks = [groups[first : first + step] for first in range(0, len(groups), step)]
    with tqdm(
        total=float(len(blocks)), desc="permuting", bar_format=BAR, disable=None, leave=False
    ) as bar:
        scores = [compare(block, bar.update) for block in blocks]
    found = np.concatenate(scores)
    return Permuted(found[:, :, 1:], found[:, :, 0], len(images))


def _images_of_all(missing: Sequence[IntArray], n_images: int) -> IntArray:
    """Images that no RDM lacks a pair of; an RDM without any pair must not cost the others."""
    usable = [pairs for pairs in missing if len(pairs) < count_pairs(n_images)]
    pairs = reduce(union, usable) if usable else np.empty(0, dtype=np.int64)
    return np.flatnonzero(complete_images(pairs, n_images))


def _read_used(read: Callable[[], Rdm], images: IntArray) -> Rdm:
    """Read an RDM of some of the images; as it is if that is all of them."""
    rdm = read()
    return rdm if len(images) == rdm.n_cond else Rdm.of(resample(rdm, images))


def _compare_anew(
    metric: Metric,
    models: Group,
    orders: IntArray,
    groups: Sequence[Group],
    on_progress: Progress,
) -> FloatArray:
    """Compare whole RDMs after each permutation, for metrics that are no inner products."""
    layers = [read() for read in models]
    brains = [read() for read in chain.from_iterable(groups)]
    announce_cost(
        f"{metric.name} is computed anew after {len(orders)} permutations",
        partial(permuted_scores, brains, layers, metric, orders[:1]),
        len(orders),
    )
    scores = permuted_scores(brains, layers, metric, orders, on_progress)
    return np.asarray(scores.reshape(len(groups), -1, *scores.shape[1:]).mean(axis=1))
