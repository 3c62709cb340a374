"""What a run's numbers depend on besides its config: code, packages, machine, inputs."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import threadpoolctl
import xxhash

from rsa_exp import __version__
from rsa_exp.data.records import FileState, InputRecord

__all__ = ["combined_digest", "git_state", "provenance"]

_PACKAGES = (
    "h5py", "hydra-core", "matplotlib", "mlflow", "numba", "numpy", "omegaconf", "pandas",
    "rsatoolbox", "scipy", "seaborn", "threadpoolctl", "xxhash",
)  # fmt: skip


@cache
def git_state() -> tuple[str | None, bool]:
    """Return the commit of the code and whether it was changed since.

    Returns
    -------
    commit : str or None
        None when the code is not in a git checkout of its own.
    dirty : bool
        Whether tracked files differ from the commit, or untracked ones lie in the package.
    """
    package = Path(__file__).parent
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD").strip()
        changed = _git(package, "status", "--porcelain", "--", ".", "../conf")
    except (OSError, subprocess.SubprocessError):
        return None, False
    return commit, bool(changed.strip())


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout


def combined_digest(inputs: list[InputRecord], images: list[str]) -> str:
    """One xxh3_128 digest of all inputs of a run and the images used, 32 hex digits."""
    state = xxhash.xxh3_128("\n".join(images).encode())
    for item in sorted(inputs, key=lambda item: (item.role, item.name)):
        state.update(f"{item.role}\0{item.name}\0{item.digest}\0".encode())
    return state.hexdigest()


def provenance(
    inputs: list[InputRecord],
    files: list[FileState],
    images: list[str],
    overrides: list[str],
    seed: int,
) -> dict[str, Any]:
    """Record what a run used.

    Parameters
    ----------
    inputs : list of InputRecord
        Files read.
    files : list of FileState
        Files opened, as they were.
    images : list of str
        Names of the images used.
    overrides : list of str
        Hydra overrides of the run; empty when there were none.
    seed : int
        The run's seed.

    Returns
    -------
    dict
        Plain values, for JSON.
    """
    commit, dirty = git_state()
    return {
        "rsa_exp": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "command": shlex.join(sys.orig_argv),
        "overrides": overrides,
        "seed": seed,
        "git_commit": commit,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "blas": [
            {key: lib.get(key) for key in ("internal_api", "version", "architecture")}
            for lib in threadpoolctl.threadpool_info()
            if lib.get("user_api") == "blas"
        ],
        "inputs": [asdict(item) for item in inputs],
        "files": [asdict(item) for item in files],
        "images_digest": xxhash.xxh3_128_hexdigest("\n".join(images).encode()),
        "content_digest": combined_digest(inputs, images),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
