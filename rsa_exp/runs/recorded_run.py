"""A recorded run: its manifest and the contents of its files, wherever these are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rsa_exp.config.compose import from_logged
from rsa_exp.config.plain_yaml import load_plain_yaml
from rsa_exp.config.schema import DEFAULTS
from rsa_exp.errors import UNPRINTABLE, InputError, listing
from rsa_exp.files import read_scores
from rsa_exp.runs.file_sources import NoFiles, RunFiles
from rsa_exp.runs.manifest import RunManifest
from rsa_exp.vocabulary import CELL_KEYS

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.config.schema import Config
    from rsa_exp.stats.condensed import FloatArray

__all__ = ["NEEDED", "RecordedRun"]

NEEDED = ("config.yaml", "scores.csv", "provenance.json")
"""Without these a run cannot be reproduced, exported or compared."""

_ALIGNMENT_KEYS = {"align", "n_common", "n_used", "files"}


@dataclass(frozen=True, eq=False)  # tables have no one truth value
class RecordedRun:
    """A run as its folder or the tracking store has it.

    Each file is read once, when it is needed, and checked, as it may be damaged or forged: reading
    what is missing, damaged or of another version of rsa_exp raises `InputError`.

    Attributes
    ----------
    manifest : RunManifest
        What it is and what became of it. The status ``unknown`` is that of a folder without
        ``run.json`` that lacks files of a run.
    files : RunFiles
        Where its files are read from.
    folder : str
        Where its files are, or were on the machine that it ran on.
    number : int
        Its index in its sweep.
    """

    manifest: RunManifest
    files: RunFiles
    folder: str
    number: int = 0

    @property
    def name(self) -> str:
        """For example ``sub-1 corr``."""
        return self.manifest.name

    @property
    def run_id(self) -> str:
        """Its id in the tracking store; empty if it is in none."""
        return self.manifest.run_id

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``killed``, ``running`` or ``unknown``."""
        return self.manifest.status

    @property
    def title(self) -> str:
        """Name and id, for messages."""
        return f"{self.name} ({self.run_id[:8]})" if self.run_id else self.name

    def text(self, name: str) -> str:
        """Return the contents of one of its files, which it must have."""
        text = self.files.read_text(name)
        if text is None:
            raise InputError(f"run {self.title} in {self.files.location} has no {name}")
        return text

    @cached_property
    def config(self) -> Config:
        """Its settings."""
        return from_logged(self.text("config.yaml"))

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Its settings as plain values, for a report: also those that this version refuses.

        Empty for a run that failed before it had any.
        """
        return load_plain_yaml(self.files.read_text("config.yaml") or "{}")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What its numbers depend on besides its settings."""
        record = self._json("provenance.json")
        if not _is_complete(record):
            raise self._damaged("provenance.json")
        return record

    @cached_property
    def alignment(self) -> dict[str, Any]:
        """How the images of its files were matched."""
        report = self._json("alignment.json")
        if not report.keys() >= _ALIGNMENT_KEYS:
            raise self._damaged("alignment.json")
        return report

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Its ``scores.csv``: a row for each ROI and layer."""
        return self._scores("scores.csv", self.text("scores.csv"))

    @cached_property
    def subject_scores(self) -> pd.DataFrame | None:
        """Scores of each subject of a run with ``subject=group``; None for other runs."""
        text = self.files.read_text("subject_scores.csv")
        return None if text is None else self._scores("subject_scores.csv", text)

    @cached_property
    def null(self) -> FloatArray | None:
        """Best score of each permutation, shape (n_perm,); None for a run without them."""
        import pandas as pd

        text = self.files.read_text("permutations.csv")
        if text is None:
            return None
        try:
            table = pd.read_csv(io.StringIO(text))
            return np.asarray(table["best_score"], dtype=float)
        except (ValueError, KeyError, OverflowError) as error:
            raise self._damaged("permutations.csv") from error

    def setting(self, key: str, default: Any = None) -> Any:
        """Return one of its `settings` by its dotted name; the default where it has none."""
        value: Any = self.settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return default if value is None else value

    def swept(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the values of swept settings: as typed, else as chosen or by default.

        A run that was made before a key was added to its sweep has no override of that key.
        """
        pairs = (text.lstrip("+").partition("=") for text in self.manifest.overrides)
        given = self.manifest.choices | {key: value.strip("'\"") for key, _, value in pairs}
        found = {}
        for key in keys:
            value = self.setting(key)
            plain = DEFAULTS.get(key) if value is None or isinstance(value, Mapping) else str(value)
            if (setting := given.get(key, plain)) is not None:
                found[key] = setting
        return found

    def check_complete(self) -> None:
        """Check that it finished, and has the files that a rerun or a comparison reads."""
        names = (self.name, self.run_id, self.manifest.experiment)
        if any(map(UNPRINTABLE.search, names)):
            raise InputError(
                f"the manifest of run {self.title} in {self.files.location} has control "
                "characters: it is damaged"
            )
        lacking = [name for name in NEEDED if self.files.read_text(name) is None]
        where = f"run {self.title} in {self.files.location}"
        if self.status in {"finished", "unknown"} and lacking:
            raise InputError(f"{where} has no {listing(lacking)}: it is damaged, or not a run")
        if self.status != "finished":
            raise InputError(
                f"{where} ended as {self.status.upper()}"
                f"{f' without {listing(lacking)}' if lacking else ''}: there is nothing to "
                "compare with"
            )

    def check_contents(self) -> None:
        """Read what a rerun needs of it."""
        _ = self.config, self.provenance, self.scores

    def verified(self) -> RecordedRun:
        """Return the run; one whose files are damaged as failed, with the reason."""
        try:
            _ = self.settings
        except InputError as error:
            return replace(self._as_failed(error), files=NoFiles(self.files.location))
        try:
            if self.status == "finished":
                _ = self.scores, self.subject_scores, self.null, self.alignment, self.provenance
        except InputError as error:
            return self._as_failed(error)
        return self

    def _as_failed(self, error: InputError) -> RecordedRun:
        reason = f"its files are missing or damaged: {error}"
        return replace(self, manifest=replace(self.manifest, status="failed", error=reason))

    def _json(self, name: str) -> dict[str, Any]:
        try:
            record = json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name) from error
        if not isinstance(record, dict):
            raise self._damaged(name)
        return record

    def _scores(self, name: str, text: str) -> pd.DataFrame:
        try:
            scores = read_scores(io.StringIO(text))
        except (ValueError, KeyError, OverflowError) as error:
            raise self._damaged(name) from error
        if not {*CELL_KEYS, "score"} <= set(scores.columns) or scores.empty:
            raise self._damaged(name)
        if any(map(UNPRINTABLE.search, scores[list(CELL_KEYS)].to_numpy().ravel())):
            raise self._damaged(name)
        return scores

    def _damaged(self, name: str) -> InputError:
        return InputError(
            f"the record of run {self.title} in {self.files.location} is damaged: {name}"
        )


def _is_complete(record: Mapping[str, Any]) -> bool:
    """Whether a record has all keys that are read, with values of the right types.

    Only the command, which is as typed, may have line breaks; no string may have other control
    characters.
    """
    inputs, overrides = record.get("inputs"), record.get("overrides", [])
    packages = record.get("packages", {})
    return (
        isinstance(record.get("content_digest"), str)
        and isinstance(inputs, list)
        and all(map(_is_input, inputs))
        and isinstance(overrides, list)
        and all(isinstance(text, str) for text in overrides)
        and isinstance(packages, dict)
        and all(isinstance(number, str | None) for number in packages.values())
        and not any(map(UNPRINTABLE.search, _strings({**record, "command": ""})))
        and not UNPRINTABLE.search(" ".join(str(record.get("command", "")).split()))
    )


def _is_input(item: object) -> bool:
    return (
        isinstance(item, dict)
        and all(isinstance(item.get(key), str) for key in ("role", "name", "path", "digest"))
        and isinstance(item.get("subject", ""), str)
        and isinstance(item.get("rows"), dict)
        and all(isinstance(digest, str) for digest in item["rows"].values())
    )


def _strings(node: object) -> Iterator[str]:
    """All keys and strings in a JSON value."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from node
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
