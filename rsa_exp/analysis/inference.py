"""Inference on scores: noise ceilings, intervals, tests, and which layer is best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy  # its parts are imported at first use: scores alone need none

from rsa_exp.analysis.bootstrap import draw_study
from rsa_exp.analysis.draws import Drawn
from rsa_exp.analysis.permutation import Permuted, permute_study
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.settings import HOW_TO_RESAMPLE, Inference
from rsa_exp.analysis.stopwatch import Stopwatch
from rsa_exp.analysis.tables import (
    best_layer_table,
    ceiling_table,
    comparison_table,
    extreme_scores,
    member_table,
    score_table,
)
from rsa_exp.analysis.ways import Ways
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.condensed import FloatArray, count_pairs
from rsa_exp.stats.metrics.similarity import Similarity
from rsa_exp.vocabulary import FEW_IMAGES, FEW_SUBJECTS, JOINT

__all__ = ["Findings", "infer", "settled"]


@dataclass(frozen=True)
class Findings:
    """What inference found; attributes as in `rsa_exp.analysis.result.Result`."""

    scores: pd.DataFrame
    subject_scores: pd.DataFrame | None
    comparisons: pd.DataFrame | None = None
    ceilings: pd.DataFrame | None = None
    best_layers: pd.DataFrame | None = None
    null: FloatArray | None = None
    draws: dict[str, np.ndarray] | None = None
    n_permuted: int = 0
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def infer(
    rdms: RdmCache,
    question: Question,
    inference: Inference,
    similarities: Mapping[str, Similarity],
    scores: pd.DataFrame,
    subjects: Mapping[str, pd.DataFrame],
    watch: Stopwatch,
    ways: Ways,
    folder: Path | None = None,
) -> Findings:
    """Find out how far scores can be trusted.

    Parameters
    ----------
    rdms, question, inference
        The study's RDMs, what was scored, and what is to be inferred, as `settled`.
    similarities : mapping of str to Similarity
        Scores of each of the question's members.
    scores : DataFrame
        The table of the only member, or of their mean.
    subjects : mapping of str to DataFrame
        Tables of the members, if `scores` is of their mean.
    watch : Stopwatch
        Counts ``bootstrap`` and ``permute``.
    ways : Ways
        How draws and permutations are computed.
    folder : Path, optional
        As in `draw_study`.
    """
    metric = question.metric
    pairs = count_pairs(rdms.n_images)
    complete = all((similarities[name].n_pairs == pairs).all() for name in question.members)
    ways.announce(question, inference, rdms.n_images)
    drawn: Drawn | None = None
    permuted: Permuted | None = None
    if inference.draws and ways.draws != "none":
        full = np.stack([similarities[name].scores for name in question.members])
        with watch("bootstrap"):
            drawn = draw_study(
                rdms,
                question,
                inference,
                full,
                complete=complete,
                folder=folder,
                comparison=ways.comparison if ways.draws == "patterns" else None,
            )
    notices = drawn.notices if drawn else []
    n_perm = inference.n_perm if ways.permutations != "none" else 0
    if n_perm and (metric.has_unit or inference.resampling):
        with watch("permute"):
            comparison = ways.comparison if ways.permutations == "patterns" else None
            permuted = permute_study(
                rdms, question, n_perm, complete=complete, comparison=comparison
            )
        if permuted.n_images < rdms.n_images:
            notices.append(
                f"permutation tests rest on the {permuted.n_images} of {rdms.n_images} images "
                "without missing pairs"
            )
    elif n_perm:
        notices.append(
            f"no permutation test: {metric.name} has to be computed anew after each permutation "
            f"({HOW_TO_RESAMPLE})"
        )
    table = score_table(scores, drawn, permuted, metric)
    each = [member_table(part, drawn, i) for i, part in enumerate(subjects.values())]
    return Findings(
        table,
        pd.concat(each, ignore_index=True) if each else None,
        comparison_table(scores, drawn) if drawn else None,
        ceiling_table(scores, drawn) if drawn else None,
        best_layer_table(scores, drawn, metric) if drawn else None,
        extreme_scores(permuted, metric) if permuted and permuted.n_images else None,
        _arrays(drawn, permuted, question) if inference.keep_draws else None,
        permuted.n_images if permuted else 0,
        notices,
        [*(drawn.warnings if drawn else []), *_caveats(drawn)],
    )


def settled(question: Question, inference: Inference) -> Inference:
    """Decide what ``auto`` draws, and whether there can be a noise ceiling."""
    bootstrap, ceiling = inference.bootstrap, inference.ceiling
    if bootstrap == "auto":
        bootstrap = "dual" if len(question.members) > 1 else "images"
    # A mean RDM is on another scale than those of single subjects: it has no ceiling.
    if not question.metric.has_ceiling or question.subject == JOINT:
        ceiling = "none"
    return replace(inference, bootstrap=bootstrap, ceiling=ceiling)


def _caveats(drawn: Drawn | None) -> list[str]:
    """Warn of what few images and few subjects cannot support."""
    sampling = drawn.sampling if drawn else None
    if sampling is None:
        return []
    if sampling.kind != "subjects" and sampling.n_images < FEW_IMAGES:
        return [
            f"{sampling.n_images} images are too few for intervals and t tests over images; "
            "permutation tests stay valid"
        ]
    if sampling.kind in {"images", "jackknife"} or sampling.n_subjects >= FEW_SUBJECTS:
        return []
    n_subjects, tail = sampling.n_subjects, (1 + sampling.level) / 2
    wider = scipy.special.stdtrit(sampling.dof, tail) / scipy.special.ndtri(tail)
    return [
        f"{n_subjects} subjects are {n_subjects - 1} degrees of freedom: intervals are {wider:.1f} "
        "times as wide as with many subjects, and tests over subjects have little power. What few "
        "subjects support is a statement about new images for these subjects: "
        "inference.bootstrap=images"
    ]


def _arrays(
    drawn: Drawn | None, permuted: Permuted | None, question: Question
) -> dict[str, np.ndarray]:
    """Name the arrays of ``draws.npz``, which need no pickle; old files have the same names."""
    found = {"rois": np.array(question.rois), "layers": np.array(question.layers)}
    if drawn is not None:
        found |= {
            "ways": np.array(drawn.sampling.ways if drawn.sampling else ()),
            "scores": drawn.scores,
            "ceilings": drawn.ceilings,
            "image_counts": drawn.image_counts,
            "subject_counts": drawn.subject_counts,
            "halves": drawn.halves,
        }
    if permuted is not None:
        found["relabelled"] = permuted.scores
    return found
