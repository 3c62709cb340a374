"""What a run's scores can be trusted for: noise ceilings, intervals, tests, the best layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from rsa_exp.analysis.bootstrap import Drawn, Plan, draw_study
from rsa_exp.analysis.permutation import Relabelled, relabel_study
from rsa_exp.analysis.stopwatch import Stopwatch
from rsa_exp.analysis.tables import (
    best_layer_table,
    ceiling_table,
    comparison_table,
    extreme_scores,
    member_table,
    score_table,
)
from rsa_exp.config.schema import Config
from rsa_exp.rdms.study import Study
from rsa_exp.stats.condensed import FloatArray, count_pairs
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.metrics.similarity import Similarity
from rsa_exp.stats.uncertainty import Kind
from rsa_exp.vocabulary import FEW_IMAGES, FEW_SUBJECTS

__all__ = ["Findings", "infer"]


@dataclass(frozen=True)
class Findings:
    """What inference found.

    Attributes
    ----------
    scores, subject_scores : DataFrame
        The run's tables, with `rsa_exp.vocabulary.INFERENCE_COLUMNS`; the second is None unless
        ``subject=group``.
    comparisons : DataFrame or None
        Differences between layers within an ROI, and between ROIs within a layer.
    ceilings : DataFrame or None
        Noise ceilings of each ROI.
    best_layers : DataFrame or None
        How sure it is which layer is best.
    null : ndarray of shape (n_perm,), or None
        The best score over ROIs and layers of each relabelling.
    draws : dict of str to ndarray, or None
        All draws, if they are to be kept.
    level : float
        Confidence level of intervals.
    n_permuted : int
        Images that the permutation test rests on.
    notices, warnings : list of str
        What was left out, and what the results cannot say.
    """

    scores: pd.DataFrame
    subject_scores: pd.DataFrame | None
    comparisons: pd.DataFrame | None = None
    ceilings: pd.DataFrame | None = None
    best_layers: pd.DataFrame | None = None
    null: FloatArray | None = None
    draws: dict[str, np.ndarray] | None = None
    level: float = 0.95
    n_permuted: int = 0
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def has_layer_pairs(self) -> bool:
        """Whether layers were compared within ROIs."""
        return self.comparisons is not None and bool((self.comparisons["kind"] == "layers").any())


def infer(
    study: Study,
    config: Config,
    members: Mapping[str, Sequence[str]],
    similarities: Mapping[str, Similarity],
    scores: pd.DataFrame,
    subjects: Mapping[str, pd.DataFrame],
    watch: Stopwatch,
) -> Findings:
    """Find out how far a run's scores can be trusted.

    Parameters
    ----------
    study : Study
        Open.
    config : Config
        The run's.
    members : mapping of str to sequence of str
        What was scored: a name and the subjects whose mean RDM it is.
    similarities : mapping of str to Similarity
        Scores of each.
    scores : DataFrame
        The run's table: of the only member, or of their mean.
    subjects : mapping of str to DataFrame
        Tables of the members, if `scores` is of their mean.
    watch : Stopwatch
        Counts ``bootstrap`` and ``permute``.
    """
    metric, settings = METRICS[config.metric], config.inference
    rois, layers = list(dict.fromkeys(scores["roi"])), list(dict.fromkeys(scores["layer"]))
    plan = _plan(config, members)
    drawn: Drawn | None = None
    relabelled: Relabelled | None = None
    if plan.kind is not None or plan.n_splits or plan.ceiling != "none":
        full = np.stack([similarities[name].scores for name in members])
        with watch("bootstrap"):
            drawn = draw_study(study, plan, rois, layers, full, metric.name)
    notices = drawn.notices if drawn else []
    if settings.n_perm and (metric.has_unit or settings.resampling):
        pairs = count_pairs(study.n_images)
        complete = all((similarities[name].n_pairs == pairs).all() for name in members)
        with watch("permute"):
            relabelled = relabel_study(
                study, members, rois, layers, metric.name, config.seed, settings.n_perm,
                complete=complete,
            )  # fmt: skip
        if relabelled.n_images < study.n_images:
            notices.append(
                f"permutation tests rest on the {relabelled.n_images} of {study.n_images} images "
                "without missing pairs"
            )
    elif settings.n_perm:
        notices.append(
            f"no permutation test: {metric.name} has to be computed anew after each relabelling "
            "(inference=full does)"
        )
    table = score_table(scores, drawn, relabelled, metric)
    each = [member_table(part, drawn, i) for i, part in enumerate(subjects.values())]
    return Findings(
        table,
        pd.concat(each, ignore_index=True) if each else None,
        comparison_table(scores, drawn) if drawn else None,
        ceiling_table(scores, drawn) if drawn else None,
        best_layer_table(scores, drawn, metric) if drawn else None,
        extreme_scores(relabelled, metric) if relabelled and relabelled.n_images else None,
        _draws(drawn, relabelled, rois, layers) if settings.save_draws else None,
        settings.ci,
        relabelled.n_images if relabelled else 0,
        notices,
        [*(drawn.warnings if drawn else []), *_caveats(drawn)],
    )


def _plan(config: Config, members: Mapping[str, Sequence[str]]) -> Plan:
    settings = config.inference
    kinds: dict[str, Kind | None] = {
        "images": "images",
        "subjects": "subjects",
        "dual": "dual",
        "none": None,
        "auto": "dual" if len(members) > 1 else "images",
    }
    alone = len(members) == 1 and config.subject in members and config.subject != "joint"
    peers = [s for s in config.data.subjects if s not in members] if alone else []
    # A mean RDM is on another scale than single subjects': it has no ceiling.
    ceiling = "none" if config.subject == "joint" else settings.ceiling
    return Plan(
        members,
        peers,
        kinds[settings.bootstrap],
        settings.n_boot,
        settings.n_splits,
        settings.ci,
        ceiling if METRICS[config.metric].has_ceiling else "none",
        settings.resampling,
        config.seed,
    )


def _caveats(drawn: Drawn | None) -> list[str]:
    """Say what few images and few subjects cannot support."""
    sampling = drawn.sampling if drawn else None
    if sampling is None:
        return []
    if sampling.kind != "subjects" and sampling.n_images < FEW_IMAGES:
        return [
            f"{sampling.n_images} images are too few for intervals and t tests over images; "
            "permutation tests hold"
        ]
    if sampling.kind == "images" or sampling.n_subjects >= FEW_SUBJECTS:
        return []
    n_subjects, tail = sampling.n_subjects, (1 + sampling.level) / 2
    wider = student.ppf(tail, sampling.dof) / norm.ppf(tail)
    return [
        f"{n_subjects} subjects are {n_subjects - 1} degrees of freedom: intervals are {wider:.1f} "
        "times as wide as with many subjects, and tests over subjects have little power. What few "
        "subjects support is a statement about new images for these subjects: "
        "inference.bootstrap=images"
    ]


def _draws(
    drawn: Drawn | None, relabelled: Relabelled | None, rois: list[str], layers: list[str]
) -> dict[str, np.ndarray]:
    """Name the arrays that ``draws.npz`` holds; they need no pickle."""
    found: dict[str, np.ndarray] = {"rois": np.array(rois), "layers": np.array(layers)}
    if drawn is not None:
        found |= {
            "ways": np.array(drawn.sampling.ways if drawn.sampling else ()),
            "scores": drawn.scores,
            "ceilings": drawn.ceilings,
            "image_counts": drawn.image_counts,
            "subject_counts": drawn.subject_counts,
            "halves": drawn.halves,
        }
    if relabelled is not None:
        found["relabelled"] = relabelled.scores
    return found
