"""What is installed: a wheel with conf/ in it, and the set of versions that was tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_the_tested_versions_are_names_and_versions_within_our_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
    assert lines == sorted(lines, key=lambda line: canonicalize_name(line.split("==")[0]))
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    tested = {canonicalize_name(name): v for name, v in (line.split("==") for line in lines)}
    assert len(tested) == len(lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        name = canonicalize_name(requirement.name)
        if name != project["name"]:
            assert requirement.specifier.contains(tested[name]), name
