"""Recorded runs and sweeps that are read from the tracking store."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from mlflow.entities import Run

from rsa_exp.errors import InputError
from rsa_exp.runs.file_sources import NoFiles
from rsa_exp.runs.manifest import MAX_BYTES, RunManifest, SweepManifest
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.tracking.client import explained
from rsa_exp.tracking.store import PARENT_TAG, UID_TAG, Store
from rsa_exp.tracking.tracked import ERROR_TAG

__all__ = ["StoredFiles", "read_stored"]

_Plain = TypeVar("_Plain", list[Any], dict[str, Any])


class StoredFiles:
    """The artifacts of a run in a tracking store, downloaded when they are asked for."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._problem = f"the files of run {run_id} cannot be read from {store.uri}"
        self._texts: dict[str, str | None] = {}
        self._sizes: dict[str, int] | None = None

    @property
    def location(self) -> str:
        """The store's address."""
        return self._store.uri

    def read_text(self, name: str) -> str | None:
        """Return the contents of a text artifact, as `RunFiles.read_text`."""
        if name not in self._texts:
            self._texts[name] = self._download(name)
        return self._texts[name]

    def _download(self, name: str) -> str | None:
        client = self._store.client
        try:
            with explained(self._problem):
                if self._sizes is None:
                    listed = client.list_artifacts(self._run_id)
                    self._sizes = {item.path: item.file_size or 0 for item in listed}
                if name not in self._sizes:
                    return None
                if self._sizes[name] > MAX_BYTES:
                    raise InputError(f"{name} of run {self._run_id} is larger than a run's can be")
                with tempfile.TemporaryDirectory() as folder:
                    path = client.download_artifacts(self._run_id, name, folder)
                    return Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} of run {self._run_id} is not text") from error

    def copy_to(self, folder: Path) -> list[Path]:
        """Download all artifacts, as `RunFiles.copy_to`."""
        with explained(self._problem):
            self._store.client.download_artifacts(self._run_id, "", str(folder))
        return sorted(path for path in folder.rglob("*") if path.is_file())


def read_stored(store: Store, run_id: str) -> RecordedRun | RecordedSweep:
    """Read a run or a sweep from the tracking store alone.

    It is named by its id, or an id's unique beginning of at least six characters. Its files must be
    in the store's folder.
    """
    with explained(f"run {run_id} cannot be read from {store.uri}"):
        run = store.client.get_run(store.whole_id(run_id))
        experiment = str(store.client.get_experiment(run.info.experiment_id).name)
        if run.data.tags.get("sweep") != "true":
            return _recorded_run(store, run, experiment, 0)
        children = store.search(f"tags.`{PARENT_TAG}` = '{run.info.run_id}'")
        those = [child for child in children if "superseded" not in child.data.tags]
    runs = [_recorded_run(store, child, experiment, i) for i, child in enumerate(those)]
    sweep, files = _sweep_manifest(store, run, experiment), _files(store, run)
    lost = _never_uploaded(files.read_text("runs.csv") or "", runs, sweep.keys, store.uri)
    return RecordedSweep(sweep, (*runs, *lost), files)


def _files(store: Store, run: Run) -> StoredFiles:
    folder = str(run.info.artifact_uri).removeprefix("file://")
    if folder.startswith("/") and not Path(folder).is_dir() and run.info.status == "FINISHED":
        raise InputError(
            f"the files of run {run.info.run_id} are not in {folder}: the store was moved, or they "
            "were deleted"
        )
    return StoredFiles(store, run.info.run_id)


def _recorded_run(store: Store, run: Run, experiment: str, number: int) -> RecordedRun:
    tags = run.data.tags
    manifest = RunManifest(
        **_in_both_manifests(store, run, experiment),
        config_id=tags.get("config_id", ""),
        overrides=[str(text) for text in _from_json(tags.get("overrides", ""), list)],
        choices={key: str(v) for key, v in _from_json(tags.get("choices", ""), dict).items()},
        error=tags.get(ERROR_TAG, ""),
        parent=tags.get(PARENT_TAG, ""),
    )
    return RecordedRun(manifest, _files(store, run), tags.get("folder", ""), number)


def _sweep_manifest(store: Store, run: Run, experiment: str) -> SweepManifest:
    tags = run.data.tags
    planned = tags.get("n_planned", "")
    return SweepManifest(
        **_in_both_manifests(store, run, experiment),
        keys=list(filter(None, tags.get("swept", "").split(", "))),
        command=tags.get("command", ""),
        n_planned=int(planned) if planned.isdecimal() else 0,
    )


def _in_both_manifests(store: Store, run: Run, experiment: str) -> dict[str, Any]:
    return {
        "uid": run.data.tags.get(UID_TAG, ""),
        "name": run.info.run_name,
        "status": run.info.status.lower(),
        "started": _time(run.info.start_time),
        "ended": _time(run.info.end_time),
        "store": store.uri,
        "experiment": experiment,
        "run_id": run.info.run_id,
        "uploaded": True,
    }


def _never_uploaded(
    text: str, known: Sequence[RecordedRun], keys: Sequence[str], location: str
) -> list[RecordedRun]:
    """Take runs that failed before they were in the store from the sweep's own table of runs."""
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        failed = (table["status"] == "failed") & (table["run_id"] == "")
        lost = table[failed & ~table["folder"].isin([run.folder for run in known])]
        return [
            RecordedRun(
                RunManifest(
                    "", row["name"], row["status"], "", error=row["error"],
                    choices={key: row[key] for key in keys},
                ),
                NoFiles(location), row["folder"], len(known) + i,
            )
            for i, row in enumerate(lost.to_dict("records"))
        ]  # fmt: skip
    except (ValueError, KeyError):  # there is no table, or it is damaged
        return []


def _from_json(text: str, kind: type[_Plain]) -> _Plain:
    """Parse a tag's JSON; an empty value where it is missing or damaged."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
