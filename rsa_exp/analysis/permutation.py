"""The permutation test of a study: each layer's images permuted, against each subject's ROIs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from tqdm import tqdm

from rsa_exp.analysis.cost import announce_cost
from rsa_exp.analysis.question import Question
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.bootstrap.pair_sums import working_type
from rsa_exp.stats.bootstrap.resampling import permuted_scores, resample
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, complete_images, count_pairs
from rsa_exp.stats.draws import permutations
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import union
from rsa_exp.stats.parallel import in_order
from rsa_exp.stats.permutation import PermutedModels
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["Permuted", "permute_study"]

# Brain RDMs that are compared with each permuted layer together.
_BRAIN_BYTES = 1 << 30

Compare = Callable[[Sequence[Callable[[], Rdm]], Callable[[int], object]], FloatArray]


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


def permute_study(rdms: RdmCache, question: Question, n_perm: int, *, complete: bool) -> Permuted:
    """Score every layer against every ROI after permuting its images.

    One permutation serves all layers, ROIs and members, so that their maximum is one of a family
    (Nichols & Holmes 2002, Hum. Brain Mapp. 15:1). Held in memory: the model's RDMs as squares,
    and brain RDMs up to a gigabyte; for more of these layers are permuted again.

    Parameters
    ----------
    rdms, question
        The study's RDMs, and what is scored.
    n_perm : int
        How many permutations to make.
    complete : bool
        Whether it is known that no pair is missing.
    """
    metric, members = question.metric, question.members
    rois, layers = question.rois, question.layers
    tasks = [(roi, name) for roi in rois for name in members]

    def read(task: tuple[str, str]) -> Rdm:
        return Rdm.of(rdms.brain_rdm(members[task[1]], task[0]))

    models = list(in_order(lambda layer: Rdm.of(rdms.model_rdm(layer)), layers))
    images = np.arange(rdms.n_images)
    if not complete:
        each = in_order(lambda task: read(task).missing, tasks)
        images = _images_of_all([*(model.missing for model in models), *each], rdms.n_images)
    orders = permutations(question.seed, len(images), n_perm)
    # The first one is the identity.
    orders = np.concatenate([np.arange(len(images))[None], orders])
    shape = (len(rois), len(layers), len(orders))
    if count_pairs(len(images)) < MIN_PAIRS:
        return Permuted(np.full((*shape[:2], 0), np.nan), np.full(shape[:2], np.nan), 0)

    def read_used(task: tuple[str, str]) -> Rdm:
        return _of(read(task), images)

    layers_used = [_of(model, images) for model in models]
    if metric.has_unit:
        compare: Compare = PermutedModels(metric, layers_used, orders).score
    else:
        compare = partial(_compare_anew, metric, layers_used, orders)
    del models, layers_used
    total = np.zeros(shape)
    row_bytes = np.dtype(working_type(len(images))).itemsize * count_pairs(len(images))
    step = max(1, _BRAIN_BYTES // row_bytes)
    with tqdm(
        total=len(orders) * -(-len(tasks) // step),
        desc="permuting",
        unit="permutation",
        disable=None,
        leave=False,
    ) as bar:
        for first in range(0, len(tasks), step):
            block = tasks[first : first + step]
            brains = [partial(read_used, task) for task in block]
            for (roi, _), scores in zip(block, compare(brains, bar.update), strict=True):
                total[rois.index(roi)] += scores
    total /= len(members)
    return Permuted(total[:, :, 1:], total[:, :, 0], len(images))


def _images_of_all(missing: Sequence[IntArray], n_images: int) -> IntArray:
    """Images that no RDM lacks a pair of; an RDM without any pair must not cost the others."""
    usable = [pairs for pairs in missing if len(pairs) < count_pairs(n_images)]
    pairs = reduce(union, usable) if usable else np.empty(0, dtype=np.int64)
    return np.flatnonzero(complete_images(pairs, n_images))


def _of(rdm: Rdm, images: IntArray) -> Rdm:
    """RDM of some of the images; itself if that is all of them."""
    return rdm if len(images) == rdm.n_cond else Rdm.of(resample(rdm, images))


def _compare_anew(
    metric: Metric,
    models: Sequence[Rdm],
    orders: IntArray,
    brains: Sequence[Callable[[], Rdm]],
    tick: Callable[[int], object],
) -> FloatArray:
    """Compare whole RDMs after each permutation, for metrics that are no inner products."""
    read = [read_one() for read_one in brains]
    announce_cost(
        f"{metric.name} is computed anew after {len(orders)} permutations",
        partial(permuted_scores, read, models, metric, orders[:1]),
        len(orders),
    )
    return permuted_scores(read, models, metric, orders, tick)
