"""What a config reads: its files, its study, and the arguments of its analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.config.schema import Bold5000Data, Config, FilesData, SimulatedData
from rsa_exp.errors import InputError, listing

if TYPE_CHECKING:
    from rsa_exp.analysis.result import Result
    from rsa_exp.rdms.study import Study

__all__ = ["analyse_config", "input_files", "open_study"]


def input_files(config: Config) -> list[Path]:
    """Return every file that a config reads; the simulated study is made if need be."""
    brain, model = _files(config)
    # `from_hydra` makes the path of a list of images absolute; other values name a source.
    listed = [Path(config.images)] if Path(config.images).is_absolute() else []
    return [*brain.values(), model, *listed]


def open_study(config: Config) -> Study:
    """Open a config's files and align their images."""
    return _open(config, *_files(config))


def analyse_config(config: Config, sums_folder: Path | None = None) -> Result:
    """Analyse what a config says: `rsa_exp.analyse` with its study and arguments.

    Parameters
    ----------
    config : Config
        Of one run.
    sums_folder : Path, optional
        As in `rsa_exp.analyse`.

    Returns
    -------
    Result
        With the seconds that it took to simulate and to align, too.
    """
    from rsa_exp.analysis.analyse import analyse
    from rsa_exp.analysis.settings import Inference
    from rsa_exp.analysis.stopwatch import Stopwatch

    watch, settings = Stopwatch(), config.inference
    inference = Inference(
        bootstrap=settings.bootstrap,
        n_boot=settings.n_boot,
        n_perm=settings.n_perm,
        n_splits=settings.n_splits,
        ci=settings.ci,
        ceiling=settings.ceiling,
        resampling=settings.resampling,
        keep_draws=settings.save_draws,
    )
    with watch("simulate"):
        brain, model = _files(config)
    with watch("align"):
        study = _open(config, brain, model)
    with study:
        result = analyse(
            study,
            subject=config.subject,
            roi=config.roi,
            layer=config.layer,
            metric=config.metric,
            inference=inference,
            precision=config.precision,
            seed=config.seed,
            sums_folder=sums_folder,
        )
    return replace(result, seconds=watch.seconds | result.seconds)


def _files(config: Config) -> tuple[dict[str, Path], Path]:
    """Brain file of every subject, and the model file; the simulated study is made if need be."""
    data, root = config.data, Path(config.data.root)
    if isinstance(data, SimulatedData):
        from rsa_exp.datasets.simulation import SUBJECTS, simulate_study

        if config.model.name != "ResNet-50":
            raise InputError(
                f"the simulated study has model=resnet50 only, not {config.model.name}"
            )
        unknown = [subject for subject in data.subjects if subject not in SUBJECTS]
        if unknown:
            raise InputError(
                f"the simulated study has subjects {listing(SUBJECTS)}, not {listing(unknown)}"
            )
        root = simulate_study(root, data.n_images, data.seed)
    pattern = data.brain
    if isinstance(data, Bold5000Data):
        pattern = pattern.replace("{atlas}", data.atlas)
    brain = {subject: root / pattern.replace("{subject}", subject) for subject in data.subjects}
    model = Path(data.model) if isinstance(data, FilesData) else root / config.model.file
    return brain, model


def _open(config: Config, brain: dict[str, Path], model: Path) -> Study:
    from rsa_exp.rdms.opening import open_study as open_files

    data = config.data
    return open_files(
        brain,
        model,
        align=config.align,
        images=config.images,
        sources=data.sources,
        image_key=data.image_key,
        roi_key=data.roi_key,
        layer_key=data.layer_key,
        layers=data.layers if isinstance(data, FilesData) else config.model.layers,
        rois=data.rois,
        name=config.study_name,
        model_name=config.model_name,
        simulated=config.simulated,
        hint=data.hint,
    )
