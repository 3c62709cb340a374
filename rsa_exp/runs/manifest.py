"""What became of a run or a sweep, in a file of its folder that is written whole or not at all.

A run's numbers are in its other files; ``run.json`` says whether they are all there, what they
are the numbers of, and whether a store has them. It is written last, so that a run which says it
is finished is.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from rsa_exp import files as output
from rsa_exp.errors import InputError

__all__ = [
    "MAX_BYTES",
    "RUN_FILE",
    "SUPERSEDED",
    "SWEEP_FILE",
    "SYNC_LOCK",
    "Run",
    "SweepFiling",
    "file_as_dead",
    "in_use",
    "milliseconds",
    "now",
    "occupied",
    "read_run",
    "read_sweep",
    "runs_below",
    "sweeps_below",
    "write",
]  # fmt: skip

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
SUPERSEDED = "superseded"
"""Folder of a sweep to which runs are moved that were done again."""

_LOCK = ".lock"  # held by the process that is at work on a run or sweep, in its folder
SYNC_LOCK = ".sync.lock"
"""Held by a process that records what is in a folder."""

# Seconds for which a lock is waited for: `in_use` takes it for an instant.
_PATIENCE = 1.0
MAX_BYTES = 20_000_000
"""No text file of a run is larger."""

# Files of a run lie in its folder or in its figures/.
_FILE = re.compile(r"(figures/)?\w[\w.-]*")

_Filing = TypeVar("_Filing", "Run", "SweepFiling")


@dataclass(frozen=True)
class Run:
    """What ``run.json`` says of a run.

    Attributes
    ----------
    uid : str
        The run's own id, by which a store's run is found that was opened for it.
    name : str
        What the store calls it.
    status : str
        ``running``, ``finished``, ``failed`` or ``killed``.
    begun, ended : str
        ISO times; `ended` is empty before.
    config_id, code_id : str
        What its numbers are determined by besides its inputs (see `rsa_exp.runs.digests`).
    overrides : list of str
        Hydra overrides it was made with.
    choices : dict of str to str
        What was chosen of each config group.
    error : str
        Why it failed; empty if it did not.
    sweep : str
        The mark of its sweep; empty for a run by itself.
    store, experiment, parent : str
        Where it is recorded: the store's address, the experiment, the id of the sweep's run there.
        Empty when it is not tracked or has no parent.
    run_id : str
        Its id in the store; empty until it ended there.
    recorded : bool
        Whether the store has all of it.
    superseded : bool
        Whether it was done again since.
    tags : dict of str to str
        Further tags in the store.
    files : list of str
        What belongs to it, relative to its folder.
    """

    uid: str
    name: str
    status: str
    begun: str
    config_id: str = ""
    code_id: str = ""
    ended: str = ""
    overrides: list[str] = dataclasses.field(default_factory=list)
    choices: dict[str, str] = dataclasses.field(default_factory=dict)
    error: str = ""
    sweep: str = ""
    store: str = ""
    experiment: str = ""
    parent: str = ""
    run_id: str = ""
    recorded: bool = False
    superseded: bool = False
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    files: list[str] = dataclasses.field(default_factory=list)

    @property
    def lacks_record(self) -> bool:
        """Whether a store should have it, or have its end, and does not."""
        return bool(self.store) and not self.recorded and self.status != "running"


@dataclass(frozen=True)
class SweepFiling:
    """What ``sweep.json`` says of a sweep.

    Attributes
    ----------
    mark : str
        What its runs carry in ``run.json``.
    name : str
        What the store calls it.
    status : str
        ``running``, ``finished``, ``failed`` or ``killed``.
    begun, ended : str
        ISO times; `ended` is empty before.
    keys : list of str
        What was swept, in any of its parts.
    overrides : list of str
        Its settings as typed, without those of Hydra itself.
    command, started_in : str
        The command as typed, and the folder it was typed in.
    store, experiment, run_id : str
        Where it is recorded, and as which run; empty when it is not tracked.
    recorded : bool
        Whether the store has its summary and its end.
    reproduces : str
        The sweep that it does again; empty for one of its own.
    n_planned : int
        Runs that were asked for when it was begun or last resumed; 0 if that is not known.
    """

    mark: str
    name: str
    status: str
    begun: str
    ended: str = ""
    keys: list[str] = dataclasses.field(default_factory=list)
    overrides: list[str] = dataclasses.field(default_factory=list)
    command: str = ""
    started_in: str = ""
    store: str = ""
    experiment: str = ""
    run_id: str = ""
    recorded: bool = False
    reproduces: str = ""
    n_planned: int = 0

    @property
    def lacks_record(self) -> bool:
        """Whether a store has its run, but not its end."""
        return bool(self.run_id) and not self.recorded and self.status != "running"


def now() -> str:
    """Return the time, as filed."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def milliseconds(time: str) -> int | None:
    """Return a filed time in ms since 1970; None if there is none."""
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else None


