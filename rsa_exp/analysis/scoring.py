"""A study's scores: brain RDMs streamed past prepared model RDMs, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rsa_exp.analysis.question import Question
from rsa_exp.analysis.stopwatch import Stopwatch
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.rdms.pair_gather import PairGather
from rsa_exp.stats.condensed import FloatArray, count_pairs
from rsa_exp.stats.metrics.similarity import ModelRDMs, Similarity
from rsa_exp.stats.parallel import in_order

__all__ = ["Scored", "mean_similarity", "score_study", "shown_images"]

# Prepared model RDMs held at a time: eleven layers of 4916 images, two of 10,000.
MODEL_BYTES = 1 << 30
# Images shown in the figure of RDMs: more cannot be told apart in print.
_SHOWN_IMAGES = 200


@dataclass
class Scored:
    """Scores, and RDMs thinned for a figure.

    Attributes
    ----------
    similarities : dict of str to Similarity
        For each member, scores of shape (n_roi, n_layer).
    rois, layers : dict of str to ndarray
        Condensed RDMs of the same evenly spaced images, at most 200; an ROI's is the mean over
        members.
    """

    similarities: dict[str, Similarity] = field(default_factory=dict)
    rois: dict[str, FloatArray] = field(default_factory=dict)
    layers: dict[str, FloatArray] = field(default_factory=dict)


def score_study(rdms: RdmCache, question: Question, precision: str, watch: Stopwatch) -> Scored:
    """Score every layer against every ROI of each of the question's members.

    Held in memory at a time, in rows of 8 bytes a pair: the model's RDMs, up to a gigabyte
    (with more layers than that the brain's are read again for the next ones), and for each core
    the row of the file and up to three of the common images (one read, one in work, one sum). Plus
    4 bytes a pair for each order of images among the files.

    Parameters
    ----------
    rdms, question, precision
        The study's RDMs, what is scored, and the type as in `ModelRDMs`.
    watch : Stopwatch
        Counts ``read`` and ``score``.

    Returns
    -------
    Scored
        Every score depends on its two RDMs alone, to the last bit.
    """
    scored, groups = Scored(), question.members
    rois, layers = question.rois, question.layers
    thin = PairGather(shown_images(rdms.n_images), rdms.n_images)
    tasks = [(roi, name) for roi in rois for name in groups]
    thumbnails: dict[tuple[str, str], FloatArray] = {}

    def read_layer(layer: str) -> FloatArray:
        with watch("read"):
            rdm = rdms.model_rdm(layer)
        scored.layers[layer] = thin(rdm)
        return rdm

    def score(models: ModelRDMs, task: tuple[str, str]) -> Similarity:
        roi, name = task
        with watch("read"):
            rdm = rdms.brain_rdm(groups[name], roi)
        thumbnails[task] = thin(rdm)
        with watch("score"):
            return models.compare(rdm)

    step = max(1, MODEL_BYTES // (8 * count_pairs(rdms.n_images)))
    parts: dict[str, list[Similarity]] = {name: [] for name in groups}
    total = len(tasks) * -(-len(layers) // step)
    with tqdm(total=total, desc="scoring", unit="RDM", disable=None, leave=False) as bar:
        for first in range(0, len(layers), step):
            readers = [partial(read_layer, layer) for layer in layers[first : first + step]]
            models = ModelRDMs(readers, question.metric.name, precision)
            rows: dict[str, list[Similarity]] = {name: [] for name in groups}
            results = in_order(partial(score, models), tasks)
            for (_, name), row in zip(tasks, results, strict=True):
                rows[name].append(row)
                bar.update()
            for name, table in rows.items():
                parts[name].append(Similarity.stack(table))
    for name, blocks in parts.items():
        scored.similarities[name] = Similarity.stack(blocks, axis=1)
    for roi in rois:
        scored.rois[roi] = np.asarray(np.mean([thumbnails[roi, name] for name in groups], axis=0))
    return scored


def mean_similarity(parts: Sequence[Similarity]) -> Similarity:
    """Mean of several subjects' scores (NaN where any is), and their fewest pairs and images."""
    return Similarity(
        np.asarray(np.mean([part.scores for part in parts], axis=0)),
        np.asarray(np.min([part.n_pairs for part in parts], axis=0)),
        np.asarray(np.min([part.n_images for part in parts], axis=0)),
    )


def shown_images(n_images: int) -> NDArray[np.intp]:
    """Return evenly spaced images to show."""
    count = min(n_images, _SHOWN_IMAGES)
    return np.linspace(0, n_images - 1, count).round().astype(np.intp)
