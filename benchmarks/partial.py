"""The cost of missing pairs: complete RDMs, and the same RDMs with pairs missing.

    python benchmarks/partial.py [--images 2985] [--metrics corr spearman ...]

10 ROIs x 5 layers in three versions: complete; without one in a hundred pairs, different ones in
each ROI; and without all pairs of one in fifty images, the same in each ROI (a missed session).
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from rsa_exp.stats.condensed import kept_pairs
from rsa_exp.stats.metrics.similarity import similarity

N_ROI, N_LAYER = 10, 5


def seconds(brain: np.ndarray, model: np.ndarray, metric: str) -> float:
    """Time of one table, compilation not counted."""
    similarity(np.where(brain[:2, :45] > 3, np.nan, brain[:2, :45]), model[:2, :45], metric)
    start = time.perf_counter()
    similarity(brain, model, metric)
    return time.perf_counter() - start


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=2985)
    metrics = ["corr", "spearman", "tau-a", "corr_cov"]
    parser.add_argument("--metrics", nargs="+", default=metrics)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    n_pairs = given.images * (given.images - 1) // 2
    model = rng.standard_normal((N_LAYER, n_pairs))
    brain = rng.standard_normal((N_ROI, n_pairs)) + 0.1 * model[:1]
    scattered = brain.copy()
    for row in scattered:
        row[rng.integers(0, n_pairs, n_pairs // 100)] = np.nan
    images = brain.copy()
    images[:, ~kept_pairs(rng.random(given.images) > 0.02)] = np.nan
    print(
        "| 10 ROIs x 5 layers | complete | 1 % of pairs, different ones per ROI | 2 % of images |"
    )
    print("|---|---|---|---|")
    for metric in given.metrics:
        times = [seconds(rdms, model, metric) for rdms in (brain, scattered, images)]
        cells = [f"{times[0]:.2f} s", *(f"{t:.2f} s, {t / times[0]:.1f}x" for t in times[1:])]
        print(f"| `{metric}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
