"""Reading recorded runs back: their files, and the runs of a sweep."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run
from tqdm import tqdm

from rsa_exp.errors import InputError
from rsa_exp.runs.manifest import MAX_BYTES
from rsa_exp.tracking.client import FAILURES, reason
from rsa_exp.tracking.store import PARENT_TAG, Store

__all__ = ["RunRecord", "children", "download", "read"]


@dataclass(frozen=True)
class RunRecord:
    """A tracked run as it was recorded.

    Attributes
    ----------
    run_id, experiment, name, status : str
        What they are in MLflow.
    begun, ended : str
        ISO times; the second is empty while it runs.
    files : dict of str to str
        Contents of the text artifacts that were asked for and exist.
    tags : dict of str to str
        The run's tags.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    begun: str
    ended: str
    files: dict[str, str]
    tags: dict[str, str]


def read(store: Store, run_id: str, names: Sequence[str]) -> RunRecord:
    """Fetch a recorded run and some of its text artifacts.

    Parameters
    ----------
    store : Store
        Where.
    run_id : str
        A run id, or an id's unique beginning of at least six characters.
    names : sequence of str
        Artifacts to read; those that do not exist are left out.

    Raises
    ------
    InputError
        If the store has no such run.
    """
    try:
        run = store.client.get_run(store.whole_id(run_id))
        experiment = store.client.get_experiment(run.info.experiment_id).name
        return _record(store, run, experiment, names)
    except FAILURES as error:
        raise InputError(f"run {run_id} cannot be read from {store.uri}: {reason(error)}") from (
            error
        )


def children(store: Store, parent: RunRecord, names: Sequence[str]) -> list[RunRecord]:
    """Fetch the runs of a sweep, in the order in which they began.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    try:
        found = list(store.search(f"tags.`{PARENT_TAG}` = '{parent.run_id}'"))
        progress = tqdm(found, desc="reading runs", unit="run", disable=None, leave=False)
        return [_record(store, run, parent.experiment, names) for run in progress]
    except FAILURES as error:
        raise InputError(
            f"the runs of sweep {parent.run_id} cannot be read from {store.uri}: {reason(error)}"
        ) from error


def download(store: Store, run_id: str, folder: Path) -> list[Path]:
    """Copy all artifacts of a run below a folder.

    Raises
    ------
    InputError
        If they cannot be had.
    """
    try:
        store.client.download_artifacts(run_id, "", str(folder))
    except FAILURES as error:
        raise InputError(
            f"the files of run {run_id} cannot be read from {store.uri}: {reason(error)}"
        ) from error
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _record(store: Store, run: Run, experiment: str, names: Sequence[str]) -> RunRecord:
    info = run.info
    place = str(info.artifact_uri).removeprefix("file://")
    if place.startswith("/") and not Path(place).is_dir() and info.status == "FINISHED":
        raise InputError(
            f"the files of run {info.run_id} are not in {place}: the store was moved, or they "
            "were deleted"
        )
    files = {}
    present = {item.path: item.file_size for item in store.client.list_artifacts(info.run_id)}
    with tempfile.TemporaryDirectory() as folder:
        for name in present.keys() & set(names):
            if (present[name] or 0) > MAX_BYTES:
                raise InputError(f"{name} of run {info.run_id} is larger than a run's can be")
            path = store.client.download_artifacts(info.run_id, name, folder)
            try:
                files[name] = Path(path).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{name} of run {info.run_id} is not text") from error
    return RunRecord(
        info.run_id, experiment, info.run_name, info.status, _time(info.start_time),
        _time(info.end_time), files, dict(run.data.tags),
    )  # fmt: skip


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
