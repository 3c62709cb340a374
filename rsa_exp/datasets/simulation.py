"""A simulated study in the layout of the published BOLD5000 files, with a planted result.

Images get features in five layers, each built on the one below (`_layer_features`). An ROI's
voxel patterns mix, per subject, projections of all layers, a representation that its subjects and
both hemispheres share but no layer has, and voxel noise; RDMs are 1 - Pearson r over voxels. The
study is written as RDM files, or as the patterns themselves, measured in several runs whose mean
they are. How
much of each is chosen so that the RSA scores are those published for ResNet-50 and BOLD5000
(``published_scores.csv``, embedded as the planted truth: r of each subject, ROI and layer, and of
the mean RDM), apart from sampling error, which shrinks with the number of images.

`rsa_exp.datasets.planted` explains why that works.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from rsa_exp.datasets.files import FEATURE_FILE, PATTERN_FILE
from rsa_exp.datasets.planted import (
    LAYERS,
    N_FEATURES,
    N_VOXELS,
    NEIGHBOURS,
    REGIONS,
    ROIS,
    SUBJECTS,
    Mixture,
    mixture,
    published_scores,
)
from rsa_exp.errors import InputError
from rsa_exp.files import whole_folder
from rsa_exp.rdms.writing import rdm_file
from rsa_exp.stats.condensed import FloatArray, count_pairs, put_rows

__all__ = [
    "LAYERS", "ROIS", "SUBJECTS", "published_scores", "simulate_study", "simulated_bytes",
]  # fmt: skip

log = logging.getLogger(__name__)

# Part of the folder's name: files made by another recipe are never taken for these.
_RECIPE = 1
_BLOCK = 256
_MIN_IMAGES = 20
# BOLD5000's 4916 images: 2000 COCO, 1916 ImageNet, 1000 scenes of which 15 end in .jpeg.
_PROPORTIONS = {"coco": 2000 / 4916, "imagenet": 1916 / 4916, "jpeg_scenes": 15 / 1000}
_SCENES = (
    "airport", "arcade", "bakery", "barn", "bathroom", "beach", "bedroom", "bridge", "cabin",
    "canyon", "castle", "church", "classroom", "cottage", "desert", "diner", "dock", "farm",
    "forest", "garage", "garden", "gym", "harbor", "hotel", "kitchen", "lake", "library", "market",
    "meadow", "mosque", "museum", "office", "orchard", "palace", "park", "pier", "plaza", "pool",
    "porch", "quarry", "restaurant", "river", "school", "stadium", "street", "studio", "theater",
    "tunnel", "vineyard", "warehouse",
)  # fmt: skip


def simulate_study(root: Path, n_images: int, seed: int, n_runs: int = 0) -> Path:
    """Write the simulated study, unless it is there already, and return its folder.

    Files are those of the published study: ``CSI{1,2,3}_BOLD5000_CORR_RDMs.h5`` with ten ROIs and
    ``ResNet50_CORR_RDMs.h5`` with five layers. With runs they are the patterns from which the same
    RDMs follow, ``CSI{1,2,3}_patterns.h5`` and ``ResNet50_features.h5``: each image is measured
    once in each run, and the mean over runs is the pattern behind the RDM file, to rounding. The
    model file has its images in another order and all extensions as ``.jpg``. The folder appears
    under its name only when it is complete.

    Parameters
    ----------
    root : Path
        Folder under which the study gets a folder of its own.
    n_images : int
        Images, at least 20; 4916 is the size of BOLD5000 (3.4 GB).
    seed : int
        The same seed gives the same study.
    n_runs : int
        Runs in which patterns are measured; 0 writes RDM files.

    Returns
    -------
    Path
        Folder with the four files.

    Raises
    ------
    InputError
        If there are too few images, or the folder cannot be written.
    """
    if n_images < _MIN_IMAGES:
        raise InputError(f"data.n_images={n_images} is too few; use at least {_MIN_IMAGES}")
    runs = f"-runs{n_runs}" if n_runs else ""
    folder = root / f"bold5000-like-n{n_images}{runs}-seed{seed}-v{_RECIPE}"
    if (folder / "study.json").is_file():
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        # One process simulates while others wait for it; what lies unfinished once the lock is
        # held was left by a process that was killed.
        with FileLock(root / ".simulating.lock"):
            for left in root.glob(".bold5000-like-*.part"):
                shutil.rmtree(left, ignore_errors=True)
            if not (folder / "study.json").is_file():
                _simulate(root, folder, n_images, seed, n_runs)
    except OSError as error:
        raise InputError(
            f"the simulated study cannot be written to {root}: {error.strerror or error}"
        ) from error
    return folder


def _simulate(root: Path, folder: Path, n_images: int, seed: int, n_runs: int) -> None:
    """Write a study under another name and rename it when it is complete."""
    needed = simulated_bytes(n_images, n_runs)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise InputError(
            f"the simulated study of {n_images} images takes {needed / 1e6:,.0f} MB and {root} has "
            f"{free / 1e6:,.0f} MB free; set data.n_images or data.root"
        )
    log.info("simulating a study of %d images, once, in %s", n_images, folder)
    with whole_folder(folder) as part:
        _write_study(part, n_images, seed, n_runs)


def simulated_bytes(n_images: int, n_runs: int) -> int:
    """Return how many bytes a study's files take."""
    n_rois = len(SUBJECTS) * len(ROIS)
    if n_runs:
        return 8 * n_images * (n_rois * n_runs * N_VOXELS + len(LAYERS) * N_FEATURES)
    return 8 * count_pairs(n_images) * (n_rois + len(LAYERS))


