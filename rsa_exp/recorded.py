"""Finding a run by what a user knows of it: its id, its address in the UI, or its folder."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rsa_exp import filing, output
from rsa_exp.config import from_logged
from rsa_exp.errors import InputError, listing
from rsa_exp.filing import MAX_BYTES, SweepFiling

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.schema import Config
    from rsa_exp.tracking import RunRecord, Store

__all__ = ["KEYS", "Recorded", "fetch", "find", "find_one", "sweep_of"]

KEYS = ["subject", "roi", "layer", "metric"]
"""Columns that tell the cells of a table of scores apart."""

TEXTS = (
    "config.yaml", "scores.csv", "subject_scores.csv", "provenance.json", "alignment.json",
    "images.txt", "requirements.txt", "code.diff",
)  # fmt: skip
"""What is read of a run."""

_NEEDED = ("config.yaml", "scores.csv", "provenance.json")
# Hosts that `python -m rsa_exp ui` shows the local store at.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Recorded:
    """A run as it was recorded.

    Attributes
    ----------
    run_id : str
        Its id in the store; empty for a folder that no store has.
    name : str
        For example ``sub-1 corr``.
    status : str
        ``finished``, ``failed``, ``killed`` or ``running``.
    experiment : str
        Where it is in the store; empty for a folder.
    tags : mapping of str to str
        Its tags in the store.
    files : mapping of str to str
        Contents of `TEXTS`, of those that it has.
    place : str
        The store's address, or the folder.
    begun, ended : str
        ISO times; empty where they are not known.
    """

    run_id: str
    name: str
    status: str
    experiment: str
    tags: Mapping[str, str]
    files: Mapping[str, str]
    place: str
    begun: str = ""
    ended: str = ""

    @property
    def title(self) -> str:
        """Name and id."""
        return f"{self.name} ({self.run_id[:8]})" if self.run_id else self.name

    @cached_property
    def config(self) -> Config:
        """Its settings.

        Raises
        ------
        InputError
            If they are not those of a run.
        """
        return from_logged(self._text("config.yaml"))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What its numbers depend on besides its settings.

        Raises
        ------
        InputError
            If it is damaged.
        """
        try:
            record = json.loads(self._text("provenance.json"))
        except (ValueError, RecursionError) as error:
            raise self._damaged("provenance.json") from error
        if not isinstance(record, dict) or not _is_complete(record):
            raise self._damaged("provenance.json")
        return record

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Its table of scores.

        Raises
        ------
        InputError
            If it is damaged.
        """
        try:
            scores = output.read_scores(io.StringIO(self._text("scores.csv")))
        except (ValueError, KeyError, OverflowError) as error:
            raise self._damaged("scores.csv") from error
        if not {*KEYS, "score"} <= set(scores.columns) or scores.empty:
            raise self._damaged("scores.csv")
        return scores

    def _text(self, name: str) -> str:
        if name not in self.files:
            raise InputError(f"run {self.title} in {self.place} has no {name}")
        return self.files[name]

    def _damaged(self, name: str) -> InputError:
        return InputError(f"the record of run {self.title} in {self.place} is damaged: {name}")


def _is_complete(record: Mapping[str, Any]) -> bool:
    """Whether a record of provenance has what a rerun is checked against, of the right types."""
    inputs = record.get("inputs")
    return (
        isinstance(record.get("content_digest"), str)
        and isinstance(inputs, list)
        and all(
            isinstance(item, dict)
            and all(isinstance(item.get(key), str) for key in ("role", "name", "path", "digest"))
            and isinstance(item.get("rows"), dict)
            and all(isinstance(digest, str) for digest in item["rows"].values())
            for item in inputs
        )
    )


def find(run: str, store_folder: Path) -> list[Recorded]:
    """Find a finished run, or all finished runs of a sweep.

    Parameters
    ----------
    run : str
        An id, its unique beginning, the address of a run in the UI, or a folder: that of a run, of
        a sweep, or one that ``export`` wrote.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.

    Returns
    -------
    list of Recorded
        One, or a sweep's in their order.

    Raises
    ------
    InputError
        If there is none, or it did not finish.
    """
    folder = Path(run)
    if folder.is_dir():
        return _in_folder(folder.absolute())
    if "/" in run and "://" not in run:
        raise InputError(f"there is no folder {run}")
    store, run_id = _in_store(run, store_folder)
    from rsa_exp.tracking import children, read

    record = read(store, run_id, TEXTS)
    if record.tags.get("sweep") != "true":
        return [_finished(_from_store(store, record))]
    parts = [_from_store(store, child) for child in children(store, record, TEXTS)]
    finished = [r for r in parts if r.status == "finished" and "superseded" not in r.tags]
    if not finished:
        raise InputError(f"no run of sweep {record.run_id} finished: there is nothing to compare")
    return finished


def find_one(run: str, store_folder: Path) -> Recorded:
    """Find a finished run, as `find`.

    Raises
    ------
    InputError
        Also if it is a sweep.
    """
    found = find(run, store_folder)
    if len(found) > 1:
        names = listing([item.title for item in found], 6)
        raise InputError(f"{run} is a sweep; give one of its runs: {names}")
    return found[0]


def sweep_of(run: str, store_folder: Path) -> SweepFiling | None:
    """Return what is known of the sweep that `run` names; None if it names a single run."""
    folder = Path(run)
    if folder.is_dir():
        sweep = filing.read_sweep(folder)
        if sweep is not None or not (folder / "runs").is_dir():
            return sweep
        return SweepFiling("", folder.name, "finished", "")
    from rsa_exp.tracking import read

    record = read(*_in_store(run, store_folder), ())
    if record.tags.get("sweep") != "true":
        return None
    keys = list(filter(None, record.tags.get("swept", "").split(", ")))
    return SweepFiling(
        "", record.name, record.status.lower(), record.begun, keys=keys,
        command=record.tags.get("command", ""), run_id=record.run_id,
    )  # fmt: skip


def fetch(recorded: Recorded, store_folder: Path, folder: Path) -> list[Path]:
    """Copy all files of a recorded run, its figures too.

    Parameters
    ----------
    recorded : Recorded
        Which.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.
    folder : Path
        Where to.

    Returns
    -------
    list of Path
        The copies.
    """
    source = Path(recorded.place)
    if source.is_absolute() and source.is_dir():
        run = filing.read_run(source)
        if run is not None:
            names = list(run.files)
        else:
            listed = [*source.glob("*"), *(source / "figures").glob("*")]
            names = [path.relative_to(source).as_posix() for path in listed if path.is_file()]
        for name in names:
            if (source / name).is_symlink():
                raise InputError(f"{source / name} is a link; a run's files are not")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
        return [folder / name for name in names]
    from rsa_exp.tracking import download

    store, run_id = _in_store(recorded.run_id, store_folder)
    return download(store, run_id, folder)


def _in_store(run: str, store_folder: Path) -> tuple[Store, str]:
    """Open the store that a run is said to be in."""
    from rsa_exp.tracking import existing_store

    run_id = run
    if "://" in run:
        address = urlsplit(run)
        found = re.search(r"/runs/([0-9a-f]{32})(?![0-9a-f])", f"{address.path}{address.fragment}")
        if found is None:
            raise InputError(f"{run} is not the address of a run: it has no /runs/RUN_ID")
        run_id = found.group(1)
        store = existing_store(store_folder)
        place = f"{address.scheme}://{address.netloc}"
        if store.folder is None and not store.uri.startswith(place):
            raise InputError(
                f"{place} is not the tracking store, which is {store.uri}: set "
                f"MLFLOW_TRACKING_URI={place}"
            )
        if store.folder is not None and address.hostname not in _LOOPBACK:
            raise InputError(f"the run is on a server: set MLFLOW_TRACKING_URI={place}")
        return store, run_id
    return existing_store(store_folder), run_id


def _from_store(store: Store, record: RunRecord) -> Recorded:
    return Recorded(
        record.run_id, record.name, record.status.lower(), record.experiment, record.tags,
        record.files, store.uri, record.begun, record.ended,
    )  # fmt: skip


def _in_folder(folder: Path) -> list[Recorded]:
    sweep = filing.read_sweep(folder)
    if (folder / "runs").is_dir():
        places = sorted(path for path in (folder / "runs").iterdir() if path.is_dir())
    elif sweep is not None:
        places = [place for place, _ in filing.runs_below(folder, sweep.mark)]
    else:
        return [_finished(_from_folder(folder))]
    runs = [run for run in map(_from_folder, places) if run.status == "finished"]
    if not runs:
        raise InputError(f"no run in {folder} finished: there is nothing to compare")
    return runs


def _from_folder(folder: Path) -> Recorded:
    run = filing.read_run(folder)
    files = {}
    for name in TEXTS:
        path = folder / name
        if path.is_file():
            if path.stat().st_size > MAX_BYTES:
                raise InputError(f"{path} is larger than a run's file can be")
            try:
                files[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{path} is not text: it is damaged") from error
    complete = all(name in files for name in _NEEDED)
    status = run.status if run is not None else "finished" if complete else "unknown"
    return Recorded(
        run.run_id if run is not None else "", run.name if run is not None else folder.name,
        status, "", {}, files, str(folder),
        run.begun if run is not None else "", run.ended if run is not None else "",
    )  # fmt: skip


def _finished(recorded: Recorded) -> Recorded:
    lacking = [name for name in _NEEDED if name not in recorded.files]
    if recorded.status != "finished" or lacking:
        raise InputError(
            f"run {recorded.title} in {recorded.place} ended as {recorded.status.upper()}"
            f"{f' without {listing(lacking)}' if lacking else ''}: there is nothing to compare with"
        )
    return recorded
