"""Provenance: what a run's numbers depend on besides its config."""

from __future__ import annotations

import logging
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
from typing import TYPE_CHECKING, Any

import threadpoolctl
import xxhash

from rsa_exp import __version__
from rsa_exp.runs.digests import code_id
from rsa_exp.stats.parallel import n_workers

if TYPE_CHECKING:
    from rsa_exp.analysis.result import Result
    from rsa_exp.rdms.inputs import InputRecord

__all__ = ["code_diff", "combined_digest", "environment", "git_state", "provenance", "requirements"]

_PACKAGES = (
    "h5py", "hydra-core", "matplotlib", "mlflow", "numba", "numpy", "omegaconf", "pandas",
    "rsatoolbox", "scipy", "seaborn", "threadpoolctl", "xxhash",
)  # fmt: skip


# The parts of the checkout that numbers depend on: the package, settings, requirements.
_CODE = (".", "../conf", "../pyproject.toml")
_MAX_DIFF = 2_000_000
# As `git apply` takes it, whatever git is set to show.
_DIFF = (
    "-c", "diff.relative=false", "diff", "--binary", "--full-index", "--no-color",
    "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "-U3",
)  # fmt: skip

_FAILURES = (OSError, subprocess.SubprocessError)

log = logging.getLogger("rsa_exp")


def git_state() -> tuple[str | None, bool]:
    """Return the commit of the code and whether it was changed since, when this is first called.

    The commit is None when the code is not in a git checkout of its own. Untracked files in the
    package are changes too.
    """
    commit, diff = _checkout()
    return commit, diff != b""


def code_diff() -> bytes:
    """Return the uncommitted changes of the code and its new files, as ``git apply`` takes them.

    Empty when there are none, or more than 2 MB of them, when git fails, and when the code is not
    in a git checkout of its own.
    """
    diff = _checkout()[1] or b""
    return diff if len(diff) <= _MAX_DIFF else b""


@cache
def _checkout() -> tuple[str | None, bytes | None]:
    """Commit of the code and its uncommitted changes; None is unknown."""
    package = Path(__file__).parents[1]
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD").decode().strip()
    except _FAILURES as error:
        if (package.parent / ".git").exists():
            log.warning("the commit of the code is not recorded: %s", _reason(error))
        return None, b""
    try:
        return commit, _difference(package)
    except _FAILURES as error:
        log.warning("uncommitted changes of the code are not recorded: %s", _reason(error))
        return commit, None


def _difference(package: Path) -> bytes:
    """All uncommitted changes of the checkout's code, with new files."""
    diff = _git(package, *_DIFF, "HEAD", "--", *_CODE)
    new = _git(
        package, "ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", *_CODE
    )
    top = Path(os.fsdecode(_git(package, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    for name in filter(None, new.split(b"\0")):
        diff += _git(
            top, *_DIFF, "--no-index", "--", "/dev/null", os.fsdecode(name), statuses=(0, 1)
        )
    return diff


@cache
def requirements() -> str:
    """Return the installed packages in the form that ``pip install -r`` takes.

    This package, which comes from its checkout, is named in a comment.
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


def _git(folder: Path, *arguments: str, statuses: tuple[int, ...] = (0,)) -> bytes:
    """Return the output of git, if it ends with one of `statuses`."""
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        check=False,
        capture_output=True,
        timeout=10,
        env=os.environ | {"LC_ALL": "C"},
    )
    if done.returncode not in statuses:
        done.check_returncode()
    return done.stdout


def _reason(error: Exception) -> str:
    """Return in one line why git failed."""
    output = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    return " ".join(
        (output or str(error).encode(errors="replace")).decode(errors="replace").split()
    )


def combined_digest(inputs: list[InputRecord], images: list[str]) -> str:
    """One xxh3_128 digest of all inputs of a run and the images used, 32 hex digits."""
    state = xxhash.xxh3_128("\n".join(images).encode())
    for item in sorted(inputs, key=lambda item: (item.role, item.name)):
        state.update(f"{item.role}\0{item.name}\0{item.digest}\0".encode())
    return state.hexdigest()


def provenance(result: Result, overrides: list[str], seed: int) -> dict[str, Any]:
    """Describe in plain values, for JSON, what a run with these overrides and this seed used."""
    return {
        **environment(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "command": shlex.join(sys.orig_argv),
        "overrides": overrides,
        "seed": seed,
        "inputs": [asdict(item) for item in result.inputs],
        "files": [asdict(item) for item in result.files],
        "images_digest": xxhash.xxh3_128_hexdigest("\n".join(result.images).encode()),
        "content_digest": combined_digest(result.inputs, result.images),
    }


def environment() -> dict[str, Any]:
    """Describe the code, packages and machine, on which numbers depend besides the inputs."""
    commit, diff = _checkout()
    return {
        "rsa_exp": __version__,
        "git_commit": commit,
        "git_dirty": diff != b"",
        "git_diff_digest": xxhash.xxh3_128_hexdigest(diff) if diff else None,
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