def write(folder: Path, filing: Run | SweepFiling) -> Path:
    """Write a filing into its folder, whole or not at all."""
    name = RUN_FILE if isinstance(filing, Run) else SWEEP_FILE
    return output.write_json(folder / name, {"format": 1, **dataclasses.asdict(filing)})


def read_run(folder: Path) -> Run | None:
    """Read a run's filing; None if the folder has none that can be read."""
    run = _read(folder / RUN_FILE, Run)
    if run is None or not re.fullmatch("[0-9a-f]{32}", run.uid):
        return None
    return run if all(_FILE.fullmatch(name) for name in run.files) else None


def read_sweep(folder: Path) -> SweepFiling | None:
    """Read a sweep's filing; None if the folder has none that can be read."""
    return _read(folder / SWEEP_FILE, SweepFiling)


def _read(path: Path, kind: type[_Filing]) -> _Filing | None:
    """Read a filing, which may come from elsewhere: data of the right types, or nothing."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    known = {item.name: item for item in dataclasses.fields(kind)}
    given = {name: value for name, value in values.items() if name in known}
    try:
        filing = kind(**given)
    except TypeError:
        return None
    return filing if all(_fits(given[name], str(known[name].type)) for name in given) else None


def _fits(value: object, kind: str) -> bool:
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "dict[str, str]":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    plain = {"bool": bool, "int": int}
    return isinstance(value, plain.get(kind, str))


def runs_below(folder: Path, mark: str | None = None) -> list[tuple[Path, Run]]:
    """Find runs under a folder: all, or those of one sweep that were not done again since.

    Returns
    -------
    list of (Path, Run)
        Their folders and filings, in the order of the folders' numbers.
    """
    found = [
        (place, run)
        for place in _places(folder, RUN_FILE)
        if (run := read_run(place)) is not None
        and (mark is None or (run.sweep == mark and not run.superseded))
    ]
    return sorted(found, key=lambda item: [_natural(part) for part in item[0].parts])


def sweeps_below(folder: Path) -> list[tuple[Path, SweepFiling]]:
    """Find the sweeps under a folder."""
    found = [(place, read_sweep(place)) for place in _places(folder, SWEEP_FILE)]
    return [(place, sweep) for place, sweep in found if sweep is not None]


def _places(folder: Path, name: str) -> list[Path]:
    """Folders that hold a file; those that are moved meanwhile are left out."""
    walked = os.walk(folder)
    return sorted(Path(place) for place, _, files in walked if name in files)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort ``10`` after ``9``."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def in_use(folder: Path) -> bool:
    """Whether a process is at work on a run or sweep; a dead one holds no lock."""
    path = folder / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def file_as_dead(folder: Path, filing: _Filing, error: str) -> None:
    """File a run or sweep as killed, unless its process is alive or has filed its end meanwhile."""
    try:
        with occupied(folder, "", patience=0):
            latest = read_run(folder) if isinstance(filing, Run) else read_sweep(folder)
            if latest == filing:
                changes: dict[str, Any] = {"error": error} if isinstance(filing, Run) else {}
                write(folder, dataclasses.replace(filing, status="killed", ended=now(), **changes))
    except InputError:
        pass


@contextmanager
def occupied(
    folder: Path, what: str, *, lock: str = _LOCK, patience: float = _PATIENCE
) -> Iterator[None]:
    """Hold a folder's lock inside the block.

    Parameters
    ----------
    folder : Path
        Whose.
    what : str
        What the folder is of, for the error's line.
    lock : str
        Name of the lock's file.
    patience : float
        Seconds for which it is waited for.

    Raises
    ------
    InputError
        If another process holds it.
    """
    held = FileLock(folder / lock)
    try:
        held.acquire(timeout=patience)
    except Timeout as error:
        raise InputError(
            f"another process is at work on the {what} in {folder}; wait for it, or stop it"
        ) from error
    try:
        yield
    finally:
        held.release()  # its file stays: who waits for it may have it open
