"""Finding a run by what a user knows of it: its id, its address in the UI, or its folder."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rsa_exp import files as output
from rsa_exp.config.compose import from_logged
from rsa_exp.errors import UNPRINTABLE, InputError, listing
from rsa_exp.runs import manifest
from rsa_exp.runs.manifest import MAX_BYTES, SweepManifest
from rsa_exp.runs.provenance_check import is_complete
from rsa_exp.vocabulary import CELL_KEYS

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.config.schema import Config
    from rsa_exp.tracking.reading import RunRecord
    from rsa_exp.tracking.store import Store

__all__ = ["Recorded", "fetch", "find", "find_one", "sweep_of"]

TEXTS = (
    "config.yaml", "scores.csv", "subject_scores.csv", "provenance.json", "alignment.json",
    "images.txt", "requirements.txt",
)  # fmt: skip
"""What is read of a run."""

_NEEDED = ("config.yaml", "scores.csv", "provenance.json")
# Hosts that `python -m rsa_exp ui` shows the local store at.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# In the address of a run, and in that of a sweep's runs.
_ID = re.compile(r"(?:/runs/|mlflow\.parentRunId\W+)([0-9a-f]{32})(?![0-9a-f])")


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
        Where it is in the store; empty if it is in none.
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

    def check(self) -> None:
        """Read what a rerun needs of it.

        Raises
        ------
        InputError
            If any of it is missing or damaged.
        """
        _ = self.config, self.provenance, self.scores

    def text(self, name: str) -> str:
        """Return what one of its files says.

        Raises
        ------
        InputError
            If it has none of that name.
        """
        if name not in self.files:
            raise InputError(f"run {self.title} in {self.place} has no {name}")
        return self.files[name]

    @cached_property
    def config(self) -> Config:
        """Its settings.

        Raises
        ------
        InputError
            If they are not those of a run.
        """
        return from_logged(self.text("config.yaml"))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What its numbers depend on besides its settings.

        Raises
        ------
        InputError
            If it is damaged.
        """
        try:
            record = json.loads(self.text("provenance.json"))
            complete = isinstance(record, dict) and is_complete(record)
        except (ValueError, RecursionError) as error:
            raise self._damaged("provenance.json") from error
        if not complete:
            raise self._damaged("provenance.json")
        return dict(record)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Its table of scores.

        Raises
        ------
        InputError
            If it is damaged.
        """
        try:
            scores = output.read_scores(io.StringIO(self.text("scores.csv")))
        except (ValueError, KeyError, OverflowError) as error:
            raise self._damaged("scores.csv") from error
        if not {*CELL_KEYS, "score"} <= set(scores.columns) or scores.empty:
            raise self._damaged("scores.csv")
        if any(map(UNPRINTABLE.search, scores[list(CELL_KEYS)].to_numpy().ravel())):
            raise self._damaged("scores.csv")
        return scores

    def _damaged(self, name: str) -> InputError:
        return InputError(f"the record of run {self.title} in {self.place} is damaged: {name}")


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
        If there is none, it did not finish, or files of a finished one are missing.
    """
    folder = _folder_named(run)
    if folder is not None:
        return _in_folder(folder)
    store, run_id = _in_store(run, store_folder)
    from rsa_exp.tracking.reading import children, read

    record = read(store, run_id, TEXTS)
    if record.tags.get("sweep") != "true":
        return [_finished(_from_store(store, record))]
    parts = [_from_store(store, child) for child in children(store, record, TEXTS)]
    return _finished_of(
        [part for part in parts if "superseded" not in part.tags], f"sweep {record.run_id}"
    )


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


