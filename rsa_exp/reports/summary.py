"""A sweep as one result: its tables, its figures, what it says in words, and the report of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from rsa_exp.reports import agreement, group, tables, words
from rsa_exp.reports.drawing import Drawing, Scored, drawings
from rsa_exp.reports.html import render
from rsa_exp.reports.record import Picture, SweepRecord
from rsa_exp.reports.variants import Variant, extra_keys, variants_of
from rsa_exp.tracking.addresses import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, eq=False)
class Summary:
    """What a sweep found.

    Attributes
    ----------
    record : SweepRecord
        What it was made from.
    variants : tuple of Variant
        Ways of doing the analysis that have finished runs.
    scores, group, runs : DataFrame
        Of `tables.score_table`, `group.group_table` and `tables.run_table`.
    agreement : DataFrame or None
        Of `agreement.agreement_table`; None without several variants.
    repeated : DataFrame
        Scores that a later run of the same variant made again.
    headline : str
        One to four sentences.
    drawings : tuple of Drawing
        The figures it has, in order, with their captions; none is drawn yet.
    """

    record: SweepRecord
    variants: tuple[Variant, ...]
    scores: pd.DataFrame
    group: pd.DataFrame
    runs: pd.DataFrame
    agreement: pd.DataFrame | None
    repeated: pd.DataFrame
    headline: str
    drawings: tuple[Drawing, ...]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Draw the figures one after another, each under a plain file name."""
        for drawing in self.drawings:
            yield drawing.name, drawing.draw()

    def report(self, pictures: Sequence[Picture]) -> str:
        """Write the report as one HTML page.

        Parameters
        ----------
        pictures : sequence of Picture
            The figures as they were saved, in the order in which they were drawn.

        Raises
        ------
        OSError
            If a picture cannot be read.
        """
        return render(self, pictures)

    def metrics(self) -> list[tuple[str, float, int]]:
        """Numbers for the sweep's own run in the store: name, value and step.

        ``n_finished``, ``n_failed`` (killed ones too), and for each analysis the profile of each
        ROI with the layer's depth as step, and its best score; named after the variant first when
        there are several. Undefined scores are left out.
        """
        failed = self.runs["status"].isin(["failed", "killed"]).sum()
        found = [("n_finished", float(len(self.record.finished)), 0)]
        found.append(("n_failed", float(failed), 0))
        metrics = {each.name: each.metric for each in self.variants}
        defined = self.group.dropna(subset=["score"])
        for (name, analysis, roi), rows in defined.groupby(
            ["variant", "analysis", "roi"], sort=False
        ):
            # "=" would be replaced, ":" is allowed.
            first = [str(name).replace("=", ":")] if len(self.variants) > 1 else []
            profile = metric_name(*first, "profile", analysis, roi)
            steps = zip(rows["score"], rows["depth"], strict=True)
            found += [(profile, float(score), int(depth)) for score, depth in steps]
            best = rows["score"].max() if metrics[name].greater_is_better else rows["score"].min()
            found.append((metric_name(*first, "best", analysis, roi), float(best), 0))
        return found


def summarise(record: SweepRecord) -> Summary:
    """Put the runs of a sweep together.

    Parameters
    ----------
    record : SweepRecord
        The sweep; none of its runs need have finished.

    Returns
    -------
    Summary
        Nothing is read or written, and no figure is drawn yet.
    """
    variants = variants_of(record)
    extra = extra_keys(record, variants)
    scores = tables.score_table(record, extra)
    kept, repeated = group.latest(scores, variants)
    members = group.member_rows(variants)
    cells = group.group_table(kept, members, variants, extra)
    agreed = agreement.agreement_table(kept)
    scored = Scored(kept, members, cells, agreed)
    return Summary(
        record=record,
        variants=variants,
        scores=scores,
        group=cells,
        runs=tables.run_table(record),
        agreement=agreed,
        repeated=repeated,
        headline=words.headline(record, scores, cells, agreed, variants),
        drawings=tuple(drawings(scored, variants)),
    )
