"""What a config reads: its files, its study, and the arguments of its analysis."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.config.schema import (
    FEATURES,
    Bold5000Data,
    Config,
    FilesData,
    PatternsData,
    SimulatedData,
)
from rsa_exp.config.typed_names import as_typed, typed_names
from rsa_exp.datasets.files import FEATURE_FILE, PATTERN_FILE
from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers import Naming, RdmSource

if TYPE_CHECKING:
    from rsa_exp.analysis.result import Result
    from rsa_exp.rdms.study import Study
    from rsa_exp.stats.patterns.measurements import PatternOptions

__all__ = ["analyse_config", "input_files", "open_sources", "open_study"]


def input_files(config: Config) -> list[Path]:
    """Return every file that a config opens; the simulated study is made if need be."""
    files = _files(config)
    # `from_hydra` makes the path of a list of images absolute; other values name a source.
    listed = [Path(config.images)] if Path(config.images).is_absolute() else []
    lists = [*files.image_names.values(), *files.residuals.values()]
    if files.model_images is not None:
        lists.append(files.model_images)
    return [*files.brain.values(), files.model, *listed, *dict.fromkeys(lists)]


def open_study(config: Config) -> Study:
    """Open a config's files and align their images."""
    return _open(config, _files(config))


def open_sources(config: Config, stack: ExitStack) -> dict[str, RdmSource]:
    """Open a config's sources by themselves: of each subject, and the model's by an empty name.

    The model is left out where no file of it is named; `stack` closes what is opened.
    """
    from rsa_exp.rdms.opening import open_source

    files, data = _files(config), config.data
    patterns, features = _options(config)
    found = {
        subject: open_source(
            path,
            _naming(config, subject),
            patterns,
            stack,
            name=subject,
            hint=data.hint,
            image_names=files.image_names.get(subject),
            residuals=files.residuals.get(subject),
        )
        for subject, path in files.brain.items()
    }
    _refuse_shared_files(config, found)
    if config.model_file:
        naming = Naming("layer", data.image_key, data.layer_key)
        found[""] = open_source(
            files.model, naming, features, stack, name="model", image_names=files.model_images
        )
    return found


def _naming(config: Config, subject: str) -> Naming:
    data = config.data
    naming = Naming("ROI", data.image_key, data.roi_key, subject=subject)
    if isinstance(data, PatternsData):
        naming = replace(naming, run_key=data.run_key, session_key=data.session_key)
    return naming


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
        files = _files(config)
    with watch("align"):
        study = _open(config, files)
    with study, typed_names():
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
    return replace(
        result,
        notices=[*map(as_typed, result.notices)],
        warnings=[*map(as_typed, result.warnings)],
        seconds=watch.seconds | result.seconds,
    )


@dataclass(frozen=True)
class _Files:
    """The files of a config: of each subject, and of the model."""

    brain: dict[str, Path]
    model: Path
    image_names: dict[str, Path]
    residuals: dict[str, Path]
    model_images: Path | None


def _files(config: Config) -> _Files:
    """Return the files that a config opens; the simulated study is made if need be.

    A run on a subject's own images needs nobody else's.
    """
    data, root = config.data, Path(config.data.root)
    subjects = config.opened_subjects
    pattern, model = data.brain, config.model_file
    if isinstance(data, SimulatedData):
        root = _simulated(config, data)
        if data.n_runs:
            pattern, model = PATTERN_FILE, FEATURE_FILE
    if isinstance(data, Bold5000Data):
        pattern = pattern.replace("{atlas}", data.atlas)

    def of_subjects(name: str | None) -> dict[str, Path]:
        return {s: root / name.replace("{subject}", s) for s in subjects} if name else {}

    names = config.model.image_names
    return _Files(
        of_subjects(pattern),
        root / model,
        of_subjects(data.image_names),
        of_subjects(data.residuals if isinstance(data, PatternsData) else None),
        root / names if names else None,
    )


def _simulated(config: Config, data: SimulatedData) -> Path:
    """Simulate the study unless it is there; return its folder."""
    from rsa_exp.datasets.simulation import SUBJECTS, simulate_study

    if config.model.name != "ResNet-50":
        raise InputError(f"the simulated study has model=resnet50 only, not {config.model_name}")
    unknown = [subject for subject in data.subjects if subject not in SUBJECTS]
    if unknown:
        raise InputError(
            f"the simulated study has subjects {listing(SUBJECTS)}, not {listing(unknown)}"
        )
    return simulate_study(Path(data.root), data.n_images, data.seed, data.n_runs)


@typed_names()
def _options(config: Config) -> tuple[PatternOptions | None, PatternOptions | None]:
    """How RDMs are made of the brain's patterns and of the model's features, if they are."""
    from rsa_exp.stats.patterns.measurements import PatternOptions

    data, model = config.data, config.model
    brain = features = None
    simulated = isinstance(data, SimulatedData) and data.n_runs > 0
    if isinstance(data, PatternsData) or (isinstance(data, SimulatedData) and simulated):
        brain = PatternOptions(
            data.distance, data.noise, data.folds, data.zscore, data.min_reliability
        )
    if simulated or model.kind == FEATURES:
        zscore = "all" if model.zscore else "none"
        features = PatternOptions(model.distance, zscore=zscore)
    return brain, features


@typed_names()
def _open(config: Config, files: _Files) -> Study:
    from rsa_exp.rdms.opening import open_study as open_files

    data = config.data
    patterns, features = _options(config)
    keys = {}
    if isinstance(data, PatternsData):
        keys = {"run_key": data.run_key, "session_key": data.session_key}
    study = open_files(
        files.brain,
        files.model,
        align=config.align,
        match=config.match,
        images=config.images,
        sources=data.sources,
        patterns=patterns,
        features=features,
        brain_images=files.image_names,
        model_images=files.model_images,
        residuals=files.residuals,
        image_key=data.image_key,
        roi_key=data.roi_key,
        layer_key=data.layer_key,
        layers=data.layers
        if isinstance(data, FilesData) and config.has_data_model
        else config.model.layers,
        rois=data.rois,
        name=config.study_name,
        model_name=config.model_name,
        simulated=config.simulated,
        hint=data.hint,
        **keys,
    )
    _refuse_shared_files(config, study.sources)
    return study


def _refuse_shared_files(config: Config, sources: Mapping[str, RdmSource]) -> None:
    """Refuse one file for several subjects, unless it says what is whose."""
    data = config.data
    shared = len(data.subjects) > 1 and "{subject}" not in data.brain
    if shared and not all(source.of_subject for name, source in sources.items() if name):
        raise InputError(
            f"data.brain={data.brain} is one file for {len(data.subjects)} subjects, and does not "
            "say what is whose; put {subject} where their ids differ: "
            "\"data.brain='/path/{subject}_RDMs.h5'\""
        )
