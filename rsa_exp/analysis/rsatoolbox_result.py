"""An ROI's scores as rsatoolbox's result of fixed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rsa_exp.errors import InputError, check_choice
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.vocabulary import JACKKNIFE, MIN_DRAWS

if TYPE_CHECKING:
    from rsatoolbox.inference import Result as RsatoolboxResult

    from rsa_exp.analysis.result import Result

__all__ = ["rsatoolbox_result"]


def rsatoolbox_result(result: Result, roi: str) -> RsatoolboxResult:
    """Convert the scores of an ROI; see `rsa_exp.analysis.result.Result.to_rsatoolbox`."""
    from rsatoolbox.inference import Result as RsatoolboxResult
    from rsatoolbox.model import Model

    scores = result.scores
    check_choice("roi", roi, dict.fromkeys(scores["roi"]))
    rows = scores[scores["roi"] == roi]
    if not result.text.greater_is_better:
        raise InputError(
            f"{rows['metric'].iloc[0]} is a distance: rsatoolbox's results take greater for better"
        )
    if rows["score"].isna().all():
        raise InputError(f"no score of {roi} is defined: there is nothing for rsatoolbox to show")
    layers = rows["layer"].tolist()
    each = result.subject_scores
    table = rows if each is None else each[each["roi"] == roi]
    values = table["score"].to_numpy().reshape(-1, len(layers)).T
    covariances = _covariances(result, roi)
    draws = result.draws
    n_rdm = n_pattern = None
    dof = 1
    if covariances is not None and draws is not None:
        ways = set(draws["ways"].tolist())
        n_rdm = len(draws["subject_counts"]) if ways & {"both", "subjects"} else None
        n_pattern = len(draws["image_counts"]) if ways & {"both", "images", JACKKNIFE} else None
        dof = min(n for n in (n_rdm, n_pattern) if n is not None) - 1
    return RsatoolboxResult(
        [Model(layer) for layer in layers],
        values[None],
        rows["metric"].iloc[0],
        "fixed",
        rows[["ceiling_low", "ceiling_high"]].iloc[0].to_numpy(dtype=float),
        variances=covariances,
        dof=dof,
        n_rdm=n_rdm,
        n_pattern=n_pattern,
    )


def _covariances(result: Result, roi: str) -> FloatArray | None:
    """Covariances over draws, of layers and, if drawn, of both noise ceilings.

    Returns
    -------
    ndarray of shape (3, n, n) for the dual bootstrap, else (n, n), or None
        In rsatoolbox's order: both factors, subjects, images.
    """
    draws = result.draws
    if draws is None or not len(draws.get("ways", ())):
        return None
    index = draws["rois"].tolist().index(roi)
    scores, ceilings = draws["scores"][:, index], draws["ceilings"][:, index]
    drawn = np.concatenate([scores, ceilings], axis=1) if np.isfinite(ceilings).any() else scores
    # Draws without a ceiling (of one distinct subject) still have scores.
    each = [pd.DataFrame(way.T).cov(min_periods=MIN_DRAWS).to_numpy() for way in drawn]
    if draws["ways"].tolist() == [JACKKNIFE]:
        n_images = drawn.shape[-1]
        each = [(n_images - 1) ** 2 / n_images * covariance for covariance in each]
    return np.stack(each) if len(each) > 1 else each[0]
