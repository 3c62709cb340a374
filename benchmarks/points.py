"""Scores and standard errors of RDMs given by points, without forming any RDM.

    python benchmarks/points.py [--images 73000] [--rois 10] [--voxels 150] [--layers 5]
                                [--units 2048] [--metrics corr] [--precision float64]
                                [--formed 3000] [--linear IMAGES] [--folder FOLDER]

Writes simulated patterns (correlation distances) as float32 to HDF5 files in a temporary folder
within FOLDER, and scores every layer against every ROI from there, with all images and with each
left out, in a process of its own. The first FORMED images are also scored by forming their RDMs,
and the largest difference is shown. With ``--linear`` one ROI and one layer of UNITS each are
scored at IMAGES and at a tenth of them instead. Small: ``--images 2000 --rois 2 --voxels 50
--layers 2 --units 200 --formed 500``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from measure import run
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.engines import make_scorer
from rsa_exp.stats.condensed import Rdm
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.stats.points.points import Points, condensed_rdm
from rsa_exp.stats.uncertainty import jackknife_error

_ROWS = 5000


class FilePoints(Points):
    """The first images of points in an HDF5 file."""

    signs = None

    def __init__(self, path: Path, n_cond: int) -> None:
        self._values = h5py.File(path, "r")["points"]
        self.n_cond, self.n_dim = min(n_cond, len(self._values)), self._values.shape[1]

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read from the file."""
        values: NDArray[Any] = self._values[start:stop]
        return values


def write(folder: Path, n_images: int, dimensions: dict[str, int]) -> None:
    """Write points of correlation distances that share ten latent dimensions."""
    maps = {}
    for seed, (name, n_dim) in enumerate(dimensions.items()):
        rng = np.random.default_rng(seed)
        maps[name] = rng, rng.standard_normal((10, n_dim), dtype=np.float32)
    latent = np.random.default_rng(len(maps))
    shared = latent.standard_normal((n_images, 10), dtype=np.float32)
    for name, (rng, loadings) in maps.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            shape = n_images, loadings.shape[1]
            values = file.create_dataset("points", shape, np.float32)
            for start in range(0, n_images, _ROWS):
                block = shared[start : start + _ROWS] @ loadings
                block += 4 * rng.standard_normal(block.shape, dtype=np.float32)
                block -= block.mean(axis=1, keepdims=True)
                block /= np.linalg.norm(block, axis=1, keepdims=True) * np.float32(2**0.5)
                values[start : start + _ROWS] = block


def read(folder: Path, n_images: int) -> tuple[list[FilePoints], list[list[FilePoints]]]:
    """Layers, and ROIs of one subject."""
    layers, rois = (sorted(folder.glob(f"{kind}*.h5")) for kind in ("layer", "roi"))
    return (
        [FilePoints(path, n_images) for path in layers],
        [[FilePoints(path, n_images)] for path in rois],
    )


def without_forming(folder: Path, n_images: int, metric: str, precision: str) -> dict[str, Any]:
    """Seconds of scores alone, and with standard errors; scores and errors, (n_roi, n_layer)."""
    start = time.perf_counter()
    comparison = PointComparison(METRICS[metric], *read(folder, n_images), 1, precision)
    full = [found.scores[0, :, 0].tolist() for found in comparison.full()]
    scored = time.perf_counter() - start
    found = [found.scores[0] for found in comparison.without_images()]
    return {
        "scored": scored,
        "all": time.perf_counter() - start,
        "processor": time.process_time(),
        "scores": full,
        "errors": [jackknife_error(left_out).tolist() for left_out in found],
    }


def forming(folder: Path, n_images: int, metric: str) -> dict[str, Any]:
    """Return the same from RDMs."""
    start = time.perf_counter()
    entry, (layers, rois) = METRICS[metric], read(folder, n_images)

    def rdm(points: Points) -> Rdm:
        return Rdm.of(condensed_rdm(points))

    models = [entry.prepare(rdm(layer), np.float64) for layer in layers]
    scores = [
        entry.compare(entry.prepare(rdm(roi[0]), np.float64), models).tolist() for roi in rois
    ]
    scored = time.perf_counter() - start
    nothing = np.zeros((models[0].n_cond, 0), dtype=np.uint8)
    engine = make_scorer(entry, [partial(rdm, layer) for layer in layers], nothing, nothing, 1)
    found = engine.score([rdm(roi[0])] for roi in rois)
    return {
        "scored": scored,
        "all": time.perf_counter() - start,
        "processor": time.process_time(),
        "scores": scores,
        "errors": [
            jackknife_error(each.without_image[0]).tolist()
            for each in found
            if each.without_image is not None
        ],
    }


def child(folder: Path, arguments: Sequence[str], label: str) -> dict[str, Any]:
    """Measure in a process of its own, and print a row."""
    text, _, memory = run([sys.executable, __file__, "--child", str(folder), *arguments])
    result: dict[str, Any] = json.loads(text.splitlines()[-1])
    score, error = result["scores"][0][0], result["errors"][0][0]
    print(
        f"{label}: scores {result['scored']:.2f} s, with errors {result['all']:.2f} s "
        f"(processor {result['processor']:.1f} s), {memory:.2f} GB; first score {score:.4f}, "
        f"standard error {error:.6f}",
        flush=True,
    )
    return result


def compare(folder: Path, given: argparse.Namespace) -> None:
    """Compare both ways with few images, then score all without forming RDMs."""
    dimensions = {f"layer{k}": given.units for k in range(given.layers)}
    dimensions |= {f"roi{k}": given.voxels for k in range(given.rois)}
    write(folder, given.images, dimensions)
    for metric in given.metrics:
        common = ["--metrics", metric, "--precision", given.precision, "--images"]
        few = min(given.formed, given.images)
        label = f"{metric}, {few:,} images"
        formed = child(folder, [*common, str(few), "--form"], f"{label}, RDMs formed")
        found = child(folder, [*common, str(few)], f"{label}, no RDM")
        for name in ("scores", "errors"):
            difference = np.abs(np.subtract(found[name], formed[name])).max()
            print(f"  largest difference of {name}: {difference:.1e}")
        child(folder, [*common, str(given.images)], f"{metric}, {given.images:,} images, no RDM")


def linear(folder: Path, given: argparse.Namespace) -> None:
    """Score a tenth of the images, and all."""
    write(folder, given.linear, {"layer": given.units, "roi": given.units})
    for metric in given.metrics:
        common = ["--metrics", metric, "--precision", given.precision, "--images"]
        sizes = given.linear // 10, given.linear
        few, many = (child(folder, [*common, str(n)], f"{metric}, {n:,} images") for n in sizes)
        for name, what in (("scored", "scores"), ("all", "with errors")):
            print(f"  {what}: {many[name] / few[name] / 10:.2f} times ten times a tenth")


def main() -> None:
    """Write points, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (
        ("images", 73000),
        ("rois", 10),
        ("voxels", 150),
        ("layers", 5),
        ("units", 2048),
        ("formed", 3000),
        ("linear", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--metrics", nargs="+", default=["corr"])
    parser.add_argument("--precision", choices=["float64", "float32"], default="float64")
    parser.add_argument("--folder", type=Path, help="where there is room")
    parser.add_argument("--form", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child and given.form:
        print(json.dumps(forming(given.child, given.images, given.metrics[0])))
    elif given.child:
        arguments = given.child, given.images, given.metrics[0], given.precision
        print(json.dumps(without_forming(*arguments)))
    else:
        with tempfile.TemporaryDirectory(dir=given.folder) as work:
            (linear if given.linear else compare)(Path(work), given)


if __name__ == "__main__":
    main()
