"""How many runs arrive complete if many processes start tracking at once in a new store.

    python benchmarks/stores.py [--runs 200] [--processes 8] [--stores none sqlite server]

All processes start at the same moment, and each runs its share one after another: a small simulated
study without inference or figures, so that most of the time is spent on tracking. ``server`` is
PostgreSQL behind ``mlflow server``, which also receives the artifacts; ``none`` tracks nothing and
shows the cost of the rest. A run is complete if it is FINISHED and has its parameters, every score
of its ``scores.csv`` and all its files.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING

from measure import config_of

from rsa_exp.config.schema import SimulatedData
from rsa_exp.datasets.simulation import SUBJECTS, simulate_study
from rsa_exp.files import read_scores
from rsa_exp.tracking.addresses import metric_name, store_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from rsa_exp.config.schema import Config

STORES = {
    "none": "nothing recorded",
    "sqlite": "SQLite",
    "server": "PostgreSQL behind `mlflow server`",
}
EXPERIMENT = "stores"
FILES = {"config.yaml", "scores.csv", "alignment.json", "images.txt", "provenance.json"}
N_IMAGES = 40
_VARIABLE = "MLFLOW_TRACKING_URI"

# Barrier at which the processes of the pool wait before their first run.
_gate: Barrier | None = None


@dataclass(frozen=True)
class Share:
    """Start and end of one process, in seconds, and its errors."""

    start: float
    end: float
    errors: list[str]


def settings(work: Path, subject: str, tracked: bool) -> Config:
    """Make the settings of a run whose files and store are under `work`."""
    data = SimulatedData(
        root=str(work.parent), brain="CSI{subject}_BOLD5000_CORR_RDMs.h5",
        subjects=list(SUBJECTS), n_images=N_IMAGES,
    )  # fmt: skip
    config = config_of(data, subject=subject)
    config.model.name, config.model.file = "ResNet-50", "ResNet50_CORR_RDMs.h5"
    folder = str(work / "mlruns")
    tracking = replace(config.tracking, enabled=tracked, folder=folder, experiment=EXPERIMENT)
    return replace(config, tracking=tracking, output_dir=str(work))


def prepare(gate: Barrier, work: Path) -> None:
    """Import and compile what only the first run of a process has to."""
    global _gate
    from rsa_exp import tracking  # noqa: F401
    from rsa_exp.experiments.run import RunSpec, execute

    execute(settings(work, "1", tracked=False), RunSpec(work / f"warm-{os.getpid()}", "warm", []))
    _gate = gate


def do_share(work: Path, number: int, n_runs: int, tracked: bool) -> Share:
    """Execute the runs of one process."""
    from rsa_exp.experiments.run import RunSpec, execute

    assert _gate is not None
    errors = []
    _gate.wait()
    start = time.monotonic()
    for i in range(n_runs):
        name = f"{number}-{i}"
        config = settings(work, SUBJECTS[i % len(SUBJECTS)], tracked)
        try:
            execute(config, RunSpec(work / "runs" / name, name, []))
        except Exception as error:  # counted, whatever it is
            errors.append(f"{type(error).__name__}: {error}")
    return Share(start, time.monotonic(), errors)


def do_all(work: Path, given: argparse.Namespace, tracked: bool) -> list[Share]:
    """Execute all runs, in processes that start together."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(given.processes)
    n = given.processes
    counts = [given.runs // n + (i < given.runs % n) for i in range(n)]
    with ProcessPoolExecutor(n, context, initializer=prepare, initargs=(gate, work)) as pool:
        shares = [pool.submit(do_share, work, i, counts[i], tracked) for i in range(n)]
        return [share.result() for share in shares]


@contextmanager
def store(kind: str, work: Path, workers: int) -> Iterator[None]:
    """Provide a new, empty store of a kind; ``MLFLOW_TRACKING_URI`` names it."""
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    servers = importlib.import_module("servers")
    os.environ.pop(_VARIABLE, None)
    with ExitStack() as stack:
        if kind == "server":
            database = stack.enter_context(servers.postgres())
            behind = servers.mlflow_server(database, work, workers=workers)
            os.environ[_VARIABLE] = stack.enter_context(behind).address
        yield
    os.environ.pop(_VARIABLE, None)


def recorded(work: Path) -> tuple[int, int]:
    """Count the runs in the store, and those of them that are complete."""
    from mlflow import MlflowClient

    client = MlflowClient(store_uri(work / "mlruns"))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return 0, 0
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    return len(runs), sum(is_whole(client, run) for run in runs)


def is_whole(client: MlflowClient, run: Run) -> bool:
    """Whether the store has everything that is in the folder of a run."""
    table = Path(run.data.tags["folder"]) / "scores.csv"
    if run.info.status != "FINISHED" or not table.is_file() or "metric" not in run.data.params:
        return False
    scores = {
        metric_name("score", r.roi, r.layer): r.score for r in read_scores(table).itertuples()
    }
    if any(run.data.metrics.get(name) != score for name, score in scores.items()):
        return False
    return {item.path for item in client.list_artifacts(run.info.run_id)} >= FILES


def measure(kind: str, given: argparse.Namespace, root: Path) -> Counter[str]:
    """Print the row of a store; return the errors."""
    with tempfile.TemporaryDirectory(dir=root, prefix=f"{kind}-") as name:
        work = Path(name)
        with store(kind, work, given.workers):
            shares = do_all(work, given, tracked=kind != "none")
            seconds = max(s.end for s in shares) - min(s.start for s in shares)
            begun, whole = (0, 0) if kind == "none" else recorded(work)
    cells = [STORES[kind], "" if kind == "none" else f"{whole} of {given.runs}"]
    cells += ["" if kind == "none" else f"{begun}", f"{seconds:.1f}"]
    cells += [f"{1e3 * seconds / given.runs:.0f}"]
    print(f"| {' | '.join(cells)} |", flush=True)
    return Counter(text for share in shares for text in share.errors)


def main() -> None:
    """Measure and print the table, then the errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--workers", type=int, default=4, help="processes of the server")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    given = parser.parse_args()
    print(f"{given.runs} runs by {given.processes} processes at once, {os.cpu_count()} cores\n")
    print("| store | complete | started | s | ms per run |\n|---|---|---|---|---|")
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        simulate_study(Path(folder), N_IMAGES, 0)
        for kind in given.stores:
            errors[kind] = measure(kind, given, Path(folder))
    for kind, found in errors.items():
        for text, count in found.most_common():
            print(f"\n{STORES[kind]}, {count} runs: {text}")


if __name__ == "__main__":
    main()
