"""Rerun a tracked run from its record alone and say whether its numbers come out again."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsa_exp import output
from rsa_exp.config import from_logged
from rsa_exp.errors import InputError, listing
from rsa_exp.job import JobSpec, execute
from rsa_exp.terminal import ConsoleHandler

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.tracking import RunRecord

__all__ = ["Comparison", "reproduce"]

log = logging.getLogger("rsa_exp")

_NEEDED = ("config.yaml", "scores.csv", "provenance.json")
KEYS = ["subject", "roi", "layer", "metric"]


class Comparison:
    """Two score tables cell by cell.

    Parameters
    ----------
    old, new : DataFrame
        Tables with the columns subject, roi, layer, metric and score. Of what else a run computes
        (intervals, p values, ceilings), those columns are compared that both have.

    Attributes
    ----------
    n_cells : int
        Cells of the old table.
    n_missing : int
        Cells that only one of the tables has.
    n_different : int
        Cells of both whose scores are not the same to the last bit; NaN equals NaN.
    largest : float
        Largest absolute difference; NaN when a score became defined or undefined.
    where : str
        Its subject, ROI and layer.
    others : list of str
        Other columns in which any cell is not the same.
    """

    def __init__(self, old: pd.DataFrame, new: pd.DataFrame) -> None:
        both = old.merge(new, on=KEYS, how="outer", suffixes=("_old", "_new"), indicator=True)
        self.n_cells = len(old)
        self.n_missing = int((both["_merge"] != "both").sum())
        both = both[both["_merge"] == "both"]
        unequal = both[_differs(both, "score")]
        self.n_different = len(unequal)
        self.largest, self.where = 0.0, ""
        if self.n_different:
            size = (unequal["score_old"] - unequal["score_new"]).abs()
            worst = (
                unequal.loc[size.idxmax()] if size.notna().all() else unequal[size.isna()].iloc[0]
            )
            self.largest = float(abs(worst["score_old"] - worst["score_new"]))
            self.where = f"subject {worst['subject']}, {worst['roi']} x {worst['layer']}"
        names = [name for name in output.NUMBERS if name != "score" and name in old and name in new]
        self.others = [name for name in names if _differs(both, name).any()]

    @property
    def identical(self) -> bool:
        """Whether every score, and what else was computed, is the same to the last bit."""
        return not (self.n_missing or self.n_different or self.others)

    def __str__(self) -> str:
        if self.identical:
            return f"identical: all {self.n_cells} scores to the last bit"
        parts = []
        if self.n_different:
            parts.append(
                f"{self.n_different} of {self.n_cells} scores differ, the most by "
                f"{self.largest:.3g} ({self.where})"
            )
        if self.n_missing:
            parts.append(f"{self.n_missing} scores are in only one of the two runs")
        if self.others:
            parts.append(f"not the same either: {listing(self.others, 20)}")
        return "different: " + "; ".join(parts)


def _differs(both: pd.DataFrame, name: str) -> pd.Series[bool]:
    """Which rows of a merged table hold two numbers; NaN equals NaN."""
    before, after = both[f"{name}_old"], both[f"{name}_new"]
    return (before != after) & ~(before.isna() & after.isna())


def reproduce(run: str, store_folder: Path, output_dir: Path) -> int:
    """Rerun a tracked run from its logged config and compare every score.

    The new run is recorded in the same store and experiment and names the old one in its tag
    ``reproduces``.

    Parameters
    ----------
    run : str
        Run id, or an id's unique beginning.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.
    output_dir : Path
        Folder under which the new run lands.

    Returns
    -------
    int
        0 when all scores are identical, 1 when any differs.

    Raises
    ------
    InputError
        If there is no such run, it has no complete record, or its inputs are gone.
    """
    from rsa_exp.tracking import existing_store, read

    logging.basicConfig(level=logging.WARNING, handlers=[ConsoleHandler()], format="%(message)s")
    log.setLevel(logging.INFO)
    store = existing_store(store_folder)
    record = read(store, run, (*_NEEDED, "images.txt"))
    if record.tags.get("sweep") == "true":
        raise InputError(f"run {record.run_id} is a sweep; give one of its runs")
    lacking = set(_NEEDED).difference(record.files)
    if lacking:
        raise InputError(
            f"run {record.run_id} ended as {record.status} without {listing(sorted(lacking))}: "
            "there is nothing to compare with"
        )
    config = from_logged(record.files["config.yaml"])
    before, old_scores = _parsed(record)
    config.tracking.enabled = True
    config.tracking.folder = str(store_folder.absolute())
    config.tracking.experiment = record.experiment
    stamp = datetime.now(UTC).astimezone().strftime("%Y-%m-%d/%H-%M-%S-%f")
    folder = output_dir.absolute() / "reproduced" / f"{stamp}-{record.run_id[:8]}"
    name = record.name
    log.info("reproducing %s (%s)", name, record.run_id)
    if config.images not in {"all", *config.data.sources}:  # a list, which may have changed since
        listed = output.prepare_folder(folder) / "images_of_the_record.txt"
        config.images = str(output.write_text(listed, record.files.get("images.txt", "")))
    spec = JobSpec(
        folder,
        f"{name} (reproduced)",
        list(before.get("overrides", [])),
        tags={"reproduces": record.run_id},
    )
    outcome = execute(config, spec)

    comparison = Comparison(old_scores, output.read_scores(folder / "scores.csv"))
    log.info("")
    for line in _changes(before, json.loads((folder / "provenance.json").read_text("utf-8"))):
        log.warning(line)
    log.info("results: %s", folder)
    log.info(outcome.address)
    print(comparison)
    return 0 if comparison.identical else 1


def _parsed(record: RunRecord) -> tuple[dict[str, Any], pd.DataFrame]:
    """Provenance and scores of a record, which may have been damaged."""
    try:
        before = json.loads(record.files["provenance.json"])
        scores = output.read_scores(io.StringIO(record.files["scores.csv"]))
        complete = isinstance(before, dict) and set(KEYS) <= set(scores.columns)
    except (ValueError, KeyError):
        complete = False
    if not complete:
        raise InputError(
            f"the record of run {record.run_id} is damaged: provenance.json or scores.csv"
        )
    return before, scores


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Say what the two runs' numbers rest on that is not the same."""
    lines = []
    old_rows, new_rows = _rows(before), _rows(after)
    changed = [row for row in old_rows if row in new_rows and old_rows[row] != new_rows[row]]
    if changed:
        lines.append(f"the input has changed since: {listing(changed, 4)}")
    elif before.get("images_digest") != after.get("images_digest"):
        lines.append("other images are used than then")
    elif before.get("content_digest") != after.get("content_digest"):
        lines.append("the input has changed since: image names or the RDMs used")
    for key, what in (("git_commit", "code"), ("rsa_exp", "version of rsa_exp")):
        if before.get(key) != after.get(key):
            lines.append(f"another {what}: {before.get(key)}, now {after.get(key)}")
    if before.get("git_dirty") or after.get("git_dirty"):
        lines.append("the code had uncommitted changes in one of the two runs")
    old, new = before.get("packages"), after.get("packages")
    if isinstance(old, dict) and isinstance(new, dict):
        other = [f"{k} {old.get(k)}, now {new[k]}" for k in new if old.get(k) != new[k]]
        if other:
            lines.append(f"other packages: {listing(other, 6)}")
    return lines


def _rows(record: dict[str, Any]) -> dict[str, str]:
    """Digest of every row that a run read, keyed by file and row."""
    inputs = record.get("inputs")
    if not isinstance(inputs, list):
        return {}
    return {
        f"{item['name']} {row}": digest
        for item in inputs
        for row, digest in item.get("rows", {}).items()
    }
