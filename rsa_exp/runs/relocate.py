"""The input files of a recorded run: where they were, or below the folder that has them now."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING

from rsa_exp.config.schema import Bold5000Data, Config, FilesData, PatternsData, SimulatedData
from rsa_exp.errors import InputError, listing

if TYPE_CHECKING:
    from rsa_exp.runs.recorded_run import RecordedRun

__all__ = ["check_inputs", "relocate_inputs"]


def relocate_inputs(config: Config, folder: Path) -> Config:
    """Return a run's settings changed to read the same files below another folder.

    Each is looked for under as much of the end of its old path as is found there: a file that was
    ``/data/study/sub-1/rdms.h5`` as ``data/study/sub-1/rdms.h5``, as ``study/sub-1/rdms.h5``, and
    so on to ``rdms.h5``. The brain files of all subjects have to be found in the same way. Nothing
    outside the folder is named.

    Raises
    ------
    InputError
        If a file is not found.
    """
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError as error:
        raise InputError(f"--data-root {folder}: there is no such user's folder") from error
    data = config.data
    subjects = config.opened_subjects
    atlas = data.atlas if isinstance(data, Bold5000Data) else "{atlas}"

    def of_subjects(name: str) -> list[str]:
        return [name.replace("{atlas}", atlas).replace("{subject}", s) for s in subjects]

    def relocated(name: str, of: Callable[[str], list[str]] = lambda name: [name]) -> str:
        return _relocate(Path(data.root, name), folder, of)

    model = dataclasses.replace(config.model)
    if not config.has_data_model:
        model.file = relocated(model.file)
    if model.image_names:
        model.image_names = relocated(model.image_names)
    moved = dataclasses.replace(data, root=str(folder), brain=relocated(data.brain, of_subjects))
    if isinstance(moved, FilesData) and moved.model:
        moved.model = relocated(moved.model)
    if isinstance(moved, PatternsData) and moved.residuals:
        moved.residuals = relocated(moved.residuals, of_subjects)
    if moved.image_names:
        moved.image_names = relocated(moved.image_names, of_subjects)
    return dataclasses.replace(config, data=moved, model=model)


def _relocate(pattern: Path, folder: Path, names: Callable[[str], list[str]]) -> str:
    """Return the path below a folder that has every file that a pattern stands for.

    The pattern may have been recorded on Windows. `names` returns the names of all its files.
    """
    parts = PureWindowsPath(os.path.normpath(pattern)).parts
    for first in range(1, len(parts)):  # the part before is the root
        tail = PurePath(*parts[first:])
        found = (_exists(folder / name) for name in names(str(tail)))
        if ".." not in tail.parts and all(found):
            return str(folder / tail)
    # With the subject's folder, where only that distinguishes the files.
    first = next((i for i, part in enumerate(parts) if "{subject}" in part), -1)
    lacking = [name for name in names(str(PurePath(*parts[first:]))) if not _exists(folder / name)]
    raise InputError(
        f"not in {folder}: {listing(lacking, 4)}; name the folder that has the input files now"
    )


def check_inputs(config: Config, run: RecordedRun, *, relocated: bool) -> None:
    """Refuse settings that read files which a run's provenance does not name, or missing files.

    Parameters
    ----------
    config : Config
        The run's, or what `relocate_inputs` made of them.
    run : RecordedRun
        The run.
    relocated : bool
        Whether files are known by their names alone.
    """
    data = config.data
    if isinstance(data, SimulatedData):
        for key, name in (("data.brain", data.brain), ("model.file", config.model.file)):
            if PurePath(name).name != name or name == "..":
                raise InputError(
                    f"the settings of {run.title} read {key}={name}, which is not the name of a "
                    "simulated file: nothing is read"
                )
        return
    from rsa_exp.runs.inputs import input_files

    inputs, states = run.provenance["inputs"], run.provenance.get("files")
    known = {item["path"] for item in inputs}
    if isinstance(states, list):
        known |= {str(s.get("path")) for s in states if isinstance(s, dict)}
    names = {item["name"] for item in inputs} | {PureWindowsPath(path).name for path in known}
    for path in input_files(config):
        if str(path) == config.images:  # the list is taken from the run
            continue
        if not _exists(path):
            raise InputError(
                f"{path} does not exist; name the folder that has the input files now: "
                "--data-root FOLDER"
            )
        if (path.name not in names) if relocated else (str(path.absolute()) not in known):
            raise InputError(
                f"the settings of {run.title} read {path}, which is not among the files that "
                "its provenance names: nothing is read"
            )


def _exists(path: Path) -> bool:
    """Whether there is a file, or a folder that is read as a whole."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder without permission
        return False
