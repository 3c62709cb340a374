"""The summary of a sweep: its tables, its figures, its headline and its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from rsa_exp.reports import agreement, group_table, sweep_tables, words
from rsa_exp.reports.html import Picture, render
from rsa_exp.reports.sweep_figures import PlannedFigure, SweepScores, plan_figures
from rsa_exp.reports.variants import Variant, extra_keys, variants_of
from rsa_exp.runs.recorded_sweep import RecordedSweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # noqa: TID251 - the type alone

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, eq=False)
class Summary:
    """What a sweep found."""

    sweep: RecordedSweep  # verified
    variants: tuple[Variant, ...]  # those that have finished runs
    scores: pd.DataFrame  # of `sweep_tables.joined_scores`
    group: pd.DataFrame  # of `group_table.group_table`
    runs: pd.DataFrame  # of `sweep_tables.run_table`
    agreement: pd.DataFrame | None  # of `agreement.agreement_table`
    repeated: pd.DataFrame  # scores that a later run of the same variant made again
    headline: str  # one to four sentences
    planned: tuple[PlannedFigure, ...]  # in order; none is plotted yet

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Plot the figures one after another, each under a plain file name."""
        for figure in self.planned:
            yield figure.name, figure.plot()

    def report(self, pictures: Sequence[Picture]) -> str:
        """Write the report as one HTML page, with the pictures of its figures.

        Raises
        ------
        OSError
            If a picture cannot be read.
        """
        return render(self, pictures)

    def metrics(self) -> list[tuple[tuple[str, ...], float, int]]:
        """Return numbers for the sweep's own run in a store: parts of the name, value and step.

        ``n_finished``, ``n_failed`` (killed ones too), and for each analysis the profile of each
        ROI with the layer's depth as step, and its best score; named after the variant first when
        there are several. Undefined scores are left out.
        """
        failed = self.runs["status"].isin(["failed", "killed"]).sum()
        found: list[tuple[tuple[str, ...], float, int]] = [
            (("n_finished",), float(len(self.sweep.finished)), 0),
            (("n_failed",), float(failed), 0),
        ]
        metrics = {each.name: each.metric for each in self.variants}
        defined = self.group.dropna(subset=["score"])
        for (name, analysis, roi), rows in defined.groupby(
            ["variant", "analysis", "roi"], sort=False
        ):
            # A store's names may have colons, and no equals signs.
            first = (str(name).replace("=", ":"),) if len(self.variants) > 1 else ()
            steps = zip(rows["score"], rows["depth"], strict=True)
            profile = (*first, "profile", analysis, roi)
            found += [(profile, float(score), int(depth)) for score, depth in steps]
            if (at := metrics[name].best(rows["score"])) is not None:
                best = float(rows["score"].iloc[at])
                found.append(((*first, "best", analysis, roi), best, 0))
        return found


def summarise(sweep: RecordedSweep) -> Summary:
    """Summarise the runs of a sweep, none of which need have finished.

    Runs with damaged files count as failed. Nothing is written, and no figure is plotted yet.
    """
    sweep = sweep.verified()
    variants = variants_of(sweep)
    extra = extra_keys(sweep, variants)
    scores = sweep_tables.joined_scores(sweep, extra)
    kept, repeated = group_table.latest(scores, variants)
    members = group_table.member_rows(variants)
    group = group_table.group_table(kept, members, variants, extra)
    agreed = agreement.agreement_table(kept)
    return Summary(
        sweep=sweep,
        variants=variants,
        scores=scores,
        group=group,
        runs=sweep_tables.run_table(sweep),
        agreement=agreed,
        repeated=repeated,
        headline=words.headline(sweep, kept, group, agreed, variants),
        planned=tuple(plan_figures(SweepScores(kept, members, group, agreed), variants)),
    )
