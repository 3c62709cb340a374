"""A whole sweep at the published size: time, memory, and agreement with the planted scores.

    python benchmarks/full_study.py [--folder FOLDER] [--inference] [--against CHECKOUT]

Simulates the study with 4916 images (3.4 GB, kept in FOLDER for the next time), runs
``subject=1,2,3 --multirun align=exact inference=none`` on it from the command line, and prints the
time of each stage and the differences of the scores from the planted ones and from rsatoolbox's on
the same files. With ``--inference`` it then runs the main job with default inference on all 4916
images, also with the code of another checkout of this repository if one is given: 10 to 20 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measure import run, warm
from mlflow import MlflowClient

from rsa_exp.datasets.simulation import LAYERS, ROIS, SUBJECTS, published_scores, simulate_study
from rsa_exp.files import read_scores

N_IMAGES = 4916
CHECKOUT = Path(__file__).resolve().parent.parent

RSATOOLBOX = """
import sys
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import load_rdm

def aligned(rdms, names):
    rdms = rdms.subset_pattern("image", names)
    rdms.sort_by(image="alpha")
    return rdms

model = load_rdm(sys.argv[1])
for subject, path in zip("123", sys.argv[2:]):
    brain = load_rdm(path)
    names = [set(rdms.pattern_descriptors["image"]) for rdms in (brain, model)]
    common = sorted(names[0] & names[1])
    brain, layers = aligned(brain, common), aligned(model, common)
    labels = layers.rdm_descriptors["layer"]
    fixed = [ModelFixed(label, layers.subset("layer", label)) for label in labels]
    for roi in brain.rdm_descriptors["roi"]:
        result = eval_fixed(fixed, brain.subset("roi", roi), method="corr")
        for label, score in zip(labels, result.evaluations[0, :, 0]):
            print(subject, roi, label, repr(float(score)))
"""


def report_sweep(folder: Path, seconds: float, memory: float) -> pd.DataFrame:
    """Print the time of each stage of a sweep; return its scores."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*/provenance.json"))]
    stages = pd.DataFrame([record["seconds"] for record in records]).sum()
    stages["track"] = in_store(folder) - stages.sum()
    what = "subject=1,2,3 --multirun align=exact inference=none"
    print(f"{what}: {seconds:.1f} s, peak {memory:.2f} GB")
    for stage, spent in stages.items():
        print(f"  {stage:<10}{spent:6.2f} s  {100 * spent / seconds:4.0f} %")
    rest = seconds - stages.sum()
    print(f"  {'rest':<10}{rest:6.2f} s  {100 * rest / seconds:4.0f} %  (imports, store, Hydra)")
    return read_scores(folder / "scores.csv")


def in_store(folder: Path) -> float:
    """Seconds between the start and the end of all runs of a sweep, from the store."""
    store = MlflowClient(f"sqlite:///{folder.parents[2]}/mlruns/mlflow.db")
    experiments = [item.experiment_id for item in store.search_experiments()]
    runs = store.search_runs(experiments, "tags.simulated = 'true'")
    return float(sum(run.info.end_time - run.info.start_time for run in runs)) / 1000


def report_truth(scores: pd.DataFrame) -> None:
    """Print the differences of the scores from the planted ones."""
    truth = published_scores()
    for subject in SUBJECTS:
        mine = scores[scores["subject"] == subject].pivot_table(
            index="roi", columns="layer", values="score", sort=False
        )
        table = mine.loc[list(ROIS), list(LAYERS)].to_numpy()
        planted = np.array([truth[subject, roi] for roi in ROIS])
        rmse = np.sqrt(((table - planted) ** 2).mean())
        r = np.corrcoef(table.ravel(), planted.ravel())[0, 1]
        best = int((table.argmax(axis=1) == LAYERS.index("layer3")).sum())
        print(f"  subject {subject}: RMSE {rmse:.5f}, r {r:.4f}, layer3 best in {best} of 10 ROIs")


