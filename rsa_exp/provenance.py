"""What a run's numbers depend on besides its config: code, packages, machine, inputs."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import threadpoolctl
import xxhash

from rsa_exp import __version__
from rsa_exp.data.records import FileState, InputRecord
from rsa_exp.identity import code_id
from rsa_exp.stats.parallel import n_workers

__all__ = ["code_diff", "combined_digest", "environment", "git_state", "provenance", "requirements"]

_PACKAGES = (
    "h5py", "hydra-core", "matplotlib", "mlflow", "numba", "numpy", "omegaconf", "pandas",
    "rsatoolbox", "scipy", "seaborn", "threadpoolctl", "xxhash",
)  # fmt: skip


# Of the checkout, what numbers can come from: the package, its settings, what it needs.
_CODE = (".", "../conf", "../pyproject.toml")
_MAX_DIFF = 2_000_000


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
        changed = _git(package, "status", "--porcelain", "--", *_CODE)
    except (OSError, subprocess.SubprocessError):
        return None, False
    return commit, bool(changed.strip())


@cache
def code_diff() -> str:
    """Return what the code differs by from its commit, as ``git apply`` takes it.

    Returns
    -------
    str
        Empty when it does not, or is not in a git checkout of its own. New files are in it; a
        difference of more than 2 MB is cut, and says so.
    """
    if not git_state()[1]:
        return ""
    package = Path(__file__).parent
    try:
        diff = _git(package, "diff", "HEAD", "--", *_CODE)
        new = _git(
            package, "ls-files", "--others", "--exclude-standard", "--full-name", "--", *_CODE
        )
        top = Path(_git(package, "rev-parse", "--show-toplevel").strip())
        for name in new.splitlines():
            diff += _git(top, "diff", "--no-index", "--", "/dev/null", name, differs=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return diff if len(diff) <= _MAX_DIFF else f"{diff[:_MAX_DIFF]}\n(cut here)\n"


@cache
def requirements() -> str:
    """Return the installed packages in the form that ``pip install -r`` takes.

    Returns
    -------
    str
        A line ``name==version`` for each; this package, which comes from its checkout, as a
        comment.
    """
    found = {str(item.metadata["Name"]): item.version for item in distributions()}
    own = found.pop("rsa-exp", None) or found.pop("rsa_exp", None) or __version__
    lines = sorted((f"{name}=={number}" for name, number in found.items()), key=str.lower)
    commit, dirty = git_state()
    origin = f", commit {commit}{' with changes' if dirty else ''}" if commit else ""
    return "\n".join([f"# rsa-exp {own}{origin}; Python {platform.python_version()}", *lines, ""])


@cache
def _cpu() -> str:
    """Name of the processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git(folder: Path, *arguments: str, differs: bool = False) -> str:
    """Return what git says; status 1 is no failure of a comparison that `differs`."""
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        check=not differs,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.stdout


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
    return {
        **environment(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "command": shlex.join(sys.orig_argv),
        "overrides": overrides,
        "seed": seed,
        "inputs": [asdict(item) for item in inputs],
        "files": [asdict(item) for item in files],
        "images_digest": xxhash.xxh3_128_hexdigest("\n".join(images).encode()),
        "content_digest": combined_digest(inputs, images),
    }


def environment() -> dict[str, Any]:
    """Return what numbers depend on besides settings and inputs: code, packages, machine.

    Returns
    -------
    dict
        Plain values, for JSON.
    """
    commit, dirty = git_state()
    return {
        "rsa_exp": __version__,
        "git_commit": commit,
        "git_dirty": dirty,
        "git_diff_digest": xxhash.xxh3_128_hexdigest(code_diff().encode()) if dirty else None,
        "code_id": code_id(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "threads": n_workers(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "blas": [
            {key: lib.get(key) for key in ("internal_api", "version", "architecture")}
            for lib in threadpoolctl.threadpool_info()
            if lib.get("user_api") == "blas"
        ],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
