"""A run in the tracking store: opened there when it starts, uploaded when it has ended.

Both need no more than the files in the run's folder, so another process can do them. Loading MLflow
and opening a store takes over a second: as long as a run without inference takes for its work.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import traceback
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp import interrupts
from rsa_exp.errors import InputError
from rsa_exp.runs import manifest
from rsa_exp.runs.folders import read_run_folder
from rsa_exp.tracking.upload import open_run, upload_run

if TYPE_CHECKING:
    from rsa_exp.runs.manifest import RunManifest
    from rsa_exp.tracking.store import Store
    from rsa_exp.tracking.tracked import TrackedRun

__all__ = ["Recording", "RecordingBeside", "open_store", "serve"]

_UPLOAD = b"upload"


@lru_cache(maxsize=4)
def open_store(uri: str, experiment: str) -> Store:
    """Open a store once in this process."""
    from rsa_exp.tracking.store import Store

    return Store(uri, experiment)


class Recording:
    """A run's recording in a store; what the store cannot do or does not take is an `InputError`.

    Parameters
    ----------
    folder : Path
        The run's; it has its manifest and ``config.yaml``.
    uri, experiment : str
        The store.
    """

    def __init__(self, folder: Path, uri: str, experiment: str) -> None:
        self.folder, self.uri, self.experiment = folder, uri, experiment
        self._tracked: TrackedRun | None = None

    def open(self, *, again: bool) -> None:
        """Open the run in the store; `again` looks for one that was opened there before."""
        store, run = open_store(self.uri, self.experiment), read_run_folder(self.folder)
        known = store.find(run.manifest.uid) if again else None
        self._tracked = (known and store.resume(known.run_id, {})) or open_run(store, run)

    def upload(self) -> tuple[RunManifest, str]:
        """Upload the run, which has ended; return its manifest, and its address in the UI."""
        store = open_store(self.uri, self.experiment)
        state = upload_run(store, read_run_folder(self.folder), self._tracked)
        return state, store.address(state.run_id)


class RecordingBeside(Recording):
    """A recording made by another process: `open` does not wait for it, `upload` reports its error.

    Signals from the terminal do not reach that process; it ends with the upload, or when this
    process has ended.
    """

    def open(self, *, again: bool) -> None:
        """Start the process, which opens the run."""
        job = (str(self.folder), self.uri, self.experiment, again)
        code = (
            f"import sys; sys.path[:] = {sys.path!a}; from {__name__} import serve; serve(*{job!a})"
        )
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def upload(self) -> tuple[RunManifest, str]:
        """Upload the run, as `Recording.upload`."""
        answer, _ = self._process.communicate(_UPLOAD)
        if not answer:
            status = self._process.returncode
            raise InputError(f"{self.uri}: the process that tracks the run ended ({status})")
        found = json.loads(answer)
        if "address" not in found:
            raise InputError(found["refused"]) if "refused" in found else RuntimeError(found["bug"])
        state = manifest.read_run(self.folder)
        if state is None:
            raise InputError(f"{self.folder} has lost its manifest")
        return state, str(found["address"])


def serve(folder: str, uri: str, experiment: str, again: bool) -> None:
    """Be the process of a `RecordingBeside`: open its run at once, and upload it when told to."""
    gc.disable()  # it is soon over
    logging.disable()  # the other process logs the same
    interrupts.install()
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    found = {}
    with interrupts.shield(closing=True):
        try:
            recording = Recording(Path(folder), uri, experiment)
            recording.open(again=again)
            if sys.stdin.buffer.read() == _UPLOAD:
                found["address"] = recording.upload()[1]
        except (InputError, OSError) as error:
            text = str(error)
            found["refused"] = text if text.startswith(uri) else f"{uri}: {text}"
        except Exception:
            found["bug"] = traceback.format_exc()
        with suppress(BrokenPipeError):
            answer.write(json.dumps(found).encode())
            answer.flush()
    os._exit(0)  # taking mlflow apart takes a while
