"""The question and the answer of a sweep in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from rsa_exp.errors import listing
from rsa_exp.reports.group_table import ANALYSES
from rsa_exp.reports.numerals import decimals, number, percent
from rsa_exp.reports.variants import Variant, lacking
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.vocabulary import ALPHA, GROUP, JOINT, POOLED

__all__ = [
    "ALIGNMENTS", "MATCHES", "METRIC_WORDS", "best_layers", "by_level", "enumerated",
    "fewer_subjects", "headline", "main_rows", "named_subjects", "of_analysis", "outcome",
    "question", "swept_subjects",
]  # fmt: skip

METRIC_WORDS = {
    "corr": "Pearson correlation of the dissimilarities of all pairs of images",
    "cosine": "cosine of the angle between the two vectors of dissimilarities",
    "spearman": "Spearman's rank correlation of the dissimilarities: only their order counts",
    "rho-a": "Spearman's rank correlation with ties broken at random, in expectation: fair to "
    "models that predict ties",
    "tau-a": "Kendall's tau-a: share of pairs of dissimilarities in the same order less those in "
    "the other, ties counting against a model",
    "tau-b": "Kendall's tau-b: the same, corrected for ties",
    "corr_cov": "Pearson correlation of whitened dissimilarities: pairs that share an image are "
    "not independent, and are decorrelated first",
    "cosine_cov": "cosine of whitened dissimilarities: pairs that share an image are not "
    "independent, and are decorrelated first",
    "bures": "Bures similarity: fidelity of the two kernels that the dissimilarities make, 1 for "
    "equal geometries",
    "bures_metric": "squared Bures distance between the two kernels that the dissimilarities make: "
    "lower is better",
    "neg_riem_dist": "negative Riemannian distance between the two kernels that the "
    "dissimilarities make: 0 for equal ones",
}
"""What each metric is, for readers who do not know its name."""

ALIGNMENTS = {
    "stem": "images are matched by name without the file extension",
    "exact": "images are matched by whole file name, extension included",
}
MATCHES = {
    "study": "those that all subjects and the model have",
    "subject": "all that a subject and the model have, for each subject alone",
}


def enumerated(names: Iterable[object], limit: int = 12) -> str:
    """Names as in a sentence: ``a, b and c``; cut like `rsa_exp.errors.listing` when many."""
    texts = [str(name) for name in names]
    if not 1 < len(texts) <= limit:
        return listing(texts, limit)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def swept_subjects(scores: pd.DataFrame) -> list[str]:
    """Single subjects that have scores."""
    return [name for name in dict.fromkeys(scores["subject"].astype(str)) if name not in POOLED]


def question(scores: pd.DataFrame, variants: Sequence[Variant]) -> str:
    """Write the question of a sweep as a sentence."""
    models, metrics = (list(dict.fromkeys(scores[key])) for key in ("model", "metric"))
    rois, layers = (list(dict.fromkeys(scores[key])) for key in ("roi", "layer"))
    subjects = swept_subjects(scores)
    who = []
    if subjects:
        who.append(("subjects " if len(subjects) > 1 else "subject ") + enumerated(subjects, 8))
    seen = set(scores["subject"].astype(str))
    who += ["the mean of all subjects' scores"] if GROUP in seen else []
    who += ["the subjects' mean RDM"] if JOINT in seen else []
    where = f"{len(rois)} brain regions ({listing(rois)})" if len(rois) > 1 else str(rois[0])
    each = "each of " if len(rois) > 1 else ""
    which = f"Which of {len(layers)} layers of {enumerated(models)} is"
    if len(layers) == 1:
        which = f"How far is {layers[0]} of {enumerated(models)}"
    text = f"{which} most like {each}{where}" if len(layers) > 1 else f"{which} like {where}"
    text += f", in {enumerated(who)}, by {enumerated(METRICS[name].label for name in metrics)}"
    if len(variants) > 1:
        text += f", and is the answer the same for {len(variants)} variants of the analysis"
    return text + "?"


def main_rows(group: pd.DataFrame, variant: Variant) -> pd.DataFrame:
    """Rows of a variant's first analysis: the mean over subjects, the group, or the mean RDM."""
    rows = group[group["variant"] == variant.name]
    first = min(rows["analysis"].unique(), key=ANALYSES.index)
    return rows[rows["analysis"] == first]


