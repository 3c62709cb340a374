"""The engine's cost as a function of the number of images, and of ROIs x layers.

    python benchmarks/scaling.py [--images 1000 2000 5000 10000] [--metrics corr spearman ...]
                                 [--inference]

Writes RDM files of random patterns (200 voxels, so that the rank is 199, as in measured RDMs), with
images in a different order in the model file, and runs the analysis on them, from files to scores.
Each cell has a process of its own, for its peak memory; compilation is excluded. With
``--inference`` each analysis makes what is made by default: 1000 draws and 1000 permutations where
the metric allows it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from measure import config_of, run

N_VOXELS = 200
SHAPES = ((2, 2), (10, 5), (33, 19))


def write(path: Path, key: str, n_rdm: int, n_images: int, seed: int) -> None:
    """Write an RDM file of correlation distances between random patterns."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_images)
    with h5py.File(path, "w") as file:
        file["pattern_descriptors/image"] = np.array([f"i{k}.jpg" for k in order], dtype="S")
        file[f"rdm_descriptors/{key}"] = np.array([f"{key}{k}" for k in range(n_rdm)], dtype="S")
        n_pairs = n_images * (n_images - 1) // 2
        values = file.create_dataset("dissimilarities", (n_rdm, n_pairs), "<f8")
        for row in range(n_rdm):
            patterns = rng.standard_normal((n_images, N_VOXELS))
            patterns -= patterns.mean(axis=1, keepdims=True)
            patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
            condensed = np.empty(n_pairs)
            start = 0
            for i in range(n_images - 1):
                stop = start + n_images - 1 - i
                condensed[start:stop] = 1 - patterns[i + 1 :] @ patterns[i]
                start = stop
            values[row] = condensed


def measure(folder: Path, metric: str, inference: bool) -> dict[str, Any]:
    """Seconds from files to scores, or to the end of default inference."""
    import rsa_exp.analysis.analyse  # noqa: F401  # not while time is taken
    from rsa_exp.config.schema import FilesData, InferenceConfig
    from rsa_exp.rdms.pair_gather import PairGather
    from rsa_exp.runs.inputs import analyse_config
    from rsa_exp.stats.metrics.similarity import similarity

    rng = np.random.default_rng(0)
    PairGather(np.arange(3), 3)(rng.random(3))
    similarity(rng.random((2, 45)).round(2), rng.random((2, 45)), metric)
    data = FilesData(
        brain=str(folder / "{subject}.h5"), model=str(folder / "model.h5"), subjects=["brain"]
    )
    settings = dataclasses.asdict(InferenceConfig()) if inference else None
    config = config_of(data, settings, subject="brain", metric=metric)
    start = time.perf_counter()
    result = analyse_config(config)
    return {"all": time.perf_counter() - start, "read": result.seconds["read"]}


def child(folder: Path, metric: str, inference: bool) -> str:
    """Measure in a process of its own; one cell of the table."""
    command = [sys.executable, __file__, "--child", str(folder), "--metrics", metric]
    command += ["--inference"] if inference else []
    text, _, memory = run(command)
    result = json.loads(text.splitlines()[-1])
    return f"{result['all']:.2f} s, {memory:.2f} GB"


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", nargs="+", type=int, default=[1000, 2000, 5000, 10000])
    metrics = ["corr", "spearman", "corr_cov", "tau-a", "bures"]
    parser.add_argument("--metrics", nargs="+", default=metrics)
    parser.add_argument("--inference", action="store_true", help="with default inference")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.metrics[0], given.inference)))
        return
    tables = {
        "2 ROIs x 2 layers": [(f"{n:,} images", n, 2, 2) for n in given.images],
        f"{given.images[0]:,} images": [(f"{r} x {k}", given.images[0], r, k) for r, k in SHAPES],
    }
    for title, cells in tables.items():
        print(f"\n| {title} | {' | '.join(f'`{metric}`' for metric in given.metrics)} |")
        print("|---" * (len(given.metrics) + 1) + "|")
        for name, n_images, n_roi, n_layer in cells:
            with tempfile.TemporaryDirectory() as work:
                folder = Path(work)
                write(folder / "brain.h5", "roi", n_roi, n_images, 0)
                write(folder / "model.h5", "layer", n_layer, n_images, 1)
                row = [child(folder, metric, given.inference) for metric in given.metrics]
            print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
