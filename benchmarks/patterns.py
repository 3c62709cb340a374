"""From files of patterns and features to scores: time, memory, and agreement with RDMs.

    python benchmarks/patterns.py [study] [agreement] [nsd] [tiles] [--small] [--folder FOLDER]

What is measured has processes of its own, for its peak memory; imports are not timed, and what they
take of it is shown beside the peak. Our times of ``study`` are the best of three, so that they
include no compilation.

- ``study``: the published study (4916 images, 3 subjects x 10 ROIs, 5 layers) is scored from files
  of patterns, of subject 1 and of the group, and by rsatoolbox, which makes all RDMs of the same
  patterns (`calc_rdm`) and compares them.
- ``agreement``: the same study is analysed from RDM files and from the patterns that made them,
  with default inference; the largest difference in each column of each table is shown.
- ``nsd``: 73,000 images as float32, 10 ROIs of 150 voxels, 5 layers of 2048 units: scores and
  jackknife, with the model's images in the brain's order, and in another one.
- ``tiles``: spearman of 30,000 images, 1 ROI x 1 layer of 512 units. The program is told that whole
  RDMs (3.6 GB each) do not fit, and that 6 GB are free, whatever the machine has.

Studies are kept in FOLDER for the next time: 0.5 GB, 3.4, 6.4 and 0.2. ``--small`` has few images.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What takes memory is imported in the processes that are measured.
import numpy as np
from measure import run, warm

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp import Study

SUBJECTS = ("1", "2", "3")
# Bytes that are said to be free for tiles.
FREE = 6e9
_ROWS = 5000


def of_patterns(folder: Path) -> Study:
    """Open a folder of patterns."""
    import rsa_exp

    options = rsa_exp.PatternOptions()
    brain = {path.stem[3:4]: path for path in sorted(folder.glob("CSI*_patterns.h5"))}
    model = folder / "ResNet50_features.h5"
    return rsa_exp.open_study(brain, model, patterns=options, features=options)


def of_rdms(folder: Path) -> Study:
    """Open a folder of RDM files."""
    import rsa_exp

    brain = {path.stem[3:4]: path for path in sorted(folder.glob("CSI*_RDMs.h5"))}
    return rsa_exp.open_study(brain, folder / "ResNet50_CORR_RDMs.h5")


def analysed(folder: Path, repeats: int = 1, **settings: Any) -> dict[str, Any]:
    """Seconds and CPU seconds of an analysis from closed files on, the best of several; scores."""
    import rsa_exp

    times = []
    for _ in range(repeats):
        start, spent = time.perf_counter(), time.process_time()
        with of_patterns(folder) as study:
            result = rsa_exp.analyse(study, **settings)
        times.append((time.perf_counter() - start, time.process_time() - spent))
    return {
        "seconds": min(times),
        "stages": {stage: round(spent, 1) for stage, spent in result.seconds.items()},
        "ways": ", ".join(dict.fromkeys(result.computed_from.values())),
        "scores": result.scores["score"].tolist(),
        "errors": result.scores["se"].tolist() if "se" in result.scores else [],
    }


def one_subject(folder: Path) -> dict[str, Any]:
    """Score subject 1."""
    return analysed(folder, 3, subject="1", inference=None)


def all_subjects(folder: Path) -> dict[str, Any]:
    """Score all subjects."""
    return analysed(folder, 3, subject="group", inference=None)


def jackknife(folder: Path) -> dict[str, Any]:
    """Score all images, and without each of them."""
    from rsa_exp import Inference

    return analysed(folder, inference=Inference("jackknife", n_boot=0, n_perm=0, n_splits=0))


def tiles(folder: Path) -> dict[str, Any]:
    """Score ranks where whole RDMs are ruled out and little memory is free."""
    from rsa_exp.analysis import ways

    free = min(FREE, ways.available_bytes())
    ways.available_bytes, ways._SHARE = lambda: free, 0.0
    return analysed(folder, metric="spearman", inference=None)


def by_rsatoolbox(folder: Path) -> dict[str, Any]:
    """Make all RDMs with rsatoolbox, subject by subject, and compare them."""
    import h5py
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    start, begin = time.perf_counter(), time.process_time()

    def rdms(path: Path) -> Any:
        with h5py.File(path) as file:
            names = [Path(name.decode()).stem for name in file["image"][()]]
            order = np.argsort(names)
            data = [Dataset(values[()][order]) for values in file["patterns"].values()]
        return calc_rdm(data, method="correlation")

    def spent() -> tuple[float, float]:
        return time.perf_counter() - start, time.process_time() - begin

    scores, times = [], []
    layers = rdms(folder / "ResNet50_features.h5")
    for subject in SUBJECTS:
        brain = rdms(folder / f"CSI{subject}_patterns.h5")
        scores.append(compare(brain, layers, method="corr"))
        times.append(spent())
    return {
        "seconds": times[-1],
        "first": times[0],
        "scores": np.mean(scores, axis=0).ravel().tolist(),
    }


def compared(folder: Path, other: Path, subject: str) -> dict[str, Any]:
    """Analyse RDM files and patterns with default inference; differences of all numbers."""
    import rsa_exp

    results, seconds = [], []
    for where, opened in ((other, of_rdms), (folder, of_patterns)):
        start, spent = time.perf_counter(), time.process_time()
        with opened(where) as study:
            results.append(rsa_exp.analyse(study, subject=subject))
        seconds.append((time.perf_counter() - start, time.process_time() - spent))
    left, right = results
    differences = {
        f"{table}.{column}": difference
        for table in ("scores", "subject_scores", "comparisons", "ceilings", "best_layers")
        for column, difference in of_tables(getattr(left, table), getattr(right, table)).items()
    }
    if left.null is not None and right.null is not None:
        differences["null"] = float(np.abs(left.null - right.null).max())
    return {"seconds": seconds, "differences": differences, "ways": right.computed_from}


def of_tables(left: pd.DataFrame | None, right: pd.DataFrame | None) -> dict[str, float]:
    """Largest difference in each column of numbers; infinite where one number is missing."""
    import pandas as pd

    if left is None or right is None:
        return {} if left is right else {"table": np.inf}
    differences = {}
    for column in left.columns:
        if pd.api.types.is_numeric_dtype(left[column]):
            mine, other = (table[column].to_numpy(dtype=float) for table in (left, right))
            found = np.where(np.isnan(mine) & np.isnan(other), 0.0, np.abs(mine - other))
            differences[column] = float(np.nan_to_num(found, nan=np.inf).max(initial=0))
        elif column not in ("study", "model"):  # named after folders and files
            differences[column] = 0.0 if left[column].equals(right[column]) else np.inf
    return differences


def write(
    folder: Path, n_images: int, layers: tuple[int, int], n_roi: int, *, turned: bool = False
) -> None:
    """Write patterns of one subject that share ten latent dimensions, as float32, in blocks.

    Layers are so many, of so many units each; where `turned`, their images are in reverse order.
    """
    import h5py

    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    names = np.array([f"nsd_{k:06d}.png" for k in range(n_images)]).astype("S")
    shared = np.random.default_rng(0).standard_normal((n_images, 10), dtype=np.float32)
    order = slice(None, None, -1 if turned else 1)
    files = {
        "CSI1_patterns.h5": ("roi", n_roi, 150, slice(None)),
        "ResNet50_features.h5": ("layer", *layers, order),
    }
    for seed, (name, (row, n_row, n_channel, images)) in enumerate(files.items(), 1):
        rng = np.random.default_rng(seed)
        with h5py.File(part / name, "w") as file:
            file["image"] = names[images]
            for k in range(n_row):
                loadings = rng.standard_normal((10, n_channel), dtype=np.float32)
                shape = n_images, n_channel
                values = file.create_dataset(f"patterns/{row}{k}", shape, np.float32)
                for start in range(0, n_images, _ROWS):
                    block = shared[images][start : start + _ROWS] @ loadings
                    block += 4 * rng.standard_normal(block.shape, dtype=np.float32)
                    values[start : start + _ROWS] = block
    part.rename(folder)


def simulate(folder: Path, n_images: int, n_runs: int) -> Path:
    """Write the published study, in a process of its own: it takes memory."""
    source = (
        "import pathlib, sys; from rsa_exp.datasets.simulation import simulate_study;"
        "print(simulate_study(pathlib.Path(sys.argv[1]), int(sys.argv[2]), 0, int(sys.argv[3])))"
    )
    text, _, _ = run([sys.executable, "-c", source, str(folder), str(n_images), str(n_runs)])
    study = Path(text.splitlines()[-1])
    warm(study)
    return study


TASKS = {
    each.__name__: each for each in (one_subject, all_subjects, by_rsatoolbox, jackknife, tiles)
}


def measured(task: str, *arguments: str, label: str) -> dict[str, Any]:
    """Do a task in a process of its own, and print a row."""
    text, _, memory = run([sys.executable, __file__, "--child", task, *arguments])
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    found["memory"] = memory
    if task != "compared":
        wall, processor = found["seconds"]
        print(
            f"{label}: {wall:.2f} s (CPU {processor:.1f} s), {memory:.2f} GB of which imports"
            f" {found['imports']:.2f} GB; stages {found.get('stages', {})} {found.get('ways', '')}",
            flush=True,
        )
    return found


def child(task: str, arguments: list[str]) -> dict[str, Any]:
    """Do a task after its imports."""
    if task == "by_rsatoolbox":
        import rsatoolbox.data
        import rsatoolbox.rdm  # noqa: F401
    else:
        import rsa_exp.analysis.analyse
        import rsa_exp.rdms.opening  # noqa: F401
    imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if task == "compared":
        folder, other, subject = arguments
        return {"imports": imports, **compared(Path(folder), Path(other), subject)}
    return {"imports": imports, **TASKS[task](Path(arguments[0]))}


def difference(left: dict[str, Any], right: dict[str, Any], key: str = "scores") -> str:
    """Return the largest difference of scores or errors."""
    return f"{np.abs(np.subtract(left[key], right[key])).max():.1e}"


def study(root: Path, small: bool) -> None:
    """Compare with rsatoolbox."""
    folder = simulate(root, 60 if small else 4916, 1)
    first = measured("one_subject", str(folder), label="subject 1, patterns")
    found = measured("all_subjects", str(folder), label="3 subjects, patterns")
    theirs = measured("by_rsatoolbox", str(folder), label="3 subjects, rsatoolbox")
    print(f"  largest difference of scores: {difference(found, theirs)}")
    for who, mine, other in (
        ("subject 1", first, theirs["first"]),
        ("3 subjects", found, theirs["seconds"]),
    ):
        wall, processor = np.divide(other, mine["seconds"])
        print(f"  {who}: {wall:.1f}x as fast, {processor:.1f}x by CPU time")
    beyond = [each["memory"] - each["imports"] for each in (theirs, found)]
    ratio = theirs["memory"] / found["memory"]
    print(f"  memory: {ratio:.1f} times less, {beyond[0] / beyond[1]:.1f} times beyond imports")


def agreement(root: Path, small: bool) -> None:
    """Compare with the analysis of RDM files."""
    n_images = 60 if small else 4916
    folders = [str(simulate(root, n_images, n_runs)) for n_runs in (1, 0)]
    for subject in ("1", "group"):
        found = measured("compared", *folders, subject, label="")
        print(f"subject {subject}: {found['ways']}")
        for what, (wall, processor) in zip(
            ("RDM files", "patterns"), found["seconds"], strict=True
        ):
            print(f"  from {what}: {wall:.1f} s (CPU {processor:.1f} s)")
        differences = found["differences"]
        for column in filter(differences.get, differences):
            print(f"  {column}: {differences[column]:.1e}")
        print(f"  largest of {len(differences)} differences: {max(differences.values()):.1e}")


def nsd(root: Path, small: bool) -> None:
    """Score tens of thousands of images."""
    n_images, layers = (600, (2, 64)) if small else (73000, (5, 2048))
    for turned, label in ((False, "one order of images"), (True, "two orders of images")):
        folder = root / f"like-nsd-n{n_images}{'-turned' if turned else ''}"
        write(folder, n_images, layers, 2 if small else 10, turned=turned)
        measured("jackknife", str(folder), label=f"{n_images} images, {label}")


def ranks(root: Path, small: bool) -> None:
    """Compare ranks of RDMs that do not fit into memory."""
    n_images = 400 if small else 30000
    folder = root / f"for-tiles-n{n_images}"
    write(folder, n_images, (1, 512), 1)
    measured("tiles", str(folder), label=f"spearman of {n_images} images")


PARTS = {"study": study, "agreement": agreement, "nsd": nsd, "tiles": ranks}


def main() -> None:
    """Write studies, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default all")
    parser.add_argument("--small", action="store_true", help="few images")
    where = Path(tempfile.gettempdir()) / "rsa_exp_bench"
    parser.add_argument("--folder", type=Path, default=where, help="where there is room")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child[0], given.child[1:])))
        return
    for part in given.parts or PARTS:
        PARTS[part](given.folder.absolute(), given.small)


if __name__ == "__main__":
    main()
