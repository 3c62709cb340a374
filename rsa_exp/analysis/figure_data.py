"""Titles and notes of an analysis' figures, and the pair of RDMs that they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from rsa_exp.analysis.scoring import Scored
from rsa_exp.figures import FigureText, RdmPair
from rsa_exp.rdms.study import Study
from rsa_exp.stats.condensed import FloatArray, n_cond_of
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.vocabulary import GROUP, JOINT

__all__ = ["best_pair", "figure_text"]


def best_pair(
    scores: pd.DataFrame, scored: Scored, metric: Metric, n_images: int
) -> RdmPair | None:
    """Return the RDMs of the ROI and the layer with the best score, None if none is defined."""
    best = metric.best(scores["score"])
    if best is None:
        return None
    roi, layer = scores["roi"].iloc[best], scores["layer"].iloc[best]
    return RdmPair(
        brain=_square(scored.rois[roi]),
        model=_square(scored.layers[layer]),
        brain_name=roi,
        model_name=layer,
        n_total=n_images,
    )


def figure_text(study: Study, subject: str, metric: Metric, scores: pd.DataFrame) -> FigureText:
    """Return title, note and axis label of an analysis' figures."""
    who = {
        JOINT: f"mean RDM of subjects {', '.join(study.subjects)}",
        GROUP: f"subjects {', '.join(study.subjects)}",
    }.get(subject, f"subject {subject}")
    n_images, n_pairs = scores["n_images"].max(), scores["n_pairs"].max()
    parts = [
        "simulated data" if study.simulated else study.name,
        f"{n_images:,} images, {n_pairs:,} pairs",
        f"align={study.alignment.how}",
    ]
    if study.image_choice != "all":
        parts.append(f"images={Path(study.image_choice).name}")
    parts += _distances(study)
    return FigureText(
        title=f"{study.model_name} vs {study.name}, {who}",
        note="; ".join(parts),
        score_label=metric.label,
        greater_is_better=metric.greater_is_better,
        signed=metric.zero_is_null,
    )


def _distances(study: Study) -> list[str]:
    """Say how RDMs were made of patterns; nothing of RDM files."""
    model = study.sources[""].measure
    brain = ", ".join({s.measure: None for name, s in study.sources.items() if name and s.measure})
    if brain == model:
        return [f"distance={brain}"] if brain else []
    named = {"brain": brain, "model": model}
    return [f"{what} distance={distance}" for what, distance in named.items() if distance]


def _square(values: FloatArray) -> FloatArray:
    """Lay a condensed RDM of few images out as a square; scipy's way takes 0.2 s to import."""
    n_cond = n_cond_of(len(values))
    square = np.zeros((n_cond, n_cond))
    square[np.triu_indices(n_cond, 1)] = values
    return square + square.T
