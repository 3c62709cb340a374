"""A sweep that a benchmark interrupts, and checks of its files and its runs in the store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import yaml

from rsa_exp.files import read_scores
from rsa_exp.tracking.client import FAILURES, connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "TOO_LONG", "Place", "Reference", "finish", "finished_runs", "half_files", "kill",
    "wrong_in_store",
]  # fmt: skip

TOO_LONG = 300.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Place:
    """Working folder, settings and tracking server of a sweep."""

    folder: Path
    log: Path
    settings: list[str]
    server: Any = None
    experiment: str = "rsa_exp"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of rsa_exp, in a process group of its own, as a shell would."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
        if self.server is not None:
            environment["MLFLOW_TRACKING_URI"] = self.server.address
        with self.log.open("ab") as stream:
            stream.write(f"\n$ {' '.join(arguments)}\n".encode())
            stream.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "rsa_exp", *arguments], cwd=self.folder, stdout=stream,
                stderr=stream, stdin=subprocess.DEVNULL, env=environment, start_new_session=True,
            )  # fmt: skip

    def sweep(self) -> subprocess.Popen[bytes]:
        """Start the sweep from scratch."""
        return self.start("-m", *self.settings)

    def call(self, *arguments: str) -> int | None:
        """Run a command to its end; None if it hangs."""
        return finish(self.start(*arguments))

    def runs(self) -> dict[str, tuple[Path, dict[str, Any]]]:
        """Find the runs on disk that were not superseded: name to folder and ``run.json``."""
        found = {}
        for path in sorted((self.folder / "outputs").rglob("run.json")):
            with suppress(ValueError):  # a partial file, which is counted elsewhere
                run = json.loads(path.read_text(encoding="utf-8"))
                if not run["superseded"]:
                    found[run["name"]] = (path.parent, run)
        return found

    def filed(self) -> Path | None:
        """Folder of the sweep; None if it has no manifest yet."""
        found = sorted((self.folder / "outputs").rglob("sweep.json"))
        return found[-1].parent if found else None

    @contextmanager
    def store(self) -> Iterator[MlflowClient]:
        """Open the store; of a local one a copy, so that only rsa_exp itself repairs it."""
        if self.server is not None:
            yield connect(self.server.address)
            return
        with tempfile.TemporaryDirectory() as name:
            for path in (self.folder / "mlruns").glob("mlflow.db*"):
                shutil.copy2(path, name)
            yield connect(f"sqlite:///{name}/mlflow.db")


@dataclass(frozen=True)
class Reference:
    """Results of an uninterrupted sweep: seconds, scores of each run, the joined table."""

    seconds: float
    scores: dict[str, bytes]
    joined: bytes


def finish(process: subprocess.Popen[bytes]) -> int | None:
    """Wait for a process and return its status; None if it had to be killed."""
    try:
        return process.wait(timeout=TOO_LONG)
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children if it has not ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_whole(path: Path) -> bool:
    """Whether a file is complete: whether it ends as its format does."""
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".yaml":
            return isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
        elif path.suffix == ".npz":
            np.load(path).close()
        elif path.suffix == ".h5":
            h5py.File(path).close()
        elif path.name == "scores.csv":
            read_scores(path)
        if path.suffix in {".csv", ".txt"}:
            return path.read_bytes().endswith(b"\n")
        return path.suffix != ".html" or path.read_text().rstrip().endswith("</html>")
    except (OSError, ValueError, KeyError, yaml.YAMLError):
        return False


def half_files(place: Place) -> tuple[list[str], int]:
    """Find partial results; count files under a temporary name."""
    half, parts = [], 0
    for path in (place.folder / "outputs").rglob("*"):
        parts += path.name.endswith(".part")
        hidden = any(part.startswith(".") for part in path.relative_to(place.folder).parts)
        if path.is_file() and not hidden and not is_whole(path):
            half.append(f"half a file: {path}")
    return half, parts


def finished_runs(place: Place, reference: Reference) -> tuple[dict[str, str], list[str]]:
    """List the runs marked as finished, as name to uid, and the results that they lack."""
    finished, lost = {}, []
    for name, (folder, run) in place.runs().items():
        if run["status"] == "finished":
            finished[name] = run["uid"]
            missing = [file for file in run["files"] if not (folder / file).is_file()]
            if missing or (folder / "scores.csv").read_bytes() != reference.scores[name]:
                lost.append(f"{name} lacks {missing or 'its scores'}")
    return finished, lost


def runs_in_store(place: Place, client: MlflowClient) -> list[Any]:
    """Fetch all runs of the sweep's experiment."""
    experiment = client.get_experiment_by_name(place.experiment)
    if experiment is None:
        return []
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def artifacts(client: MlflowClient, run_id: str, under: str = "") -> set[str]:
    """List a run's files in the store."""
    found: set[str] = set()
    for item in client.list_artifacts(run_id, under or None):
        found |= artifacts(client, run_id, item.path) if item.is_dir else {item.path}
    return found


def wrong_in_store(place: Place, reference: Reference, *, ended: bool) -> list[str]:
    """List inconsistencies of the store; a sweep that has ended must be consistent as a whole."""
    if place.server is None and not (place.folder / "mlruns" / "mlflow.db").is_file():
        return ["there is no store"] if ended else []
    on_disk = {run["uid"]: run for _, run in place.runs().values()}
    wrong = []
    try:
        with place.store() as client, tempfile.TemporaryDirectory() as scratch:
            runs = runs_in_store(place, client)
            for run in runs:
                tags, name = run.data.tags, run.info.run_name
                if run.info.status != "FINISHED" or tags.get("sweep") == "true":
                    continue
                filed = on_disk.get(tags.get("rsa_exp.uid", ""), {"files": []})
                missing = set(filed["files"]) - artifacts(client, run.info.run_id)
                to = Path(scratch, run.info.run_id)
                to.mkdir()
                table = client.download_artifacts(run.info.run_id, "scores.csv", str(to))
                if missing or Path(table).read_bytes() != reference.scores[name]:
                    wrong.append(f"FINISHED in the store, but incomplete: {name} {sorted(missing)}")
            return wrong + (out_of_order(runs, set(on_disk)) if ended else [])
    except FAILURES as error:
        return [f"the store cannot be read: {str(error).splitlines()[0][:300]}"]


def out_of_order(runs: list[Any], uids: set[str]) -> list[str]:
    """List differences from the store of an uninterrupted sweep, except for superseded runs."""
    parents = [run for run in runs if run.data.tags.get("sweep") == "true"]
    wrong = [f"{len(parents)} sweeps in the store"] if len(parents) != 1 else []
    wrong += [f"parent is {run.info.status}" for run in parents if run.info.status != "FINISHED"]
    children = [run for run in runs if run not in parents]
    kept = [run for run in children if run.data.tags.get("superseded") != "true"]
    if sorted(run.data.tags.get("rsa_exp.uid", "") for run in kept) != sorted(uids):
        wrong.append(f"{len(kept)} runs in the store that count, {len(uids)} on disk")
    ids = {run.info.run_id for run in parents}
    for run in children:
        if run.info.status != "FINISHED" and run in kept:
            wrong.append(f"{run.info.run_name} is {run.info.status}")
        if run.info.status == "RUNNING":
            wrong.append(f"{run.info.run_name} stays RUNNING")
        if run.data.tags.get("mlflow.parentRunId") not in ids:
            wrong.append(f"{run.info.run_name} is under another parent")
    return wrong