def best_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each ROI's row with the best score, in the order of ROIs; those with none left out."""
    metric = METRICS[str(rows["metric"].iloc[0])]
    each = [(cells, metric.best(cells["score"])) for _, cells in rows.groupby("roi", sort=False)]
    return rows.loc[[cells.index[at] for cells, at in each if at is not None]]


def by_level(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each level's ROIs, and the level's best layer; empty without levels.

    Returns
    -------
    DataFrame
        Columns level, layer, score, n_rois; a layer that some ROI lacks is not considered.
    """
    metric = METRICS[str(rows["metric"].iloc[0])]
    found = []
    for level, part in rows[rows["level"].fillna("") != ""].groupby("level", sort=False):
        n_rois = part["roi"].nunique()
        cells = part.groupby("layer", sort=False)["score"].agg(["mean", "count"])
        means = cells["mean"].where(cells["count"] == n_rois)
        if (at := metric.best(means)) is not None:
            found.append((level, means.index[at], means.iloc[at], n_rois))
    return pd.DataFrame(found, columns=["level", "layer", "score", "n_rois"])


def of_analysis(rows: pd.DataFrame) -> str:
    """Describe what the scores of one analysis are of, such as ``mean over 3 subjects``."""
    n = int(rows["n_subjects"].max())
    if rows["analysis"].iloc[0] == JOINT:
        return f"mean RDM of {n} subjects"
    return f"mean over {n} subjects" if n > 1 else "one subject"


def named_subjects(names: Sequence[str], limit: int = 6) -> str:
    """Subjects as in a sentence: ``subject 3``, ``subjects 1, 2``; nothing of none."""
    kind = "subjects" if len(names) > 1 else "subject"
    return f"{kind} {listing(names, limit)}" if names else ""


def fewer_subjects(variants: Sequence[Variant]) -> str:
    """Name the variants that lack subjects which others have; empty if there is none."""
    missing = lacking(variants)
    if not missing:
        return ""
    named = [f"{name} (without {named_subjects(those)})" for name, those in missing.items()]
    return (
        f"In {listing(named, 3)} the mean is over fewer subjects; variants are compared over those "
        "that both have."
    )


def headline(
    sweep: RecordedSweep,
    kept: pd.DataFrame,
    group: pd.DataFrame,
    agreement: pd.DataFrame | None,
    variants: Sequence[Variant],
) -> str:
    """Write in up to four sentences what a sweep found, and what it could not find.

    The best layer is named of the first of the variants.
    """
    if not variants:
        return f"None of the {len(sweep.runs)} runs finished: {outcome(sweep)}."
    sentences = [_best_sentence(kept, group, variants), _tests_sentence(kept, agreement)]
    sentences.append(fewer_subjects(variants))
    if len(sweep.finished) < len(sweep.runs):
        sentences.append(
            f"{len(sweep.finished)} of {len(sweep.runs)} runs finished: {outcome(sweep)}."
        )
    return " ".join(filter(None, sentences))


def outcome(sweep: RecordedSweep) -> str:
    """Count the runs that did not finish, by their status."""
    counts = Counter(run.status for run in sweep.runs if run.status != "finished")
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"


def _best_sentence(kept: pd.DataFrame, group: pd.DataFrame, variants: Sequence[Variant]) -> str:
    """Name the best layer of the regions that have a score which passes its test."""
    variant = variants[0]
    rows = main_rows(group, variant)
    best, model = best_layers(rows), variant.model
    under = f"Under {variant.name}, " if len(variants) > 1 else ""
    where = f"of {variant.study}"
    if variant.simulated and "simulated" not in variant.study:
        where += " (simulated data)"
    if best.empty:
        label = variant.metric.label
        return f"{under}{model} has no defined score with any region {where} ({label})."
    found = _score_range(best, rows, variant)
    if len(set(rows["layer"])) == 1:
        return f"{under}{best['layer'].iloc[0]} of {model} and {_regions(best)} {where}: {found}."
    own = kept[(kept["variant"] == variant.name) & (kept["analysis"] == rows["analysis"].iloc[0])]
    if own["q_sweep"].isna().all():
        most = _most_frequent(best, model, "has the best score in")
        return f"{under}{most} {where}: {found}; no score was tested."
    passed = best["roi"].isin(own.loc[own["q_sweep"] < ALPHA, "roi"])
    chosen, others = best[passed], best[~passed]
    if chosen.empty:
        return (
            f"{under}{'no' if under else 'No'} layer of {model} is called best in {_regions(best)} "
            f"{where}, as no score passes its test: {found}."
        )
    which, rest = "", ""
    if len(others):
        named = f", {others['roi'].iloc[0]}," if len(others) == 1 else "s"
        count = "" if len(others) == 1 else f" {len(others)}"
        which = " with a score that passes its test"
        rest = f"; in the other{count} region{named} no score passes its test"
    found = _score_range(chosen, rows, variant)
    if len(chosen) == 1:
        layer, roi = chosen["layer"].iloc[0], chosen["roi"].iloc[0]
        return f"{under}{layer} of {model} is the layer most like {roi} {where}: {found}{rest}."
    most = _most_frequent(chosen, model, "is the best layer in", which)
    return f"{under}{most} {where}: {found}{rest}."


def _score_range(best: pd.DataFrame, rows: pd.DataFrame, variant: Variant) -> str:
    """Least and greatest of the best scores, and what they are scores of."""
    places = decimals(best["score"])
    low, high = (number(value, places) for value in (best["score"].min(), best["score"].max()))
    values = low if len(best) == 1 else f"{low} to {high}"
    return f"{variant.metric.label} {values}, {of_analysis(rows)}"


def _regions(best: pd.DataFrame) -> str:
    return str(best["roi"].iloc[0]) if len(best) == 1 else f"{len(best)} regions"


def _most_frequent(best: pd.DataFrame, model: str, verb: str, which: str = "") -> str:
    """Count the regions of the layer that is most often best, and of the next ones."""
    counts = Counter(best["layer"]).most_common()
    top, count = counts[0]
    if len(best) == 1:
        return f"{top} of {model} {verb} {_regions(best)}"
    share = f"all {len(best)}" if count == len(best) else f"{count} of {len(best)}"
    others = [f"{layer} in {_few(best, layer)}" for layer, _ in counts[1:4]]
    rest = f" ({', '.join(others)})" if others else ""
    return f"{top} of {model} {verb} {share} regions{which}{rest}"


def _few(best: pd.DataFrame, layer: str) -> str:
    """Name the ROIs in which a layer is best; count them if there are more than two."""
    rois = list(best.loc[best["layer"] == layer, "roi"])
    return enumerated(rois) if len(rois) <= 2 else str(len(rois))


def _tests_sentence(scores: pd.DataFrame, agreement: pd.DataFrame | None) -> str:
    parts = []
    tested = scores["q_sweep"].notna()
    if tested.any():
        passed = int((scores["q_sweep"] < ALPHA).sum())
        n_tests = f"{int(tested.sum())} tested scores" if tested.sum() > 1 else "one tested score"
        parts.append(f"{passed} of {n_tests} pass q < {ALPHA} over the whole sweep")
    if agreement is not None:
        layers = agreement[agreement["what"] == "layers"]
        known = layers[np.isfinite(layers["tau"])]
        if len(known):
            tau, same = known["tau"].mean(), known["same_best"].mean()
            pairs = "the two variants" if len(known) == 1 else f"{len(known)} pairs of variants"
            mean = "" if len(known) == 1 else " on average"
            share = "all" if same == 1 else f"{percent(same)} of the"
            parts.append(
                f"{pairs} rank the layers alike with Kendall's tau {number(tau, 2)}{mean}, and "
                f"have the best score in the same layer in {share} regions"
            )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""