def _write_study(folder: Path, n_images: int, seed: int, n_runs: int) -> None:
    names = _image_names(_rng(seed, "names"), n_images)
    features = _layer_features(_rng(seed, "features"), n_images)
    shared = {
        region: _rng(seed, "shared", region).standard_normal((n_images, N_FEATURES))
        for region in REGIONS
    }
    order = _rng(seed, "order").permutation(n_images)
    model_names = [f"{name.rpartition('.')[0]}.jpg" for name in names]

    def layer(name: str) -> FloatArray:
        return features[LAYERS.index(name)][order]

    def roi(subject: str, name: str) -> FloatArray:
        rng = _rng(seed, "patterns", subject, name)
        return _patterns(rng, features, shared[name[2:]], mixture(subject, name))

    total = len(LAYERS) + len(SUBJECTS) * len(ROIS)
    with (
        tqdm(total=total, desc="simulating the study", unit="RDM", disable=None) as bar,
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool,
    ):

        def write(
            file: str, key: str, rows: tuple[str, ...], images: list[str],
            patterns: Callable[[str], FloatArray],
        ) -> None:  # fmt: skip
            if n_runs:
                measured = n_runs if key == "roi" else 1
                with h5py.File(folder / file, "w") as out:
                    _write_labels(out, images, measured)
                    for name in rows:
                        rng = _rng(seed, "runs", file, name)
                        out[f"patterns/{name}"] = _in_runs(rng, patterns(name), measured)
                        bar.update()
                return
            notes = {"simulated_by": f"rsa_exp, recipe {_RECIPE}"}
            with rdm_file(folder / file, key, rows, images, notes=notes) as values:
                for first in range(0, len(rows), 2):  # two at a time: memory stays bounded
                    pair = pool.map(lambda row: _correlation_rdm(patterns(row)), rows[first:][:2])
                    for i, rdm in enumerate(pair, first):
                        values[i] = rdm
                        bar.update()

        model_file = FEATURE_FILE if n_runs else "ResNet50_CORR_RDMs.h5"
        brain_file = PATTERN_FILE if n_runs else "CSI{subject}_BOLD5000_CORR_RDMs.h5"
        write(model_file, "layer", LAYERS, [model_names[i] for i in order], layer)
        for subject in SUBJECTS:
            write(brain_file.format(subject=subject), "roi", ROIS, names, partial(roi, subject))
    record = {"simulated": True, "n_images": n_images, "seed": seed, "recipe": _RECIPE}
    record |= {"n_runs": n_runs} if n_runs else {}
    (folder / "study.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _write_labels(file: h5py.File, images: list[str], n_runs: int) -> None:
    """Name the image and the run of each row: run by run, images in one order."""
    file.attrs["simulated_by"] = f"rsa_exp, recipe {_RECIPE}"
    file["image"] = np.array(images * n_runs).astype("S")
    if n_runs > 1:
        file["run"] = np.repeat(np.arange(1, n_runs + 1), len(images))


def _in_runs(rng: np.random.Generator, patterns: FloatArray, n_runs: int) -> FloatArray:
    """Patterns as measured in several runs, (n_runs * n_images, n_voxels), with their mean.

    Runs differ by noise with as much variance in a voxel as its pattern has over images.
    """
    if n_runs == 1:
        return patterns
    noise = rng.standard_normal((n_runs, *patterns.shape)) * patterns.std(axis=0)
    noise -= noise.mean(axis=0)
    measured: FloatArray = patterns + noise
    return measured.reshape(-1, patterns.shape[1])


def _rng(seed: int, *purpose: str) -> np.random.Generator:
    """Return a generator of its own for each purpose, whatever else is drawn and in what order."""
    key = [int.from_bytes(word.encode(), "little") for word in purpose]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _image_names(rng: np.random.Generator, n_images: int) -> list[str]:
    """Names in BOLD5000's style and proportions: scenes, then COCO, then ImageNet."""
    n_coco = round(n_images * _PROPORTIONS["coco"])
    n_imagenet = round(n_images * _PROPORTIONS["imagenet"])
    n_scenes = n_images - n_coco - n_imagenet
    n_jpeg = round(n_scenes * _PROPORTIONS["jpeg_scenes"])
    jpeg = set(rng.choice(n_scenes, n_jpeg, replace=False).tolist())
    scenes = [
        f"{_SCENES[i % len(_SCENES)]}{i // len(_SCENES) + 1}.{'jpeg' if i in jpeg else 'jpg'}"
        for i in range(n_scenes)
    ]
    coco = np.sort(rng.choice(max(580_000, n_coco), n_coco, replace=False))
    synsets = np.sort(rng.choice(10_000_000, (n_imagenet + 1) // 2, replace=False)) + 1_000_000
    imagenet = [f"n{synsets[i // 2]:08d}_{i % 2 * 9000 + i}.JPEG" for i in range(n_imagenet)]
    return scenes + [f"COCO_train2014_{i:012d}.jpg" for i in coco] + imagenet


def _layer_features(rng: np.random.Generator, n_images: int) -> list[FloatArray]:
    """Features of each layer, (n_images, n_features): the layer below plus something new.

    A share q of the layer below makes the two layers' correlation-distance RDMs correlate at q.
    """
    features = [rng.standard_normal((n_images, N_FEATURES))]
    for share in NEIGHBOURS:
        new = rng.standard_normal((n_images, N_FEATURES))
        features.append(np.sqrt(share) * features[-1] + np.sqrt(1 - share) * new)
    return features


def _patterns(
    rng: np.random.Generator, features: list[FloatArray], shared: FloatArray, mixture: Mixture
) -> FloatArray:
    """Voxel patterns of one ROI of one subject, (n_images, n_voxels)."""
    # Orthonormal rows: each part keeps its own geometry and parts do not leak into one another.
    axes = np.linalg.qr(rng.standard_normal((N_VOXELS, N_VOXELS)))[0]
    parts = [*features, shared]
    shares = [*mixture.layers, mixture.shared]
    loads = np.sqrt(np.array(shares) / N_FEATURES)
    signal = np.hstack([load * part for load, part in zip(loads, parts, strict=True)])
    noise = rng.standard_normal((len(shared), N_VOXELS))
    patterns: FloatArray = signal @ axes[: signal.shape[1]]
    patterns += np.sqrt(mixture.noise / N_VOXELS) * noise
    return patterns


def _correlation_rdm(patterns: FloatArray) -> FloatArray:
    """Condensed RDM of ``1 - Pearson r`` between the rows of `patterns`, without its square.

    Blocks have a fixed size, so that the same patterns give the same bits.
    """
    z = patterns - patterns.mean(axis=1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z)
    condensed = np.empty(count_pairs(n))
    for first in range(0, n, _BLOCK):
        put_rows(condensed, first, 1 - z[first : first + _BLOCK] @ z[first:].T)
    return condensed
