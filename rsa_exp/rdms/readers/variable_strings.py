"""HDF5 strings of variable length, read in a child process with limits of time and memory.

Where such strings are damaged, HDF5 (2.0) loops for ever or takes gigabytes: of a thousand small
files with a few bytes changed, about one does. Nothing in the process itself can stop it. The
child runs this module as a script, which therefore imports nothing of rsa_exp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

__all__ = ["read_variable_strings"]

_MAX_MEMORY = 2**30  # bytes
_MAX_CPU_SECONDS = 1
_MAX_SECONDS = 30
_MAX_STRING_BYTES = 2**26  # of all strings together


def read_variable_strings(path: Path, names: Sequence[tuple[str, str]]) -> list[list[bytes]]:
    """Read data sets or attributes of strings, each given as (group, name).

    Raises
    ------
    ValueError
        If the child process failed or reached a limit: the strings are damaged.
    """
    command = [sys.executable, "-P", __file__, str(path.absolute()), json.dumps(names)]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            check=True,
            timeout=_MAX_SECONDS,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.SubprocessError as error:
        raise ValueError("the strings cannot be read") from error
    found: list[list[str]] = json.loads(done.stdout)
    return [[string.encode(errors="surrogateescape") for string in strings] for strings in found]


def _limit_resources() -> None:
    try:
        import resource
    except ImportError:  # Windows: the parent's time limit remains
        return
    for kind, limit in (
        (resource.RLIMIT_AS, _MAX_MEMORY),
        (resource.RLIMIT_CPU, _MAX_CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(kind, (limit, limit))


def _print_strings(path: str, names: str) -> None:
    """Print the strings as JSON: what the child process does."""
    _limit_resources()
    found = []
    with h5py.File(path, "r") as file:
        for group_name, name in json.loads(names):
            group = file[group_name]
            values = np.ravel(group.attrs[name] if name in group.attrs else group[name][()])
            found.append(
                [v.decode(errors="surrogateescape") if isinstance(v, bytes) else v for v in values]
            )
    if sum(len(string) for strings in found for string in strings) > _MAX_STRING_BYTES:
        raise SystemExit("too long")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _print_strings(*sys.argv[1:])
