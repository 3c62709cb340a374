"""A wheel carries conf/ and works from another folder, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str, folder: Path, **variables: str) -> str:
    finished = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, text=True, capture_output=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_wheel_runs_elsewhere(tmp_path: Path) -> None:
    python = sys.executable
    run(python, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT),
        folder=tmp_path)  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site),
        str(wheel), folder=tmp_path)  # fmt: skip
    path = {"PYTHONPATH": str(site)}
    where = run(python, "-c", "import rsa_exp; print(rsa_exp.__file__)", folder=elsewhere, **path)
    assert where.startswith(str(site))
    out = run(python, "-m", "rsa_exp", "data.n_images=40", "figures.names=[heatmap]",
              folder=elsewhere, **path)  # fmt: skip
    assert str(elsewhere / "outputs") in out
    assert (elsewhere / "mlruns" / "mlflow.db").is_file()
