"""Reads files in a process of its own, so that one that crashes, hangs or eats memory is seen."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MEMORY = 2**30
SECONDS = 10

_CHILD = """
import json, resource, sys
from pathlib import Path
import numpy as np
from rsa_exp.rdms.readers import Naming, open_patterns, open_rdms
from rsa_exp.errors import InputError
status = Path("/proc/self/status")
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps(0), flush=True)
for line in sys.stdin:
    try:
        kind, n_images, path = line.rstrip("\\n").split("\\t")
        images = [str(i) for i in range(int(n_images))] or None
        naming = Naming("ROI", images=images)
        with (open_rdms if kind == "rdms" else open_patterns)(Path(path), naming) as file:
            for row in range(len(file.row_names)):
                if kind == "rdms":
                    file.read_row(row)
                else:
                    assert file.read(row).shape == file.shape(row)
                    file.read_rows(row, np.arange(file.n_row)[::-2])
            file.digest()
        said = ""
    except InputError as error:
        said = str(error)
    except Exception as error:
        said = f"TRACEBACK {type(error).__name__}: {error}"
    if status.exists():  # Linux's ru_maxrss begins at what the process that started this one had
        own = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    else:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(json.dumps([said, max(own, child)]), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """How reading a file ended.

    Attributes
    ----------
    said : str
        The error's line; empty when the file was read.
    failure : str
        What must never be: a traceback, a crash, a hang, too much memory.
    """

    said: str
    failure: str


class Reader:
    """A process that reads files and is started again when it does not survive one."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer(60)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self, seconds: float) -> str | None:
        """Return the next line; None when none comes in time, '' when the process ended."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline() if selector.select(seconds) else None

    def read(self, path: Path, kind: str = "rdms", n_images: int = 0) -> Outcome:
        """Read a file of ``rdms`` or ``patterns``, all of it; perhaps with names for its images."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind}\t{n_images}\t{path}\n")
        self._process.stdin.flush()
        line = self._answer(SECONDS)
        if not line:
            self.__exit__()
            code = self._process.returncode
            self._start()
            return Outcome("", f"hang of {SECONDS} s" if line is None else f"crash {code}")
        said, peak = json.loads(line)
        if said.startswith("TRACEBACK"):
            return Outcome(said, said)
        if peak > MEMORY:
            self.__exit__()
            self._start()
            return Outcome(said, f"{peak / 1e9:.1f} GB")
        return Outcome(said, "")