def sweep_of(run: str, store_folder: Path) -> SweepManifest | None:
    """Return what is known of the sweep that `run` names; None if it names a single run."""
    folder = _folder_named(run)
    if folder is not None:
        sweep = _sweep_in(folder)
        if sweep is not None or not (folder / "runs").is_dir():
            return sweep
        return SweepManifest("", folder.name, "finished", "")
    from rsa_exp.tracking.reading import read

    record = read(*_in_store(run, store_folder), ())
    if record.tags.get("sweep") != "true":
        return None
    keys = list(filter(None, record.tags.get("swept", "").split(", ")))
    planned = record.tags.get("n_planned", "")
    return SweepManifest(
        "", record.name, record.status.lower(), record.begun, keys=keys,
        command=record.tags.get("command", ""), run_id=record.run_id,
        n_planned=int(planned) if planned.isdecimal() else 0,
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
        run = manifest.read_run(source)
        if run is not None:
            names = list(run.files)
        else:
            listed = [*source.glob("*"), *(source / "figures").glob("*")]
            names = [path.relative_to(source).as_posix() for path in listed if path.is_file()]
        return [output.copy_file(name, source, folder) for name in names]
    from rsa_exp.tracking.reading import download

    store, run_id = _in_store(recorded.run_id, store_folder)
    return download(store, run_id, folder)


def _in_store(run: str, store_folder: Path) -> tuple[Store, str]:
    """Open the store that a run is said to be in."""
    from rsa_exp.tracking.store import existing_store

    if "://" not in run:
        return existing_store(store_folder), run
    try:
        address = urlsplit(run)
    except ValueError as error:
        raise InputError(f"{run} is not an address: {error}") from error
    found = _ID.search(unquote(run))
    if found is None:
        raise InputError(f"{run} is not the address of a run: it has no /runs/RUN_ID")
    store = existing_store(store_folder)
    place = f"{address.scheme}://{address.netloc}"
    if store.folder is None and not f"{store.uri}/".startswith(f"{place}/"):
        raise InputError(
            f"{place} is not the tracking store, which is {store.uri}: set "
            f"MLFLOW_TRACKING_URI={place}"
        )
    if store.folder is not None and address.hostname not in _LOOPBACK:
        raise InputError(f"the run is on a server: set MLFLOW_TRACKING_URI={place}")
    return store, found.group(1)


def _from_store(store: Store, record: RunRecord) -> Recorded:
    return Recorded(
        record.run_id, record.name, record.status.lower(), record.experiment, record.tags,
        record.files, store.uri, record.begun, record.ended,
    )  # fmt: skip


def _folder_named(run: str) -> Path | None:
    """Return the folder that a user's word for a run names; None if it is an id or an address."""
    if not run.strip():
        raise InputError("name a run: its id, its address in the UI, or its folder")
    try:
        if Path(run).is_dir():
            return Path(run).absolute()
    except OSError:  # longer than any name
        pass
    if "/" in run and "://" not in run:
        raise InputError(f"there is no folder {run}")
    return None


def _in_folder(folder: Path) -> list[Recorded]:
    sweep = _sweep_in(folder)
    if (folder / "runs").is_dir():  # an export, which has none that did not finish
        places = sorted(path for path in (folder / "runs").iterdir() if path.is_dir())
        runs = [_finished(_from_folder(place)) for place in places]
    elif sweep is not None:
        runs = [_from_folder(place) for place, _ in manifest.find_runs(folder, sweep.uid)]
    else:
        return [_finished(_from_folder(folder))]
    return _finished_of(runs, str(folder))


def _sweep_in(folder: Path) -> SweepManifest | None:
    sweep = manifest.read_sweep(folder)
    if sweep is not None:
        _refuse_unprintable(folder / manifest.SWEEP_FILE, sweep.name, sweep.run_id, *sweep.keys)
    return sweep


def _refuse_unprintable(path: Path, *texts: str) -> None:
    if any(map(UNPRINTABLE.search, texts)):
        raise InputError(f"{path} has control characters in it: it is damaged")


def _from_folder(folder: Path) -> Recorded:
    run = manifest.read_run(folder)
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
    if run is None:
        complete = all(name in files for name in _NEEDED)
        status = "finished" if complete else "unknown"
        name = UNPRINTABLE.sub("?", folder.name)
        return Recorded("", name, status, "", {}, files, str(folder))
    _refuse_unprintable(folder / manifest.RUN_FILE, run.name, run.run_id, run.experiment)
    return Recorded(
        run.run_id, run.name, run.status, run.experiment, {}, files, str(folder), run.started,
        run.ended,
    )  # fmt: skip


def _finished_of(runs: list[Recorded], where: str) -> list[Recorded]:
    found = [_finished(run) for run in runs if run.status == "finished"]
    if not found:
        raise InputError(f"no run of {where} finished: there is nothing to compare")
    return found


def _finished(recorded: Recorded) -> Recorded:
    lacking = [name for name in _NEEDED if name not in recorded.files]
    if recorded.status in {"finished", "unknown"} and lacking:
        raise InputError(
            f"run {recorded.title} in {recorded.place} has no {listing(lacking)}: it is damaged, "
            "or not a run"
        )
    if recorded.status != "finished":
        raise InputError(
            f"run {recorded.title} in {recorded.place} ended as {recorded.status.upper()}"
            f"{f' without {listing(lacking)}' if lacking else ''}: there is nothing to compare with"
        )
    return recorded
