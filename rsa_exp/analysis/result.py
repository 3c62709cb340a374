"""The result of an analysis: tables, draws, and what is needed to defend and to plot them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rsa_exp.figures import FigureText, RdmPair
from rsa_exp.rdms.inputs import FileState, InputRecord
from rsa_exp.stats.condensed import FloatArray

if TYPE_CHECKING:
    from rsatoolbox.inference import Result as RsatoolboxResult

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)  # tables have no one truth value
class Result:
    """The result of `rsa_exp.analyse`.

    Attributes
    ----------
    scores : DataFrame
        One row per ROI x layer: `rsa_exp.vocabulary.FACT_COLUMNS` (study, subject, roi,
        hemisphere, region, level, model, layer, depth, metric, score, n_images, n_pairs) and
        `rsa_exp.vocabulary.INFERENCE_COLUMNS` (se, ci_low, ci_high, ci_method, p_zero, p_perm,
        p_fwe, p_ceiling, q, n_tests, ceiling_low, ceiling_high, se_jackknife, score_perm). Scores
        are in the metric's units; NaN is undefined or not asked for.
    subject_scores : DataFrame or None
        The same per subject, for ``subject="group"``.
    comparisons : DataFrame or None
        Differences between layers within an ROI, and between ROIs within a layer.
    ceilings : DataFrame or None
        Noise ceilings of each ROI.
    best_layers : DataFrame or None
        How often each layer is the best one, in bootstrap draws and split halves.
    null : ndarray of shape (n_perm,), or None
        The best score over ROIs and layers in each permutation.
    draws : dict of str to ndarray, or None
        All draws, if they were to be kept: ``rois``, ``layers``; with a bootstrap, ``ways``,
        ``scores`` (n_way, n_roi, n_layer, n_boot), ``ceilings`` (n_way, n_roi, 2, n_boot),
        ``image_counts`` (n_images, n_boot), ``subject_counts`` (n_subject, n_boot), ``halves``
        (2, n_roi, n_layer, n_splits); with permutations, ``relabelled`` (n_roi, n_layer, n_perm).
    n_permuted : int
        Images that the permutation test rests on.
    level : float
        Confidence level of intervals.
    alignment : dict
        Images of each file, matched, dropped and duplicate, as in ``alignment.json``.
    images : list of str
        Names of the images used, in the order of all RDMs.
    inputs : list of InputRecord
        What was read, with content digests.
    files : list of FileState
        Files opened, as they were.
    patterns : DataFrame or None
        What is known of the patterns that RDMs were made of, one row per subject (empty: the model)
        and ROI or layer: see `rsa_exp.stats.patterns.prepare.Prepared.facts`.
    computed_from : dict of str to str
        For patterns: what ``scores``, ``draws`` and ``permutations`` were computed from
        (``patterns``: sums over them without RDMs; ``tiles`` of RDMs; ``rdms``).
    notices : list of str
        What was done that the user may not expect.
    warnings : list of str
        What was lost or left empty, and what the results cannot support.
    rdms : RdmPair or None
        The best-scoring pair of RDMs, of at most 200 images; None where no score is defined.
    text : FigureText
        Title, note and axis label of figures.
    seconds : dict of str to float
        Time spent per stage.
    """

    scores: pd.DataFrame
    subject_scores: pd.DataFrame | None
    comparisons: pd.DataFrame | None
    ceilings: pd.DataFrame | None
    best_layers: pd.DataFrame | None
    null: FloatArray | None
    draws: dict[str, np.ndarray] | None
    n_permuted: int
    level: float
    alignment: dict[str, Any]
    images: list[str]
    inputs: list[InputRecord]
    files: list[FileState]
    patterns: pd.DataFrame | None
    computed_from: dict[str, str]
    notices: list[str]
    warnings: list[str]
    rdms: RdmPair | None
    text: FigureText
    seconds: dict[str, float]

    def __repr__(self) -> str:
        table = self.scores
        return (
            f"<Result: {self.text.title}, {self.text.score_label}, {table['roi'].nunique()} ROIs x "
            f"{table['layer'].nunique()} layers>"
        )

    def to_rsatoolbox(self, roi: str) -> RsatoolboxResult:
        """Return an ROI's scores as rsatoolbox has those of fixed models, one for each layer.

        Parameters
        ----------
        roi : str
            One of ``scores["roi"]``.

        Returns
        -------
        rsatoolbox.inference.Result
            ``models`` carry the layers' names and no RDMs; ``evaluations``, of shape
            (1, n_layer, n_subject), are the scores of each subject, or the only ones
            (``cv_method="fixed"``, so that its means are the scores and not means of draws);
            ``noise_ceiling`` is the lower and the upper one from all data, NaN if there is none.
            ``variances``, ``dof``, ``n_rdm`` and ``n_pattern``, hence its standard errors and
            tests, are those of the bootstrap if its draws were kept
            (``Inference(keep_draws=True)``); else there are none.

        Raises
        ------
        InputError
            If there is no such ROI, it has no score, or smaller scores are better, which
            rsatoolbox's tests do not provide for.
        """
        from rsa_exp.analysis.rsatoolbox_result import rsatoolbox_result

        return rsatoolbox_result(self, roi)
