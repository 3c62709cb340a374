"""The overhead of a sweep of many small runs: Hydra, files, figures, the tracking store.

    python benchmarks/sweep.py [--cases none figures parallel] [--part 30] [--slurm]

The sweep has 300 runs: 3 subjects x 10 ROIs x 5 layers x 2 metrics of the simulated study, each of
one score with its inference, started from the command line and tracked in a new store. All time of
its processes that is not a stage of scoring (the ``seconds`` in ``provenance.json``, without
figures) is overhead: start, imports, composing configs, writing and tracking, figures, the summary.
The times of parallel workers are added up. Figures and Slurm take long and are measured on a part
of the runs, unless ``--part 300`` asks for all. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from measure import run, warm

from rsa_exp.datasets.simulation import LAYERS, ROIS, SUBJECTS, simulate_study

METRICS = ("corr", "spearman")


@dataclass(frozen=True)
class Case:
    """One case: a way to run the sweep.

    Attributes
    ----------
    label : str
        Name of the case in the table.
    settings : tuple of str
        Additional settings.
    target : float
        Largest overhead per run, in seconds; NaN without a target.
    workers : int
        Runs at a time.
    part : bool
        Whether only a part of the runs is measured.
    """

    label: str
    settings: tuple[str, ...]
    target: float = float("nan")
    workers: int = 1
    part: bool = False


def cases(workers: int) -> dict[str, Case]:
    """Return all cases by name."""
    none = "figures=none"
    parallel = (none, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}")
    task = ("cpus_per_task=1", "mem_gb=1", "timeout_min=10")
    slurm = (none, "hydra/launcher=submitit_slurm", *(f"hydra.launcher.{text}" for text in task))
    return {
        "none": Case("no figures", (none,), 0.6),
        "figures": Case("default figures", (), 3.0, part=True),
        "parallel": Case(f"no figures, {workers} workers", parallel, workers=workers),
        "slurm": Case(
            "no figures, Slurm", slurm, workers=os.cpu_count() or 1, part=True
        ),
    }  # fmt: skip


def measure(case: Case, study: Path, given: argparse.Namespace) -> str:
    """Run a case's sweep; return its row of the table."""
    subjects, rois = given.subjects, given.rois
    if case.part and given.part < subjects * rois * given.layers * len(METRICS):
        subjects = 1
        rois = min(rois, max(1, given.part // (given.layers * len(METRICS))))
    swept = {
        "subject": SUBJECTS[:subjects],
        "roi": ROIS[:rois],
        "layer": LAYERS[: given.layers],
        "metric": METRICS,
    }
    command = [sys.executable, "-m", "rsa_exp", "-m", f"data.root={study.parent}"]
    command += [f"{key}={','.join(values)}" for key, values in swept.items()]
    command += [f"data.n_images={given.images}", *case.settings]
    with tempfile.TemporaryDirectory(dir=given.folder) as work:
        _, seconds, memory = run(command, Path(work))
        records = [
            json.loads(path.read_text())["seconds"]
            for path in Path(work).glob("outputs/*/*/*/provenance.json")
        ]
    n_runs = subjects * rois * given.layers * len(METRICS)
    if len(records) != n_runs:
        raise SystemExit(f"{len(records)} of {n_runs} runs left their files")
    scoring = sum(sum(record.values()) - record["draw"] for record in records) / n_runs
    drawing = sum(record["draw"] for record in records) / n_runs
    overhead = seconds * case.workers / n_runs - scoring
    target = f" (target {case.target:g})" if case.target == case.target else ""
    cells = [case.label, str(n_runs), f"{seconds:.1f}", f"{scoring:.3f}", f"{overhead:.3f}{target}"]
    # Slurm's tasks are not this process's children.
    cells += [f"{drawing:.3f}", "" if "Slurm" in case.label else f"{memory:.2f} GB"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", nargs="+", choices=["none", "figures", "parallel"])
    parser.add_argument("--slurm", action="store_true", help="on a Slurm of one node, as root")
    parser.add_argument("--subjects", type=int, default=len(SUBJECTS))
    parser.add_argument("--rois", type=int, default=len(ROIS))
    parser.add_argument("--layers", type=int, default=len(LAYERS))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--part", type=int, default=30, help="runs with figures, and on Slurm")
    parser.add_argument("--workers", type=int, default=2, help="parallel runs")
    given = parser.parse_args()
    known = cases(given.workers)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        given.folder = Path(folder)
        study = simulate_study(given.folder / "simulated", given.images, 0)
        warm(study)
        if given.slurm:
            sys.path.append(str(Path(__file__).parent.parent / "tests"))
            os.environ |= stack.enter_context(importlib.import_module("slurm").one_node())
        print(f"{given.images} images, {os.cpu_count()} cores\n")
        print(
            "| sweep | runs | s | scoring, s per run | overhead, s per run | of it figures "
            "| memory |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in [*(given.cases or list(known)[:3]), *(["slurm"] if given.slurm else [])]:
            print(measure(known[name], study, given), flush=True)


if __name__ == "__main__":
    main()
