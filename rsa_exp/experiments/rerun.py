"""Preparing the rerun of a recorded run: its settings on this machine, and refusals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsa_exp.config.schema import Config, SimulatedData
from rsa_exp.errors import InputError
from rsa_exp.runs.changes import Change, changes
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.relocate import check_inputs, relocate_inputs

__all__ = [
    "IMAGES_FILE", "ReproduceOptions", "Rerun", "environment_changes", "prepare",
    "refuse_changed_environment", "refuse_large_simulations",
]  # fmt: skip

IMAGES_FILE = "images_of_the_record.txt"
"""The recorded list of images, in the new run's folder."""

_EXPERIMENT = "rsa_exp"
_MOST_SIMULATED = 4e9


@dataclass(frozen=True)
class ReproduceOptions:
    """How a run is to be reproduced.

    Attributes
    ----------
    output_dir : Path
        Folder under which new runs are written.
    data_root : Path or None
        Where the input files are now; None takes them where they were.
    strict : bool
        Whether to refuse when code, packages or machine have changed.
    force : bool
        Whether to rerun although the inputs have changed, and to simulate more than 4 GB.
    """

    store_folder: Path
    output_dir: Path
    data_root: Path | None = None
    strict: bool = False
    force: bool = False


@dataclass(frozen=True)
class Rerun:
    """A recorded run, its settings adapted to this machine, and the folder of its rerun."""

    recorded: RecordedRun
    config: Config
    folder: Path


def prepare(recorded: RecordedRun, folder: Path, options: ReproduceOptions) -> Rerun:
    """Adapt a recorded run's settings to this machine and to the options.

    An input file that is missing, or that the run did not read, raises `InputError`.
    """
    config = dataclasses.replace(recorded.config)
    config.output_dir = str(options.output_dir.absolute())
    config.tracking = dataclasses.replace(
        config.tracking,
        enabled=True,
        server=False,
        folder=str(options.store_folder.absolute()),
        experiment=recorded.manifest.experiment or _EXPERIMENT,
    )
    relocated = False
    if isinstance(config.data, SimulatedData):  # written, so never to a recorded path
        root = str(options.output_dir.absolute() / "simulated")
        config.data = dataclasses.replace(config.data, root=root)
    elif options.data_root is not None:
        config, relocated = relocate_inputs(config, options.data_root), True
    if config.images not in {"all", *config.data.sources}:  # a list, which may have changed since
        recorded.text("images.txt")
        config.images = str(folder / IMAGES_FILE)
    check_inputs(config, recorded, relocated=relocated)
    return Rerun(recorded, config, folder)


def refuse_large_simulations(reruns: Sequence[Rerun]) -> None:
    """Refuse to write simulated studies of more than 4 GB."""
    from rsa_exp.datasets.simulation import simulated_bytes

    datas = [rerun.config.data for rerun in reruns]
    studies = {
        (data.n_images, data.n_runs, data.seed) for data in datas if isinstance(data, SimulatedData)
    }
    n_bytes = sum(simulated_bytes(n_images, n_runs) for n_images, n_runs, _ in studies)
    if n_bytes > _MOST_SIMULATED:
        raise InputError(
            f"the settings of {reruns[0].recorded.title} ask for {n_bytes / 1e9:.0f} GB of "
            f"simulated files in {datas[0].root}; --force writes them"
        )


def environment_changes(provenance: dict[str, Any]) -> list[Change]:
    """List the changes of code, packages and machine since a run."""
    from rsa_exp.runs.provenance import environment

    inputs = {key: provenance[key] for key in ("inputs", "images_digest") if key in provenance}
    return changes(provenance, environment() | inputs)


def refuse_changed_environment(runs: Sequence[RecordedRun]) -> None:
    """Refuse runs that were made with other code, packages or another machine."""
    for run in runs:
        found = environment_changes(run.provenance)
        if found:
            raise InputError(
                f"--strict: {run.title} was made in another environment: "
                f"{'; '.join(map(str, found[:6]))}"
            )
