"""Estimates of how long costly work will take, before it starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import sqrt

from rsa_exp.analysis.question import Question
from rsa_exp.analysis.settings import Inference
from rsa_exp.stats.bootstrap.pair_sums import working_type
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.stats.panels import multiplications_per_second
from rsa_exp.stats.parallel import n_workers
from rsa_exp.vocabulary import JACKKNIFE

__all__ = ["BAR", "announce_cost", "announce_inference", "announce_seconds", "inference_seconds"]

BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
"""Format of a progress bar over shares of work."""

log = logging.getLogger("rsa_exp")

# What takes longer than this, in seconds, is announced.
_LONG = 60.0
# Work besides multiplying, as so many multiplications: forming a product for a pair of images,
# putting a pair of a permuted RDM beside others, and ranking a pair in a draw.
_FORM, _PERMUTE, _RANK = 80, 120, 110


def announce_cost(what: str, once: Callable[[], object], times: float) -> None:
    """Do one piece of work, on one core, and warn if all of them will take more than a minute.

    `what` is the whole work, for the message; the cores share `times` such pieces.
    """
    start = time.perf_counter()
    once()
    announce_seconds(what, (time.perf_counter() - start) * times / n_workers())


def announce_inference(question: Question, inference: Inference, n_images: int) -> None:
    """Warn if draws and permutations as fast as a metric allows will take more than a minute."""
    if inference_seconds(question, inference, n_images, 1e12) < 1:  # more than any machine does
        return
    speed = multiplications_per_second(working_type(n_images)) * n_workers()
    work = [f"{inference.n_boot} bootstrap draws"] if inference.bootstrap != "none" else []
    if inference.n_perm and question.metric.has_unit:
        work.append(f"{inference.n_perm} permutations")
    what = (
        f"inference ({' and '.join(work)} of {n_images} images, {len(question.rois)} ROIs x "
        f"{len(question.layers)} layers; inference=none gives scores alone)"
    )
    announce_seconds(what, inference_seconds(question, inference, n_images, speed))


def inference_seconds(
    question: Question, inference: Inference, n_images: int, speed: float
) -> float:
    """Estimate how long draws and permutations take, where they need no whole comparisons.

    Parameters
    ----------
    question, inference
        What is scored and drawn; `bootstrap` is not ``auto``.
    n_images : int
        Images in use.
    speed : float
        Multiplications of all cores in a second, as `multiplications_per_second` counts them.
    """
    metric, n_roi, n_layer = question.metric, len(question.rois), len(question.layers)
    n_member = len(question.members)
    n_pool = n_member + (len(question.peers) if inference.ceiling != "none" else 0)
    n_column = 1 + inference.n_draw
    total = 0.0
    left_out = inference.bootstrap == JACKKNIFE
    if (n_column > 1 or left_out) and metric.bootstrap == "weights":
        sums = 2 * n_layer + n_roi * (n_pool * (n_pool + 3) / 2 + n_member * n_layer)
        if metric.whitened:
            sums += 2 * n_roi * (n_pool + n_layer)
        total += sums * (n_column + _FORM)
    elif n_column > 1 and metric.bootstrap == "ranks":
        total += (n_layer + n_roi * n_member) * n_column * _RANK
    if inference.n_perm and metric.has_unit:
        each = sqrt(inference.n_perm)
        total += (n_layer + n_roi) * each * _PERMUTE + n_layer * n_roi * inference.n_perm
    return total * count_pairs(n_images) / speed


def announce_seconds(what: str, seconds: float) -> None:
    """Warn if work will take more than a minute."""
    if seconds > _LONG:
        duration = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
        log.warning("%s: about %s", what, duration)
