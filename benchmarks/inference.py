"""Inference at the published size, compared with rsatoolbox and scikit-bio: one table.

    python benchmarks/inference.py [--folder FOLDER] [--images 4916] [--draws 1000]

Makes the simulated study once (4916 images, 3.4 GB, kept in FOLDER) and runs ``subject=group`` on
it from the command line: 3 subjects x 10 ROIs x 5 layers, dual bootstrap with noise ceilings, or a
permutation test. Times and peak memory are of whole processes, including imports. rsatoolbox's
`eval_dual_bootstrap` is timed on one ROI and few samples, `mantel` of scikit-bio (if it is
installed) on one pair of RDMs; both are scaled to the same work, which is marked with ~.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import run, warm

from rsa_exp.datasets.simulation import simulate_study
from rsa_exp.stats.panels import multiplications_per_second
from rsa_exp.stats.parallel import one_blas_thread

N_SUBJECT, N_ROI, N_LAYER = 3, 10, 5
NO_DRAWS = ["inference.bootstrap=none", "inference.ceiling=none"]


def rsatoolbox_seconds(n_images: int, method: str, n_samples: int) -> float | None:
    """Seconds of rsatoolbox's dual bootstrap for one ROI and one sample; None where it raises."""
    from rsatoolbox.inference import eval_dual_bootstrap
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    rng = np.random.default_rng(0)
    n_pairs = n_images * (n_images - 1) // 2
    brain = RDMs(rng.random((N_SUBJECT, n_pairs)))
    models = [ModelFixed(str(i), rng.random(n_pairs)) for i in range(N_LAYER)]
    start = time.perf_counter()
    try:
        eval_dual_bootstrap(models, brain, method=method, N=n_samples)
    except (ValueError, TypeError, MemoryError):
        return None
    return (time.perf_counter() - start) / n_samples


def mantel_seconds(n_images: int, n_permutations: int) -> float | None:
    """Seconds of a permutation of one pair of RDMs by scikit-bio; None if it is not installed."""
    try:
        from skbio.stats.distance import DistanceMatrix, mantel
    except ImportError:
        return None
    rng = np.random.default_rng(0)
    squares = []
    for _ in range(2):
        upper = np.triu(rng.random((n_images, n_images)), 1)
        squares.append(DistanceMatrix(upper + upper.T))
    mantel(*squares, permutations=1)
    start = time.perf_counter()
    mantel(*squares, permutations=n_permutations)
    return (time.perf_counter() - start) / n_permutations


def ours(given: argparse.Namespace, align: str, settings: list[str]) -> tuple[float, float]:
    """Seconds and peak memory of a group run, imports included."""
    command = [sys.executable, "-m", "rsa_exp", "subject=group", f"align={align}"]
    command += [f"data.n_images={given.images}", f"data.root={given.folder}", "figures=none"]
    command += ["tracking=none", "inference.n_splits=0", *settings]
    with tempfile.TemporaryDirectory() as work:
        _, seconds, memory = run(command, Path(work))
    return seconds, memory


def row(*cells: str) -> None:
    """Print a row of the table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def bootstrap_rows(given: argparse.Namespace, metric: str, align: str, n_images: int) -> None:
    """Time the dual bootstrap with one metric, and rsatoolbox's."""
    settings = ["inference.n_perm=0", f"inference.n_boot={given.draws}", f"metric={metric}"]
    seconds, memory = ours(given, align, settings)
    name = f"dual bootstrap, `{metric}`, {n_images:,} images"
    theirs = None
    if align == "exact":  # at 4916 images a sample needs more memory than a small machine has
        theirs = rsatoolbox_seconds(n_images, metric, given.samples)
    mine = f"{seconds:.1f} s, {memory:.2f} GB"
    if theirs is None:
        row(name, mine, "raises" if align == "exact" else "", "")
        return
    total = theirs * N_ROI * given.draws
    row(name, mine, f"~{total / 3600:.1f} h", f"{total / seconds:,.0f}x")


def permutation_row(given: argparse.Namespace, n_images: int) -> None:
    """Time the permutation test, and scikit-bio's."""
    seconds, memory = ours(given, "exact", [*NO_DRAWS, f"inference.n_perm={given.draws}"])
    nothing, _ = ours(given, "exact", [*NO_DRAWS, "inference.n_perm=0"])
    n_pairs = N_SUBJECT * N_ROI * N_LAYER
    each = (seconds - nothing) / given.draws / n_pairs
    theirs = mantel_seconds(n_images, 20)
    work = f"{given.draws} permutations of all {n_pairs} pairs, {n_images:,} images"
    mine = f"{seconds:.1f} s, {memory:.2f} GB; {1e3 * each:.3f} ms a pair"
    if theirs is None:
        row(work, mine, "not installed", "")
        return
    minutes = theirs * given.draws * n_pairs / 60
    row(work, mine, f"~{minutes:.0f} min; {1e3 * theirs:.1f} ms a pair", f"{theirs / each:,.0f}x")


def multiplication_speeds() -> tuple[float, float]:
    """GFLOP/s of one core in single precision: our panels', and those of numpy's BLAS."""
    rng = np.random.default_rng(0)
    left = rng.random((1200, 2000), dtype=np.float32)
    right = rng.random((1024, 2000), dtype=np.float32)
    best = np.inf
    with one_blas_thread():
        for _ in range(5):
            start = time.perf_counter()
            left @ right.T
            best = min(best, time.perf_counter() - start)
    theirs = 2 * len(left) * len(right) * left.shape[1] / best / 1e9
    mine = max(multiplications_per_second(np.float32) for _ in range(20))
    return 2 * mine / 1e9, theirs


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "rsa_exp_bench"
    )
    parser.add_argument("--images", type=int, default=4916)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1, help="samples of rsatoolbox's bootstrap")
    parser.add_argument("--metrics", nargs="+", default=["corr", "corr_cov", "spearman"])
    given = parser.parse_args()
    given.folder = given.folder.absolute()
    study = simulate_study(given.folder, given.images, 0)
    warm(study)
    common = n_common(study)
    mine, theirs = multiplication_speeds()
    print(f"GFLOP/s of one core, single precision: panels {mine:.0f}, BLAS {theirs:.0f}\n")
    print("3 subjects x 10 ROIs x 5 layers, whole runs with imports, reading and aligning\n")
    row("work", "rsa_exp", "rsatoolbox, scikit-bio", "ratio")
    row(*["---"] * 4)
    for metric in given.metrics:
        bootstrap_rows(given, metric, "exact", common)
    bootstrap_rows(given, "corr", "stem", given.images)
    permutation_row(given, common)


def n_common(study: Path) -> int:
    """Count the images whose exact names are in both brain and model files."""
    import h5py

    names = []
    for path in (study / "CSI1_BOLD5000_CORR_RDMs.h5", study / "ResNet50_CORR_RDMs.h5"):
        with h5py.File(path) as file:
            names.append(set(file["pattern_descriptors/image"][()]))
    return len(names[0] & names[1])


if __name__ == "__main__":
    main()
