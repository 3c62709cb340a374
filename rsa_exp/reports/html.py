"""The report of a sweep: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from rsa_exp.errors import listing
from rsa_exp.reports import facts, words
from rsa_exp.reports.caveats import caveats
from rsa_exp.reports.group_table import latest
from rsa_exp.reports.numerals import decimals, duration, number, percent
from rsa_exp.reports.score_grids import score_grids
from rsa_exp.reports.sweep_figures import MOST_PLOTTED
from rsa_exp.reports.variants import lacking

if TYPE_CHECKING:
    from rsa_exp.reports.summary import Summary

__all__ = ["Picture", "render"]

# CSS pixels of a pixel of a figure: type set at 7 points for print is read at 12 pixels.
_SCALE = 0.6


@dataclass(frozen=True)
class Picture:
    """A figure on disk: its name as `Summary.figures` gave it, and its PNG."""

    name: str
    path: Path


@dataclass(frozen=True)
class _Shown:
    """A figure on the page."""

    number: int
    caption: str
    data: str
    width: int
    variant: str | None  # that it is of; None for one of all


def render(summary: Summary, pictures: Sequence[Picture]) -> str:
    """Write the report of a sweep: an HTML document without scripts, that loads nothing.

    Raises
    ------
    OSError
        If a picture, which is embedded, cannot be read.
    """
    sweep = summary.sweep
    shown = _shown(summary, pictures)
    several = len(summary.variants) > 1
    top = facts.common_folder(sweep)
    again, rebuild = facts.reproduction(sweep)
    first = next((run for run in sweep.runs if run.settings), None)
    return _template().render(
        sweep=sweep,
        title=_title(summary),
        headline=summary.headline,
        question=words.question(summary.scores, summary.variants) if summary.variants else "",
        glance=_glance(summary),
        settings=facts.setting_rows(sweep),
        images=facts.image_tables(sweep.finished),
        messages=facts.messages(sweep.finished),
        sections=_sections(summary, shown) if summary.variants else [],
        several=several,
        overall=[each for each in shown if several and each.variant is None],
        agreement=_agreement(summary.agreement),
        swept=sweep.keys,
        runs=[_run(row, top) for row in summary.runs.to_dict("records")],
        top=top,
        started=_time(sweep.manifest.started),
        caveats=caveats(summary),
        again=again,
        rebuild=rebuild,
        provenance=facts.provenance(sweep.finished),
        config=facts.config_lines(first.settings) if first else [],
        first=first,
        references=facts.references(sweep),
    )


@cache
def _template() -> Template:
    here = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=here, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    return environment.get_template("report.html.j2")


def _title(summary: Summary) -> str:
    if not summary.variants:
        return summary.sweep.name
    models = words.enumerated(dict.fromkeys(each.model for each in summary.variants))
    studies = words.enumerated(dict.fromkeys(each.study for each in summary.variants))
    return f"{models} and {studies}"


def _shown(summary: Summary, pictures: Iterable[Picture]) -> list[_Shown]:
    """Figures as the page has them: those of each variant, then those of all, then any other."""
    planned = {figure.name: figure for figure in summary.planned}
    order = [*planned]
    found: list[_Shown] = []
    for picture in sorted(pictures, key=lambda each: (*order, each.name).index(each.name)):
        content = picture.path.read_bytes()
        width = int.from_bytes(content[16:20], "big")  # in the PNG's first chunk
        data = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        figure = planned.get(picture.name)
        caption, variant = (figure.caption, figure.variant) if figure else (picture.name, None)
        pixels = max(1, round(width * _SCALE))
        found.append(_Shown(len(found) + 1, caption, data, pixels, variant))
    return found


def _sections(summary: Summary, shown: Sequence[_Shown]) -> list[dict[str, object]]:
    """Tables and figures of each variant."""
    kept, _ = latest(summary.scores, summary.variants)
    several = len(summary.variants) > 1
    return [
        {
            "name": variant.name,
            "tables": score_grids(summary.group, kept, variant),
            "figures": [each for each in shown if not several or each.variant == variant.name],
            "folded": i >= MOST_PLOTTED,
        }
        for i, variant in enumerate(summary.variants)
    ]


def _glance(summary: Summary) -> dict[str, object] | None:
    """Best layer of each level of the visual hierarchy, a line for each variant."""
    main = {each.name: words.main_rows(summary.group, each) for each in summary.variants}
    found = {name: words.by_level(rows) for name, rows in main.items()}
    levels = list(dict.fromkeys(level for table in found.values() for level in table["level"]))
    if not levels:
        return None
    lines = []
    missing = lacking(summary.variants)
    for variant in summary.variants:
        table = found[variant.name].set_index("level")
        places = decimals(table["score"])
        cells = [
            (table.loc[level, "layer"], number(table.loc[level, "score"], places))
            if level in table.index
            else ("–", "")
            for level in levels
        ]
        best = words.best_layers(main[variant.name])
        rois = best["layer"].value_counts(sort=True)
        top = f"{rois.index[0]} ({rois.iloc[0]} of {len(best)})" if len(best) else "–"
        without = words.named_subjects(missing.get(variant.name, ()))
        lines.append((variant.name, without, variant.metric.label, cells, top))
    return {"levels": levels, "lines": lines}


def _agreement(table: pd.DataFrame | None) -> list[dict[str, str]]:
    if table is None:
        return []
    return [
        {
            "what": row["what"],
            "a": row["variant_a"],
            "b": row["variant_b"],
            "tau": number(row["tau"], 2),
            "same": _same(row["what"], row["same_best"]),
            "n": str(row["n"]),
            "subjects": listing(row["subjects"].split(","), 4) if row["subjects"] else "–",
        }
        for row in table.to_dict("records")
    ]


def _same(what: str, share: float) -> str:
    """Share of ROIs whose best layer is the same, or whether the best ROI is the same."""
    if what == "layers" or pd.isna(share):
        return percent(share)
    return "yes" if share else "no"


def _time(text: str) -> str:
    """ISO time to the minute, with a space before it; any other text unchanged."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text


def _run(row: dict[str, object], top: Path | None) -> dict[str, object]:
    """Return a row of the table of runs as text, its folder relative to the folder of all runs."""
    score = row["best_score"]
    assert isinstance(score, float)  # noqa: S101 - the table's type
    best = "" if pd.isna(score) else f"{row['best_layer']} in {row['best_roi']}"
    images = "" if pd.isna(row["n_images"]) else f"{int(str(row['n_images']).split('.')[0]):,}"
    folder = Path(str(row["folder"]))
    return row | {
        "folder": str(folder.relative_to(top) if top and folder.is_relative_to(top) else folder),
        "error": "" if pd.isna(row["error"]) else row["error"],
        "run_id": "" if pd.isna(row["run_id"]) else row["run_id"],
        "best": best,
        "score": "" if pd.isna(score) else number(score, decimals([score])),
        "images": images,
        "time": duration(float(str(row["seconds"]))),
    }
