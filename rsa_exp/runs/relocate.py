"""The input files of a recorded run: where they were, or below the folder that they are in now."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING

from rsa_exp.config.schema import Bold5000Data, Config, FilesData, SimulatedData
from rsa_exp.errors import InputError, listing

if TYPE_CHECKING:
    from rsa_exp.runs.recorded import Recorded

__all__ = ["check_inputs", "moved"]


def moved(config: Config, folder: Path) -> Config:
    """Return settings that read the same files where they are now.

    Below the folder each is looked for as it was below ``data.root``, as it was below the folder
    that held brain and model files, from its subject's folder on, and by its name alone.

    Parameters
    ----------
    config : Config
        A recorded run's, of files of its own.
    folder : Path
        What holds the files now. Nothing outside it is named.

    Raises
    ------
    InputError
        If a file is not there.
    """
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError as error:
        raise InputError(f"--data-root {folder}: there is no such user's folder") from error
    data = config.data
    atlas = data.atlas if isinstance(data, Bold5000Data) else "{atlas}"
    model = data.model if isinstance(data, FilesData) else config.model.file
    patterns = [Path(os.path.normpath(Path(data.root, name))) for name in (data.brain, model)]
    above = [next(p for p in path.parents if "{" not in str(p)) for path in patterns]
    starts = [os.path.normpath(data.root), os.path.commonpath(above)]

    def of_subjects(name: str) -> list[str]:
        return [name.replace("{atlas}", atlas).replace("{subject}", s) for s in data.subjects]

    brain = _place(patterns[0], starts, folder, of_subjects)
    model = _place(patterns[1], starts, folder, lambda name: [name])
    data = dataclasses.replace(data, root=str(folder), brain=brain)
    if isinstance(data, FilesData):
        data.model = model
        return dataclasses.replace(config, data=data)
    return dataclasses.replace(
        config, data=data, model=dataclasses.replace(config.model, file=model)
    )


def _place(
    pattern: Path, starts: Sequence[str], folder: Path, names: Callable[[str], list[str]]
) -> str:
    """Return the first place below a folder that has every file of a pattern."""
    tails = list(_tails(pattern, starts))
    for tail in tails:
        if ".." not in tail.parts and all(_is_file(folder / name) for name in names(str(tail))):
            return str(folder / tail)
    lacking = [name for name in names(str(tails[-2])) if not _is_file(folder / name)]
    raise InputError(
        f"not in {folder}: {listing(lacking, 4)}; name the folder that the input files are in now"
    )


def _tails(pattern: Path, starts: Sequence[str]) -> Iterator[PurePath]:
    """Parts of a pattern that may stay when its folder is moved, the longest first."""
    for start in starts:
        if pattern.is_relative_to(start):
            yield pattern.relative_to(start)
    parts = PureWindowsPath(pattern).parts  # \ may separate what was recorded elsewhere
    first = next((i for i, part in enumerate(parts) if "{subject}" in part), -1)
    yield PurePath(*parts[first:])
    yield PurePath(parts[-1])


def check_inputs(config: Config, record: Recorded, *, is_moved: bool) -> None:
    """Refuse settings that read what a record does not say was read, and files that are gone.

    Parameters
    ----------
    config : Config
        The record's, or what `moved` made of them.
    record : Recorded
        Of which run.
    is_moved : bool
        Whether files are known by their names alone.

    Raises
    ------
    InputError
        With the file.
    """
    data = config.data
    if isinstance(data, SimulatedData):
        for key, name in (("data.brain", data.brain), ("model.file", config.model.file)):
            if PurePath(name).name != name or name == "..":
                raise InputError(
                    f"the settings of {record.title} read {key}={name}, which is not the name of a "
                    "simulated file: nothing is read"
                )
        return
    from rsa_exp.analysis import pipeline

    inputs, states = record.provenance["inputs"], record.provenance.get("files")
    known = {item["path"] for item in inputs}
    if isinstance(states, list):
        known |= {str(s.get("path")) for s in states if isinstance(s, dict)}
    names = {item["name"] for item in inputs} | {PureWindowsPath(path).name for path in known}
    for path in pipeline.input_files(config):
        if str(path) == config.images:  # comes from the record
            continue
        if not _is_file(path):
            raise InputError(
                f"{path} is gone; name the folder that the input files are in now: "
                "--data-root FOLDER"
            )
        if (path.name not in names) if is_moved else (str(path.absolute()) not in known):
            raise InputError(
                f"the settings of {record.title} read {path}, which is not among the files that "
                "its record names: nothing is read"
            )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False
