"""The analysis of a study as a straight line: score, infer, and gather the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rsa_exp.analysis.figure_data import best_pair, figure_text
from rsa_exp.analysis.inference import infer, settled
from rsa_exp.analysis.point_scoring import score_points
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.result import Result
from rsa_exp.analysis.scoring import mean_similarity, score_study
from rsa_exp.analysis.settings import NO_INFERENCE, Inference
from rsa_exp.analysis.stopwatch import Stopwatch
from rsa_exp.analysis.ways import choose_ways
from rsa_exp.errors import InputError, check_choice, listing
from rsa_exp.rdms import cache
from rsa_exp.rdms.study import Study
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.stats.metrics.registry import Metric, find_metric
from rsa_exp.stats.metrics.similarity import Similarity
from rsa_exp.vocabulary import GROUP, MIN_PAIRS, POOLED, ROI_FIELDS

__all__ = ["analyse"]

_OWN_IMAGES = (
    "match=subject: all images that this subject and the model have; there is no noise ceiling, "
    "which needs images that all subjects saw"
)


def analyse(
    study: Study,
    *,
    subject: str | None = None,
    roi: str | Sequence[str] = "all",
    layer: str | Sequence[str] = "all",
    metric: str = "corr",
    inference: Inference | None = Inference(),  # noqa: B008  # frozen
    precision: str = "float64",
    seed: int = 0,
    sums_folder: str | os.PathLike[str] | None = None,
) -> Result:
    """Score a model's layers against brain regions, and find out how far scores can be trusted.

    The command line does this too: the same study and arguments give the same bits.

    Parameters
    ----------
    study : Study
        Open, as `rsa_exp.open_study` or `rsa_exp.datasets` give it.
    subject : str, optional
        One of ``study.subjects``, by default the first; ``joint``: the mean RDM of all of them;
        ``group``: the mean of their scores.
    roi, layer : str or sequence of str
        ``all``, a name, a pattern such as ``LH*``, or several of these.
    metric : str
        How RDMs are compared: a name of `rsatoolbox.rdm.compare`, or one added by
        `rsa_exp.register_metric`.
    inference : Inference or None
        Noise ceilings, intervals and tests; None gives scores alone.
    precision : {'float64', 'float32'}
        What RDMs are kept in for scores; float32 is for ``corr``, ``cosine``, ``corr_cov`` and
        ``cosine_cov``, with an error below 1e-6.
    seed : int
        Of all random draws, 0 or more.
    sums_folder : path, optional
        Where parts of the bootstrap are kept, to be found by other analyses of the same study
        (other subjects of it, say), in other processes too. It saves them time and changes no bit;
        it takes about 12 MB for 3 subjects x 10 ROIs x 5 layers.

    Returns
    -------
    Result
        Tables, draws, and what figures need.

    Raises
    ------
    InputError
        If an argument or an input file cannot be used, or no score is defined.

    Examples
    --------
    >>> result = rsa_exp.analyse(study, subject="group", metric="spearman")  # doctest: +SKIP
    """
    watch = Stopwatch()
    subject = study.subjects[0] if subject is None else str(subject)
    apart = study.match == "subject" and subject in study.subjects
    study = study.own(subject) if apart else study
    chosen = find_metric(metric, precision)
    settings = NO_INFERENCE if inference is None else inference
    _check(study, subject, chosen, settings, seed)
    scored_subjects = list(study.subjects) if subject in POOLED else [subject]
    question = Question(
        subject,
        study.subjects,
        study.rois_of(scored_subjects, roi),
        study.layers_of(layer),
        chosen,
        seed,
    )
    settings = settled(question, settings)
    # Scores alone need every RDM once.
    rdms = cache.RdmCache(study, 0 if settings.is_none else cache.KEPT_BYTES)
    with watch("read"):
        ways = choose_ways(rdms, question, settings, precision)
    if ways.scores == "rdms":
        with watch.shared(("read", "score")):
            scored = score_study(rdms, question, precision, watch)
    else:
        with watch("score"):
            scored = score_points(question, ways)
    similarities = scored.similarities
    if subject == GROUP:
        similarities = {**similarities, GROUP: mean_similarity([*similarities.values()])}
    tables = {
        name: _table(study, question, name, similarity) for name, similarity in similarities.items()
    }
    scores = tables.pop(subject)
    score_warnings = _score_warnings(scores, tables, study.n_images, chosen)
    folder = None if sums_folder is None else Path(sums_folder)
    found = infer(
        rdms, question, settings, scored.similarities, scores, tables, watch, ways, folder
    )
    averaged = study.averaged_rois(scored_subjects, question.rois)
    said, doubts = rdms.said()
    computed = ways.described(question, settings)
    own = [_OWN_IMAGES] if apart else []
    if study.match == "subject" and subject in POOLED:
        own = [f"match=subject: {subject} uses the {study.n_images} images that all subjects saw"]
    notices = [*study.notices, *own, *averaged, *said]
    lost = [*study.warnings, *study.partial_rois(scored_subjects, roi), *doubts, *score_warnings]
    findings = vars(found) | {
        "notices": [*notices, *computed.notices, *found.notices],
        "warnings": [*lost, *found.warnings],
    }
    return Result(
        **findings,
        level=settings.ci,
        alignment=study.alignment.report | {"images": study.image_choice},
        images=study.images,
        inputs=rdms.inputs(),
        patterns=pd.DataFrame(facts) if (facts := rdms.pattern_facts()) else None,
        computed_from=computed.parts,
        files=list(study.states),
        rdms=best_pair(scores, scored, chosen, study.n_images),
        text=figure_text(study, subject, chosen, scores),
        seconds=watch.seconds,
    )


def _check(study: Study, subject: str, metric: Metric, inference: Inference, seed: int) -> None:
    """Refuse arguments that do not go together."""
    check_choice("subject", subject, [*study.subjects, *POOLED])
    if seed < 0:
        raise InputError(f"seed={seed} is negative; use 0 or more")
    n_subjects = len(study.subjects)
    if inference.bootstrap in {"subjects", "dual"} and (subject != GROUP or n_subjects < 2):
        raise InputError(
            f"bootstrap={inference.bootstrap} draws subjects, so it needs subject=group and two "
            f"or more subjects, not subject={subject} of {n_subjects}; auto draws them where it can"
        )
    if metric.max_images is not None and study.n_images > metric.max_images:
        raise InputError(
            f"metric={metric.name} can be computed for at most {metric.max_images} images, not "
            f"{study.n_images}; choose fewer with images=FILE (one name a line)"
        )


def _table(study: Study, question: Question, subject: str, similarity: Similarity) -> pd.DataFrame:
    """Lay scores out as one row per ROI x layer."""
    depth = {layer: i + 1 for i, layer in enumerate(study.layers)}
    return pd.DataFrame(
        [
            {
                "study": study.name,
                "subject": subject,
                "roi": roi,
                **{field: study.roi_facts.get(roi, {}).get(field, "") for field in ROI_FIELDS},
                "model": study.model_name,
                "layer": layer,
                "depth": depth[layer],
                "metric": question.metric.name,
                "score": similarity.scores[i, j],
                "n_images": int(similarity.n_images[i, j]),
                "n_pairs": int(similarity.n_pairs[i, j]),
            }
            for i, roi in enumerate(question.rois)
            for j, layer in enumerate(question.layers)
        ]
    )


def _score_warnings(
    scores: pd.DataFrame, tables: dict[str, pd.DataFrame], n_images: int, metric: Metric
) -> list[str]:
    """Warn of scores that are undefined or rest on fewer pairs; none defined is an error."""
    table = pd.concat([*tables.values()], ignore_index=True) if tables else scores
    undefined = table[table["score"].isna()]
    reasons = {
        "too few pairs are left": undefined[undefined["n_pairs"] < MIN_PAIRS],
        metric.undefined: undefined[undefined["n_pairs"] >= MIN_PAIRS],
    }
    warnings = []
    for why, rows in reasons.items():
        if len(rows) == len(table):
            raise InputError(
                f"no {metric.name} score is defined: in all {len(table)} of them {why}; "
                "check the RDM files"
            )
        cells = [
            f"{row.roi} x {row.layer}" + (f" of subject {row.subject}" if tables else "")
            for row in rows.itertuples()
        ]
        if cells:
            warnings.append(
                f"{len(cells)} of {len(table)} scores are undefined and left empty, because "
                f"{why}: {listing(cells, 4)}"
            )
    if len(undefined) == len(table):
        raise InputError(f"no {metric.name} score is defined: {'; '.join(warnings)}")
    all_pairs = count_pairs(n_images)
    partial = table[table["n_pairs"] < all_pairs]
    if len(partial):
        fewest = partial.loc[partial["n_pairs"].idxmin()]
        rois = partial["roi"].drop_duplicates()
        warnings.append(
            f"missing (NaN) dissimilarities were left out in {listing(rois, 4)}: "
            f"{fewest['n_pairs']} of {all_pairs} pairs remain in {fewest['roi']} x "
            f"{fewest['layer']}, the fewest"
        )
    return warnings
