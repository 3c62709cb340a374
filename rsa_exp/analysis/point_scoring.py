"""Scores and draws of a study from its patterns, without forming any RDM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from rsa_exp.analysis.cost import BAR, announce_seconds
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.scoring import Scored, shown_images
from rsa_exp.analysis.ways import Ways
from rsa_exp.errors import InputError
from rsa_exp.stats.bootstrap.inner_products import DrawScores
from rsa_exp.stats.condensed import Counts, FloatArray, count_pairs
from rsa_exp.stats.metrics.similarity import Similarity
from rsa_exp.stats.parallel import Progress, one_blas_thread
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.stats.points.points import ArrayPoints, Points, condensed_rdm
from rsa_exp.stats.points.rank_tiles import rank_cost, rank_scores

__all__ = ["draw_points", "score_points"]

# Part of the memory that tables of ranks may take.
_SHARE = 0.5


def score_points(question: Question, ways: Ways) -> Scored:
    """Score every layer against every ROI of each of the question's members.

    Parameters
    ----------
    question : Question
        What is scored.
    ways : Ways
        With points; scores by ``patterns`` or ``tiles``.

    Returns
    -------
    Scored
        As `rsa_exp.analysis.scoring.score_study`.
    """
    points = ways.points
    if points is None:
        raise ValueError("there are no points")
    n_member, n_images = len(question.members), points.layers[0].n_cond
    with tqdm(total=1.0, desc="scoring", bar_format=BAR, disable=None, leave=False) as bar:
        if ways.comparison is not None:
            found = ways.comparison.full(bar.update)
            scores = np.stack([each.scores[:, :, 0] for each in found])  # ROI, member, layer
        else:
            scores = _by_tiles(question, points.layers, points.rois, ways.free, bar.update)
    shape = len(question.rois), len(question.layers)
    n_pairs, n_used = (np.full(shape, n) for n in (count_pairs(n_images), n_images))
    scored = Scored()
    for index, name in enumerate(question.members):
        scored.similarities[name] = Similarity(scores[:, index], n_pairs, n_used)
    shown = shown_images(n_images)
    with one_blas_thread():
        for layer, each in zip(question.layers, points.layers, strict=True):
            scored.layers[layer] = _thin(each, shown)
        for roi, group in zip(question.rois, points.rois, strict=True):
            thin = [_thin(each, shown) for each in group[:n_member]]
            scored.rois[roi] = np.asarray(np.mean(thin, axis=0))
    return scored


def _by_tiles(
    question: Question,
    layers: Sequence[Points],
    rois: Sequence[Sequence[Points]],
    free: float,
    on_progress: Progress,
) -> FloatArray:
    n_images, name = layers[0].n_cond, question.metric.name
    brains = [brain for group in rois for brain in group]
    dims = [each.n_dim for each in layers], [each.n_dim for each in brains]
    try:
        cost = rank_cost(n_images, *dims, _SHARE * free)
    except InputError as error:
        raise InputError(f"metric={name}: {error}") from error
    announce_seconds(f"{name} of {n_images} images by tiles of RDMs", cost.seconds)
    scores = rank_scores(layers, brains, name, on_progress, _SHARE * free)
    return scores.reshape(len(rois), -1, len(layers))


def _thin(points: Points, images: np.ndarray) -> FloatArray:
    """RDM of some images."""
    rows = [points.read(image, image + 1) for image in images.tolist()]
    return condensed_rdm(ArrayPoints(np.concatenate(rows), points.signs))


def draw_points(comparison: PointComparison, counts: Counts, halves: Counts) -> list[DrawScores]:
    """Score every layer against every ROI in draws of images, and with each image left out.

    Parameters
    ----------
    comparison : PointComparison
        Of the layers and the ROIs.
    counts, halves : ndarray of uint8, shape (n_cond, n_draw)
        How often each image is in each bootstrap draw, and in each half.

    Returns
    -------
    list of DrawScores
        One for each ROI.
    """
    with tqdm(total=1.0, desc="bootstrap", bar_format=BAR, disable=None, leave=False) as bar:
        return comparison.draws(counts, halves, bar.update)
