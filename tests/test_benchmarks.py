"""The benchmarks run and what they compare agrees: small ones always, the full size if slow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def bench(name: str, *arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments], text=True, capture_output=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def largest_differences(out: str, count: int) -> float:
    found = re.findall(r"largest (?:difference )?of .*: (\S+)$", out, re.MULTILINE)
    assert len(found) == count, out
    return max(map(float, found))


def test_scaling() -> None:
    out = bench("scaling.py", "--images", "60", "--metrics", "corr")
    assert len(re.findall(r"\d\.\d\d s, \d\.\d\d GB", out)) == 1 + 3


def test_partial() -> None:
    out = bench("partial.py", "--images", "120", "--metrics", "corr", "spearman", "corr_cov")
    assert len(re.findall(r"\d\.\dx", out)) == 6


def test_crossnobis() -> None:
    row = bench("crossnobis.py", "--conditions", "40", "--channels", "20").splitlines()[-1]
    assert float(row.split("|")[-2]) < 1e-9


def test_points() -> None:
    sizes = {"images": 2000, "rois": 2, "voxels": 50, "layers": 2, "units": 200, "formed": 500}
    out = bench("points.py", *(f"--{name}={size}" for name, size in sizes.items()))
    assert largest_differences(out, 2) < 1e-9


def test_patterns(tmp_path: Path) -> None:
    out = bench("patterns.py", "--small", "--folder", str(tmp_path))
    assert largest_differences(out, 3) < 1e-9
    assert len(re.findall(r"CPU \d+\.\d s\), \d\.\d\d GB", out)) == 6
    assert re.search(r"spearman of 400 images.* tiles$", out, re.MULTILINE)


def test_rank_tiles() -> None:
    small = ["--images", "500", "--units", "20", "--voxels", "9", "--small", "300"]
    found = re.search(r"Difference .* at 300 images: (\S+)", bench("rank_tiles.py", *small))
    assert found is not None
    assert float(found.group(1)) < 1e-9


@pytest.mark.slow
def test_inference(tmp_path: Path) -> None:
    small = ["--folder", str(tmp_path), "--images", "60", "--draws", "20", "--metrics", "corr"]
    lines = bench("inference.py", *small).splitlines()
    assert len([line for line in lines if re.search(r"\d\.\d s, \d\.\d\d GB", line)]) == 3


def test_dual_bootstrap_agrees_with_rsatoolbox(tiny_study: Path) -> None:
    """Standard errors from 300 draws of their own each: within 20 % of one another."""
    brains = [str(tiny_study / f"CSI{subject}_BOLD5000_CORR_RDMs.h5") for subject in (1, 2, 3)]
    model = str(tiny_study / "ResNet50_CORR_RDMs.h5")
    out = bench("dual_bootstrap.py", *brains, "--model", model, "--samples", "300")
    rows = [line.split("|")[3:5] for line in out.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 5
    assert all(0.8 < float(ours) / float(theirs) < 1.25 for ours, theirs in rows)


@pytest.mark.slow
def test_interruptions() -> None:
    """A killed sweep and one told to end lose nothing: the benchmark's own exit status."""
    few = ["--moments", "1", "--ways", "sigkill", "sigterm"]
    small = ["subject=1,2", "data.n_images=40", "inference=none", "figures=none"]
    out = bench("interruptions.py", *few, "--settings", *small)
    assert len(re.findall(r"\d\.\d of 2", out)) == 2


@pytest.mark.slow
def test_sweep() -> None:
    small = ["--subjects", "1", "--rois", "1", "--layers", "1", "--images", "60", "--part", "2"]
    out = bench("sweep.py", *small, "--cases", "none", "figures")
    assert len(re.findall(r"\| 2 \|.*\d GB", out)) == 2


@pytest.mark.slow
def test_startup() -> None:
    out = bench("startup.py", "--repeats", "1", "--against", str(FOLDER.parent), "figures=none")
    assert len(re.findall(r"\| (?:new|existing) \|.*\d GB", out)) == 4


@pytest.mark.slow
def test_full_size(tmp_path: Path) -> None:
    folder = str(tmp_path)
    sweep = bench("full_study.py", "--folder", folder)
    assert len(re.findall(r"layer3 best in 10 of 10 ROIs", sweep)) == 3
    assert all(float(rmse) < 0.004 for rmse in re.findall(r"RMSE (\d\.\d+)", sweep))
    difference = re.search(r"largest difference of 150 scores: (\S+)", sweep)
    assert difference is not None
    assert float(difference.group(1)) < 1e-9
    table = bench("engine.py", "--folder", folder, "--metrics", "corr")
    (row,) = (line for line in table.splitlines() if line.startswith("| `corr`"))
    assert float(row.split("|")[-2]) < 1e-9
