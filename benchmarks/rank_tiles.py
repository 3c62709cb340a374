"""Spearman's rho of RDMs given by points, in tiles, where no RDM fits into memory.

    python benchmarks/rank_tiles.py [--images 30000] [--units 512] [--voxels 150] [--small 8000]

One model against one brain region, of points that share 20 dimensions. At the small size also the
plain way: two whole RDMs, ranked. Each has a process of its own, for its peak memory; compilation
is excluded.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import Any

import numpy as np
from measure import run


def score(images: int, units: int, voxels: int, plain: bool) -> dict[str, float]:
    """Score of one pair, seconds, CPU seconds, and peak memory in GB before any of it."""
    from rsa_exp.stats.metrics.similarity import similarity
    from rsa_exp.stats.points import rank_tables
    from rsa_exp.stats.points.points import ArrayPoints, condensed_rdm
    from rsa_exp.stats.points.rank_tiles import rank_scores

    def points(n_cond: int, n_dim: int, seed: int) -> ArrayPoints:
        rng = np.random.default_rng(seed)
        latent = np.random.default_rng(0).standard_normal((n_cond, 20))
        values = latent @ rng.standard_normal((20, n_dim))
        return ArrayPoints(values + 3 * rng.standard_normal((n_cond, n_dim)))

    def compare(model: ArrayPoints, brain: ArrayPoints) -> Any:
        if plain:
            left, right = (condensed_rdm(each)[None] for each in (brain, model))
            return similarity(left, right, "spearman").scores
        return rank_scores([model], [brain], "spearman")

    wide = rank_tables._WIDE_PAIRS
    for rank_tables._WIDE_PAIRS in (0, wide):  # both types of tables
        compare(points(50, 3, 1), points(50, 3, 2))
    model, brain = points(images, units, 1), points(images, voxels, 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    start, cpu = time.perf_counter(), time.process_time()
    value = float(compare(model, brain)[0, 0])
    return {
        "score": value,
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "before": before,
    }


def child(way: str, images: int, units: int, voxels: int) -> float:
    """Measure in a process of its own, and print a row of the table."""
    sizes = [str(size) for size in (images, units, voxels)]
    text, _, memory = run([sys.executable, __file__, "--child", way, *sizes])
    result = json.loads(text.splitlines()[-1])
    print(
        f"| {images:,} | {way} | {result['score']:.12f} | {result['seconds']:.1f} s | "
        f"{result['cpu']:.1f} s | {memory:.2f} GB | {result['before']:.2f} GB |",
        flush=True,
    )
    return float(result["score"])


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=30_000)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--voxels", type=int, default=150)
    parser.add_argument("--small", type=int, default=8000, help="images of the comparison")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        way, images, units, voxels = given.child
        found = score(int(images), int(units), int(voxels), way == "whole")
        print(json.dumps(found))
        return
    print("| images | way | spearman | time | CPU time | peak memory | of it before |")
    print("|---" * 7 + "|")
    whole, tiled = (
        child(way, given.small, given.units, given.voxels) for way in ("whole", "tiles")
    )
    child("tiles", given.images, given.units, given.voxels)
    print(f"\nDifference of the two ways at {given.small:,} images: {abs(whole - tiled):.1e}")


if __name__ == "__main__":
    main()
