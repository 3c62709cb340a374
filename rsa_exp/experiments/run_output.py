"""Files of a run (tables, figures, provenance, log), and its messages on the terminal."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp import files as output
from rsa_exp import interrupts

if TYPE_CHECKING:
    from rsa_exp.analysis.result import Result
    from rsa_exp.config.schema import Config

__all__ = ["log_file", "print_result", "write_figures", "write_provenance", "write_results"]

log = logging.getLogger("rsa_exp")


def write_results(folder: Path, result: Result) -> list[Path]:
    """Write a run's tables, its draws if they are kept, its alignment and its images."""
    import pandas as pd

    null = None if result.null is None else pd.DataFrame({"best_score": result.null})
    tables = {
        "scores": result.scores,
        "subject_scores": result.subject_scores,
        "comparisons": result.comparisons,
        "ceilings": result.ceilings,
        "best_layers": result.best_layers,
        "permutations": null,
        "patterns": result.patterns,
    }
    files = [
        output.write_table(folder / f"{name}.csv", table)
        for name, table in tables.items()
        if table is not None
    ]
    if result.draws is not None:
        files.append(output.write_arrays(folder / "draws.npz", result.draws))
    files.append(output.write_json(folder / "alignment.json", result.alignment))
    files.append(output.write_text(folder / "images.txt", "\n".join(result.images) + "\n"))
    return files


def write_figures(folder: Path, result: Result, names: list[str]) -> list[Path]:
    """Plot and save those of the named figures that a run has the numbers for."""
    if not names:  # matplotlib takes a while to import
        return []
    from rsa_exp.figures import draw, save

    files = []
    for name, figure in draw(result, names):
        interrupts.checkpoint()
        files += save(figure, output.prepare_folder(folder / "figures"), name)
    return files


def write_provenance(
    folder: Path, result: Result, overrides: list[str], seed: int, seconds: dict[str, float],
    code_diff: bytes,
) -> list[Path]:  # fmt: skip
    """Write what a run's numbers rest on: packages, code, inputs, machine.

    `seconds` is the time of each of its stages; `code_diff` has the uncommitted changes of the code
    when it was started.
    """
    from rsa_exp.runs.provenance import provenance, requirements

    text = result.text
    record = provenance(result, overrides, seed) | {
        "seconds": seconds,
        "computed_from": result.computed_from,
        "notices": result.notices,
        "warnings": result.warnings,
        "text": {"title": text.title, "score_label": text.score_label, "note": text.note},
    }
    files = [output.write_text(folder / "requirements.txt", requirements())]
    if code_diff:
        files.append(output.write_bytes(folder / "code.diff", code_diff))
    return [*files, output.write_json(folder / "provenance.json", record)]


def print_result(result: Result, config: Config) -> None:
    """Show the run's notices and scores on the terminal."""
    from rsa_exp.reports.score_text import score_text
    from rsa_exp.runs.significance import count_significant
    from rsa_exp.stats.metrics.registry import METRICS

    for notice in result.notices:
        log.info("note: %s", notice)
    for warning in result.warnings:
        log.warning(warning)
    report = result.alignment
    each = ", ".join(f"{Path(file['file']).name} {file['n_images']}" for file in report["files"])
    log.info("images: %s; %d common, %d used", each, report["n_common"], report["n_used"])
    log.info("\n%s: %s (%s)", result.text.title, result.text.score_label, result.text.note)
    width = shutil.get_terminal_size((100, 24)).columns
    best_layers = result.best_layers
    log.info(score_text(result.scores, best_layers, METRICS[config.metric], width))
    if summary := count_significant(result.scores):
        log.info(summary)


class _LogFile(logging.FileHandler):
    """Ignores its own failures: a full disk is reported by what needs it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing."""


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write all messages of the block to a file too, with time and level."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    pattern = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(pattern))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