def run_default(given: argparse.Namespace, checkout: Path, *settings: str) -> tuple[float, float]:
    """Seconds and peak memory of a command with default inference and a checkout's code."""
    os.environ["PYTHONPATH"] = str(checkout)
    command = [sys.executable, "-m", "rsa_exp", f"data.n_images={N_IMAGES}"]
    command += [f"data.seed={given.seed}", f"data.root={given.folder}", *settings]
    with tempfile.TemporaryDirectory() as work:
        _, seconds, memory = run(command, Path(work))
    del os.environ["PYTHONPATH"]
    return seconds, memory


def report_inference(given: argparse.Namespace) -> None:
    """Print a table of the main job with inference, of this checkout and of another."""
    checkouts = [CHECKOUT, *([given.against.resolve()] if given.against else [])]
    print("\n| 4916 images, default inference, whole commands | this | other | ratio |")
    print("|---|---|---|---|")
    quiet = ["figures=none", "tracking=none"]
    alone = [*quiet, "inference.bootstrap=none", "inference.ceiling=none", "inference.n_splits=0"]
    group = ["subject=group", "figures=none"]
    for settings, compared in (
        (["subject=1,2,3", "--multirun"], checkouts),
        (group, checkouts),
        ([*group, "metric=corr_cov"], checkouts[:1]),
        ([*group, "metric=spearman"], checkouts[:1]),
    ):
        found = [run_default(given, each, *settings) for each in compared]
        print_row(f"`{' '.join(settings)}`", [each[0] for each in found], [e[1] for e in found])
    times = [
        [run_default(given, each, *alone, f"inference.n_perm={n}")[0] for n in (1, 1000)]
        for each in checkouts
    ]
    each = [1000 * (many - one) / 1000 / 50 for one, many in times]
    print_row("a permutation of one of 50 pairs of RDMs, ms", each)


def print_row(name: str, values: list[float], memory: list[float] | None = None) -> None:
    """Print a row of the table; memory in GB beside seconds."""
    cells = [
        f"{value:.1f} s, {memory[i]:.2f} GB" if memory else f"{value:.3f}"
        for i, value in enumerate(values)
    ]
    ratio = f"{values[1] / values[0]:.1f}x" if len(values) > 1 else ""
    print(f"| {name} | {' | '.join([*cells, *[''] * (2 - len(cells)), ratio])} |", flush=True)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "rsa_exp_bench"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inference", action="store_true", help="the main job with inference, too")
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    given = parser.parse_args()
    given.folder = given.folder.absolute()
    study = simulate_study(given.folder, N_IMAGES, given.seed)
    warm(study)
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "rsa_exp", "subject=1,2,3", "--multirun", "align=exact"]
        command += ["inference=none"]
        command += [f"data.n_images={N_IMAGES}", f"data.seed={given.seed}"]
        _, seconds, memory = run([*command, f"data.root={given.folder}"], Path(work))
        (summary,) = Path(work).glob("outputs/*/*/scores.csv")
        scores = report_sweep(summary.parent, seconds, memory)
    report_truth(scores)
    brain = [str(study / f"CSI{s}_BOLD5000_CORR_RDMs.h5") for s in SUBJECTS]
    files = [str(study / "ResNet50_CORR_RDMs.h5"), *brain]
    text, seconds, memory = run([sys.executable, "-c", RSATOOLBOX, *files], given.folder)
    print(f"rsatoolbox, load_rdm + subset_pattern + eval_fixed: {seconds:.1f} s, {memory:.2f} GB")
    found = {(row.subject, row.roi, row.layer): row.score for row in scores.itertuples()}
    rows = [line.split() for line in text.splitlines()]
    largest = max(abs(found[s, roi, layer] - float(score)) for s, roi, layer, score in rows)
    print(f"  largest difference of {len(rows)} scores: {largest:.2g}")
    if given.inference:
        report_inference(given)


if __name__ == "__main__":
    main()
