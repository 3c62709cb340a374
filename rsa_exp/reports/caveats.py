"""Caveats: what limits the conclusions from a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsa_exp.errors import listing
from rsa_exp.reports.group_table import SUBJECTS
from rsa_exp.reports.sweep_figures import MOST_PLOTTED
from rsa_exp.reports.words import fewer_subjects
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.vocabulary import FEW_SUBJECTS, GROUP, JOINT, POOLED

if TYPE_CHECKING:
    from rsa_exp.reports.summary import Summary

__all__ = ["caveats"]


def caveats(summary: Summary) -> list[str]:
    """List the caveats that apply to a sweep, those that matter most first."""
    return [
        *_simulated(summary.sweep.runs),
        *_unfinished(summary),
        *_subjects(summary),
        *_images(summary.sweep.finished),
        *_undefined(summary),
        *_choices(summary),
        *_tests(summary),
        *_code(summary.sweep.finished),
    ]


def _simulated(runs: tuple[RecordedRun, ...]) -> Iterator[str]:
    if any(run.setting("data.kind") == "simulated" for run in runs):
        yield (
            "The data are simulated, with the published result planted in them: the numbers show "
            "that the analysis works, and say nothing about brains."
        )


def _unfinished(summary: Summary) -> Iterator[str]:
    runs = summary.sweep.runs
    for status, what in (
        ("failed", "failed"),
        ("killed", "were interrupted"),
        ("running", "were still running when this was written"),
    ):
        those = [run for run in runs if run.status == status]
        if those:
            names = "; ".join(
                ": ".join(filter(None, (run.name, run.manifest.error))) for run in those[:4]
            )
            more = f"; and {len(those) - 4} more" if len(those) > 4 else ""
            share = f"{len(those)} of {len(runs)} runs"
            yield f"{share} {what}, so their scores are missing: {names}{more}."
    never = summary.sweep.manifest.n_planned - len(runs)
    if never > 0:
        yield (
            f"{never} of {summary.sweep.manifest.n_planned} runs were never started; resume the "
            "sweep to make them."
        )


def _subjects(summary: Summary) -> Iterator[str]:
    table = summary.group
    over = table[table["analysis"].isin([SUBJECTS, GROUP])]
    most = int(over["n_subjects"].max()) if len(over) else 0
    if 1 < most < FEW_SUBJECTS:
        yield (
            f"{most} subjects leave {_count(most - 1, 'degree')} of freedom: standard errors over "
            "subjects are themselves uncertain, and tests over subjects have little power. What "
            "few subjects support is a statement about new images for these subjects."
        )
    scores = summary.scores
    single = scores[~scores["subject"].isin(POOLED)]
    swept = {"subject"}.intersection(summary.sweep.keys)
    asked = {name for run in summary.sweep.runs for name in run.swept([*swept]).values()}
    absent = sorted(asked - set(scores["subject"].astype(str)) - set(POOLED))
    if absent and len(scores):
        yield f"Subjects without any score are in no mean: {listing(absent)}."
    if fewer := fewer_subjects(summary.variants):
        yield fewer
    if len(single) == 0 and len(scores) and set(scores["subject"]) == {JOINT}:
        yield "A mean RDM over subjects hides how they differ: no variation over subjects is known."


def _images(runs: tuple[RecordedRun, ...]) -> Iterator[str]:
    apart = [run for run in runs if _of_one_subject(run)]
    of_all = [run.alignment for run in runs if run not in apart]
    for report in _distinct([run.alignment for run in runs]):
        largest = max((file["n_images"] for file in report["files"]), default=0)
        lost = report.get("n_lost_to_extensions", 0)
        if lost:
            kinds = _dropped(report)
            yield (
                f"Exact alignment keeps {report['n_common']:,} images and loses {lost:,} to file "
                f"extensions{kinds}: where a source of images has extensions of its own it is "
                "lost whole, and what remains is another sample of images."
            )
        elif report["n_common"] < largest and report in of_all:
            yield (
                f"Of up to {largest:,} images in a file, {report['n_common']:,} are common to all "
                f"files (align={report['align']})."
            )
    if len({run.setting("subject") for run in apart}) > 1:
        yield (
            f"Each subject's scores rest on the images that this subject saw ({_sizes(apart)}; "
            "match=subject): subjects differ also because their images do."
        )
    if len({run.provenance.get("images_digest") for run in runs}) > 1 and len(runs) > len(apart):
        yield (
            f"Runs rest on different images ({_sizes(runs)}): their scores differ also because "
            "their images do."
        )


def _of_one_subject(run: RecordedRun) -> bool:
    """Whether a run used the images of its subject, whatever the others saw."""
    return run.setting("match") == "subject" and run.setting("subject") not in POOLED


def _sizes(runs: Sequence[RecordedRun]) -> str:
    return listing([f"{n:,}" for n in sorted({run.alignment["n_used"] for run in runs})])


def _dropped(report: Mapping[str, Any]) -> str:
    """Name the extensions by which a file loses the most images, with an example."""
    files = [file for file in report["files"] if file["n_dropped"]]
    if not files:
        return ""
    worst = max(files, key=lambda file: file["n_dropped"])
    counts = [f"{kind or 'none'} {n:,}" for kind, n in worst["dropped_by_extension"].items()]
    example = f", such as {worst['dropped_examples'][0]}" if worst["dropped_examples"] else ""
    return f" ({listing(counts)}{example})"


def _undefined(summary: Summary) -> Iterator[str]:
    scores, group = summary.scores, summary.group
    undefined = int(scores["score"].isna().sum())
    if undefined:
        yield (
            f"{undefined} of {len(scores)} scores are undefined and left empty, never taken as 0; "
            "a mean over subjects is empty where one subject's score is."
        )
    means = group[(group["analysis"] == SUBJECTS) & group["score"].isna()]
    partly = means[means["n_subjects"] > 0]
    if len(partly):
        cells = [
            f"{row.roi} x {row.layer} ({row.n_subjects})"
            for row in partly.drop_duplicates(["roi", "layer"]).itertuples()
        ]
        yield (
            "Not every subject has a score here, so no mean is shown (in brackets, how many "
            f"have): {listing(cells, 6)}."
        )
    repeated = summary.repeated
    if len(repeated):
        cells = [f"{row.subject} {row.roi} x {row.layer}" for row in repeated.itertuples()]
        yield (
            f"{_count(len(repeated), 'score')} were made by more than one run of the same variant; "
            f"the table of all scores keeps all, everything else the last run's: "
            f"{listing(cells, 4)}."
        )


def _choices(summary: Summary) -> Iterator[str]:
    if summary.group.groupby(["variant", "roi"])["layer"].nunique().gt(1).any():
        yield (
            "Best layers are picked on the same images that score them, so their scores are "
            "optimistic and close rivals may trade places: each run's best_layers.csv says how "
            "often a layer is best over draws and split halves, and what it scores on images that "
            "did not choose it."
        )
    if len(summary.variants) > MOST_PLOTTED:
        yield (
            f"Figures of their own are plotted for the first {MOST_PLOTTED} of "
            f"{len(summary.variants)} variants; tables hold all."
        )


def _tests(summary: Summary) -> Iterator[str]:
    scores = summary.scores
    tested = scores["q_sweep"].notna()
    if not tested.any():
        if len(scores):
            yield "No score was tested: no claim about chance can rest on this sweep."
        return
    zero = scores.loc[tested, "p_zero"].notna()
    kinds = ["against 0 over bootstrap draws"] if zero.any() else []
    kinds += ["against permuted images"] if (~zero).any() else []
    yield (
        f"Here q is corrected (Benjamini-Hochberg) over all {int(tested.sum())} tests of the "
        f"sweep, {' or '.join(kinds)}, one-sided: subjects, regions, layers and variants are one "
        "family. Tests on the same data are dependent; looking at another family would give "
        "another q."
    )


def _code(runs: tuple[RecordedRun, ...]) -> Iterator[str]:
    records = [run.provenance for run in runs]
    if any(record.get("git_dirty") for record in records):
        yield "The code had uncommitted changes: the commit alone does not reproduce it."
    states = {record.get("code_id") for record in records}
    if len(states) > 1:
        yield (
            f"Runs were made by {len(states)} different states of the code that numbers come from; "
            "resume the sweep to run again what is not valid any more."
        )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _distinct(reports: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Alignments that differ in what they kept."""
    found = {(each["align"], each["n_common"], each["n_used"]): each for each in reports}
    return list(found.values())
