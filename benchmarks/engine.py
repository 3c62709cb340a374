"""The similarity engine against rsatoolbox, at the size of the published study: one table.

    python benchmarks/engine.py [--folder FOLDER] [--metrics corr spearman ...]

Makes the simulated study at full size once (4916 images, 3.4 GB, kept in FOLDER), reads its files
into the page cache, and times both on the same work, 3 subjects x 10 ROIs x 5 layers over the 2985
images with common names. Each measurement has a process of its own and excludes imports and (for
the engine) compilation. rsatoolbox is timed as the study used it (`eval_fixed` for each ROI) and in
its fastest way (one `compare` for each subject); times marked with ~ are measured on a part of the
work and scaled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import config_of, run, warm

SUBJECTS, N_ROI, N_LAYER = ("1", "2", "3"), 10, 5
N_SCORES = len(SUBJECTS) * N_ROI * N_LAYER
METRICS = (
    "corr", "cosine", "spearman", "rho-a", "tau-a", "tau-b", "corr_cov", "cosine_cov", "bures",
    "bures_metric",
)  # fmt: skip
# Pairs of RDMs that rsatoolbox is timed on if all 150 would take too long.
PAIRS = {"tau-a": 2, "tau-b": 2, "bures": 2, "bures_metric": 2}


def brain_file(study: Path, subject: str) -> Path:
    """RDM file of a subject."""
    return study / f"CSI{subject}_BOLD5000_CORR_RDMs.h5"


def model_file(study: Path) -> Path:
    """RDM file of the model."""
    return study / "ResNet50_CORR_RDMs.h5"


def rsatoolbox_loads(study: Path) -> tuple[Any, list[Any], float, float]:
    """Load and align as one would with rsatoolbox: (model, brains, seconds, of them to reorder).

    `subset_pattern` keeps a file's order, and the model's is another than the brains'.
    """
    from rsatoolbox.rdm import load_rdm

    start = time.perf_counter()
    model = load_rdm(str(model_file(study)))
    brains = [load_rdm(str(brain_file(study, subject))) for subject in SUBJECTS]
    names = [set(rdms.pattern_descriptors["image"]) for rdms in (model, *brains)]
    common = sorted(set.intersection(*names))
    aligned = [rdms.subset_pattern("image", common) for rdms in (model, *brains)]
    subset = time.perf_counter() - start
    for rdms in aligned:
        rdms.sort_by(image="alpha")
    total = time.perf_counter() - start
    return aligned[0], aligned[1:], total, total - subset


def measure_rsatoolbox(study: Path, metric: str) -> dict[str, Any]:
    """Seconds in the fastest way and as in the study, and scores of the first subject."""
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import compare

    model, brains, load, reorder = rsatoolbox_loads(study)
    result: dict[str, Any] = {"load": load, "reorder": reorder}
    if metric == "none":
        return result
    start = time.perf_counter()
    if metric in PAIRS:
        few = PAIRS[metric]
        scores = compare(
            brains[0].subset("index", 0), model.subset("index", list(range(few))), metric
        )
        result["best"] = (time.perf_counter() - start) / few * N_SCORES
        result["scores"] = scores.tolist()
        return result
    scores = compare(brains[0], model, metric)
    result["best"] = (time.perf_counter() - start) * len(SUBJECTS)
    result["scores"] = scores.tolist()
    if metric in {"corr", "spearman", "rho-a"}:
        fixed = [ModelFixed(str(i), model.subset("index", i)) for i in range(N_LAYER)]
        start = time.perf_counter()
        eval_fixed(fixed, brains[0].subset("index", 0), method=metric)
        result["study"] = (time.perf_counter() - start) * len(SUBJECTS) * N_ROI
    return result


def measure_engine(study: Path, metric: str) -> dict[str, Any]:
    """Seconds from files to all scores, and the scores of the first subject."""
    import rsa_exp.analysis.analyse  # noqa: F401  # not while time is taken
    from rsa_exp.config.schema import FilesData
    from rsa_exp.rdms.opening import open_study
    from rsa_exp.rdms.pair_gather import PairGather
    from rsa_exp.runs.inputs import analyse_config
    from rsa_exp.stats.metrics.similarity import similarity
    from rsa_exp.stats.parallel import in_order

    rng = np.random.default_rng(0)
    PairGather(np.arange(3), 3)(rng.random(3))
    if metric != "none":  # compile, or load what an earlier process compiled
        similarity(rng.random((2, 45)).round(2), rng.random((2, 45)), metric)
        similarity(rng.random((2, 45)), rng.random((2, 45)), metric)
    brain = {subject: brain_file(study, subject) for subject in SUBJECTS}
    if metric == "none":
        start = time.perf_counter()
        with open_study(brain, model_file(study), align="exact") as files:
            rows = [([s], roi) for s in SUBJECTS for roi in files.rois_of([s])]
            pairs = sum(len(rdm) for rdm in in_order(files.model_rdm, files.layers))
            pairs += sum(len(rdm) for rdm in in_order(lambda row: files.brain_rdm(*row), rows))
        return {"load": time.perf_counter() - start, "pairs": pairs}
    data = FilesData(
        brain=str(brain_file(study, "{subject}")),
        model=str(model_file(study)),
        subjects=list(SUBJECTS),
    )
    config = config_of(data, subject="group", metric=metric, align="exact")
    start = time.perf_counter()
    result = analyse_config(config)
    seconds = time.perf_counter() - start
    assert result.subject_scores is not None
    scores = result.subject_scores["score"].to_numpy().reshape(len(SUBJECTS), N_ROI, N_LAYER)[0]
    return {"all": seconds, "stages": result.seconds, "scores": scores.tolist()}


def child(who: str, study: Path, metric: str) -> dict[str, Any]:
    """Measure in a process of its own; adds the peak memory in GB."""
    command = [sys.executable, __file__, "--child", who, "--study", str(study), "--metrics", metric]
    text, _, memory = run(command)
    result: dict[str, Any] = json.loads(text.splitlines()[-1])
    return result | {"memory": memory}


def main() -> None:
    """Measure everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "rsa_exp_bench"
    )
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    parser.add_argument("--child", choices=["rsatoolbox", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure = measure_engine if given.child == "engine" else measure_rsatoolbox
        print(json.dumps(measure(given.study, given.metrics[0])))
        return
    from rsa_exp.datasets.simulation import simulate_study

    study = simulate_study(given.folder, 4916, 0)
    warm(study)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    rsatoolbox = ["rsatoolbox, as in the study", "rsatoolbox, fastest"]
    heads = ["work", *rsatoolbox, "rsa_exp", "ratio", "difference"]
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|")
    theirs, ours = (child(who, study, "none") for who in ("rsatoolbox", "engine"))
    print(
        f"| read + align | | {theirs['load']:.1f} s ({theirs['reorder']:.1f} s to reorder "
        f"images), {theirs['memory']:.2f} GB "
        f"| {ours['load']:.2f} s, {ours['memory']:.2f} GB "
        f"| {theirs['load'] / ours['load']:.1f}x, 1/{theirs['memory'] / ours['memory']:.1f} GB | |",
        flush=True,
    )
    load = theirs["load"]
    for metric in given.metrics:
        theirs, ours = (child(who, study, metric) for who in ("rsatoolbox", "engine"))
        best, mark = load + theirs["best"], "~" if metric in PAIRS else ""
        way = f"~{load + theirs['study']:.0f} s" if "study" in theirs else ""
        ratio = f"{best / ours['all']:.1f}x"
        if way:
            ratio = f"{(load + theirs['study']) / ours['all']:.0f}x, {ratio}"
        mine = np.array(ours["scores"])
        other = np.array(theirs["scores"])
        difference = np.abs(mine[: other.shape[0], : other.shape[1]] - other)
        if metric.startswith("bures"):
            difference = difference / np.abs(other)
        print(
            f"| `{metric}`, files to 150 scores | {way} | {mark}{best:.1f} s, "
            f"{theirs['memory']:.1f} GB | {ours['all']:.2f} s, {ours['memory']:.2f} GB | {ratio} "
            f"| {difference.max():.1g}{' relative' if metric.startswith('bures') else ''} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
