"""Differences between BLAS kernels and numbers of threads: the same runs with each of them.

    python benchmarks/kernels.py [--images 400] [--metrics corr spearman corr_cov bures]

One machine represents several: OpenBLAS is set to use its code for other processors
(``OPENBLAS_CORETYPE``), and the number of threads is limited (``OMP_NUM_THREADS``). Every number of
each run's ``scores.csv`` (group of three subjects, dual bootstrap, permutations) is compared with
that of the run with the machine's own kernel and all its cores. Kernels that the processor cannot
run are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rsa_exp.files import read_scores
from rsa_exp.runs.comparison import Comparison, Verdict

KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX")


def run(folder: Path, metric: str, images: int, **variables: str) -> Path | None:
    """Score the group under some environment; None if the process dies of it."""
    command = [
        sys.executable, "-m", "rsa_exp", "subject=group", f"metric={metric}", "tracking=none",
        "figures=none", f"data.n_images={images}", f"hydra.run.dir={folder / metric}",
        "inference.resampling=false",
    ]  # fmt: skip
    environment = os.environ | variables
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True)
    return folder / metric / "scores.csv" if done.returncode == 0 else None


def architectures(**variables: str) -> str:
    """Return the kernels that BLAS libraries use under some environment."""
    code = (
        "import numpy, scipy.linalg, threadpoolctl as t;"
        "print(*sorted({str(i.get('architecture')) for i in t.threadpool_info()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True
    )
    return done.stdout.strip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--metrics", nargs="+", default=["corr", "spearman", "corr_cov", "bures"])
    given = parser.parse_args()
    own = architectures()
    ways = {"1 thread": {"OMP_NUM_THREADS": "1"}}
    for kernel in KERNELS:
        if architectures(OPENBLAS_CORETYPE=kernel) not in {"", own}:
            ways[f"{kernel} kernel"] = {"OPENBLAS_CORETYPE": kernel}
    print(f"Against this machine's own kernel ({own}) and {os.cpu_count()} cores:\n")
    print("| | " + " | ".join(f"`{metric}`" for metric in given.metrics) + " |")
    print("|---" * (len(given.metrics) + 1) + "|")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        plain = {m: run(root / "own", m, given.images) for m in given.metrics}
        for label, variables in ways.items():
            cells = []
            for metric, before in plain.items():
                after = run(root / label.replace(" ", "_"), metric, given.images, **variables)
                if before is None or after is None:
                    cells.append("cannot run")
                    continue
                found = Comparison(read_scores(before), read_scores(after))
                largest = max([found.largest, *found.others.values()])
                same = found.verdict is Verdict.IDENTICAL
                cells.append("identical" if same else f"{largest:.1e}")
            print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
