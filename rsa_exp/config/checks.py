"""Checks of a config's values, and its paths made absolute."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from rsa_exp.config.schema import (
    FEATURES,
    Bold5000Data,
    Config,
    DataConfig,
    FilesData,
    ModelConfig,
    PatternsData,
    SimulatedData,
)
from rsa_exp.errors import InputError, check_choice, listing
from rsa_exp.vocabulary import (
    ALIGNMENTS,
    ATLASES,
    BOOTSTRAPS,
    CEILINGS,
    DISTANCES,
    FAMILIES,
    FIGURE_NAMES,
    FOLDS,
    GROUP,
    JACKKNIFE,
    MATCHES,
    METRIC_NAMES,
    MIN_DRAWS,
    NOISES,
    POOLED,
    PRECISIONS,
    ROI_FIELDS,
    SINGLE_PRECISION,
    ZSCORES,
)

__all__ = ["checked"]

# Upper limits of what a run can hold in memory or on disk.
_MAX_DRAWS = 1_000_000
_MAX_SIMULATED_IMAGES = 20_000
_MAX_NAMES = 1000
_MAX_SEED = 2**64 - 1
_MAX_RUNS = 100

# Distances that need neither repetitions nor folds, which features have not.
_OF_FEATURES = ("correlation", "cosine", "euclidean")

# Settings of patterns, and why they may have no meaning.
_OF_PATTERNS = ("distance", "noise", "folds", "zscore", "min_reliability")
_SIMULATED_RDMS = "the study is simulated as RDM files; data.n_runs=3 simulates patterns in 3 runs"
_OF_RDMS = "the model's file has RDMs, which are used as they are; it is for model=features"


def checked(config: Config) -> Config:
    """Check every value of a config; make names strings and paths absolute, in place.

    Raises
    ------
    InputError
        At the first value that is not one of its choices, out of range, or at odds with another.
    """
    check_choice("metric", config.metric, METRIC_NAMES)
    check_choice("align", config.align, ALIGNMENTS)
    check_choice("match", config.match, MATCHES)
    check_choice("precision", config.precision, PRECISIONS)
    if config.precision == "float32" and config.metric not in SINGLE_PRECISION:
        raise InputError(
            f"precision=float32 is for metric={listing(SINGLE_PRECISION)}; {config.metric} is "
            "computed in float64"
        )
    for name in config.figures.names:
        check_choice("figures.names", name, FIGURE_NAMES)
    _check_seed("seed", config.seed)
    _check_data(config.data)
    _check_model(config)
    check_choice("subject", config.subject, (*config.data.subjects, *POOLED))
    _check_inference(config)
    config.roi = _names("roi", config.roi)
    config.layer = _names("layer", config.layer)
    for roi, facts in config.data.rois.items():
        _check_roi(roi, facts)
    _make_paths_absolute(config)
    return config


def _check_seed(key: str, seed: int) -> None:
    if seed < 0:
        raise InputError(f"{key}={seed} is negative; use 0 or more")
    if seed > _MAX_SEED:
        raise InputError(f"{key} is larger than {_MAX_SEED}")


def _check_data(data: DataConfig) -> None:
    if isinstance(data, Bold5000Data):
        check_choice("data.atlas", data.atlas, ATLASES)
    if isinstance(data, SimulatedData):
        _check_seed("data.seed", data.seed)
        if data.n_images > _MAX_SIMULATED_IMAGES:
            raise InputError(
                f"data.n_images={data.n_images} is more than {_MAX_SIMULATED_IMAGES}, the most "
                "that can be simulated"
            )
        if not 0 <= data.n_runs <= _MAX_RUNS:
            raise InputError(f"data.n_runs={data.n_runs} is not a number of runs, 0 to {_MAX_RUNS}")
    if isinstance(data, SimulatedData | PatternsData):
        check_choice("data.distance", data.distance, DISTANCES)
        check_choice("data.noise", data.noise, NOISES)
        check_choice("data.folds", data.folds, FOLDS)
        check_choice("data.zscore", data.zscore, ZSCORES)
    if isinstance(data, SimulatedData) and not data.n_runs:
        _refuse_unused("data", data, SimulatedData, _OF_PATTERNS, _SIMULATED_RDMS)
    if not data.subjects:
        raise InputError("data.subjects is empty; name the study's subjects: data.subjects=[1,2,3]")
    if len(set(data.subjects)) < len(data.subjects):
        raise InputError(f"data.subjects names a subject twice: {listing(data.subjects)}")
    for subject in data.subjects:
        if subject in {"", ".", ".."} or "/" in subject or "\\" in subject:
            raise InputError(
                f"data.subjects names {subject!a:.100}, which would lead to another folder; put "
                "folders into data.brain"
            )
    data.hint = " ".join(data.hint.split())  # a block of YAML ends its line
    for source in data.sources:
        if Path(source).is_absolute():  # as `images` it would name a file
            raise InputError(f"data.sources names {source!a:.100}, which is a path; use a name")


def _check_model(config: Config) -> None:
    data = config.data
    if config.model.kind == FEATURES:
        check_choice("model.distance", config.model.distance, _OF_FEATURES)
        if isinstance(data, FilesData) and data.model:
            raise InputError(
                f"data.model={data.model} is not used with model=features; set model.file alone, "
                "or leave out model=features"
            )
    elif not (isinstance(data, SimulatedData) and data.n_runs):
        _refuse_unused("model", config.model, ModelConfig, ("distance", "zscore"), _OF_RDMS)
    if config.has_data_model and not config.model_file:
        raise InputError("data.model is not set: data.model=/path/to/RDMs.h5, or model=features")


def _refuse_unused(
    section: str, given: object, schema: type, names: Iterable[str], why: str
) -> None:
    """Refuse settings of a section that would change nothing."""
    defaults = {field.name: field.default for field in fields(schema)}
    for name in names:
        if getattr(given, name) != defaults[name]:
            raise InputError(f"{section}.{name}={getattr(given, name)} would change nothing: {why}")


def _check_inference(config: Config) -> None:
    inference = config.inference
    check_choice("inference.bootstrap", inference.bootstrap, BOOTSTRAPS)
    check_choice("inference.ceiling", inference.ceiling, CEILINGS)
    check_choice("inference.family", inference.family, FAMILIES)
    if inference.bootstrap not in {"none", JACKKNIFE} and inference.n_boot < MIN_DRAWS:
        raise InputError(
            f"inference.n_boot={inference.n_boot} draws make no interval; use {MIN_DRAWS} or more, "
            "1000 for a paper, or inference.bootstrap=none"
        )
    for name in ("n_boot", "n_perm", "n_splits"):
        value = getattr(inference, name)
        if value < 0:
            raise InputError(f"inference.{name}={value} is negative; use 0 or more")
        if value > _MAX_DRAWS:
            raise InputError(f"inference.{name}={value} is more than the maximum of {_MAX_DRAWS}")
    if not 0.5 <= inference.ci < 1:
        raise InputError(
            f"inference.ci={inference.ci} is not a confidence level; use 0.5 or more and less than "
            "1, such as 0.95"
        )
    n_subjects = len(config.data.subjects)
    if inference.bootstrap in {"subjects", "dual"} and (config.subject != GROUP or n_subjects < 2):
        raise InputError(
            f"inference.bootstrap={inference.bootstrap} resamples subjects, so it needs "
            f"subject=group and two or more of data.subjects, not subject={config.subject} of "
            f"{n_subjects}; auto resamples them where it can"
        )


def _names(key: str, value: Any) -> str | list[str]:
    """Check that `roi` or `layer` is a name or a list of names."""
    if isinstance(value, list):
        if len(value) > _MAX_NAMES:
            raise InputError(f"{key} lists {len(value)} names; use at most {_MAX_NAMES}, or all")
        if value and all(isinstance(item, str | int | float) for item in value):
            return [str(item) for item in value]
    elif isinstance(value, str | int | float) and str(value):
        return str(value)
    raise InputError(f"{key}={value!s:.200} is neither a name, a pattern nor a list of these")


def _check_roi(roi: str, facts: Any) -> None:
    known = isinstance(facts, dict) and set(facts) <= set(ROI_FIELDS)
    if not known or not all(isinstance(fact, str) for fact in facts.values()):
        raise InputError(
            f"data.rois.{roi} must be like {{hemisphere:LH,region:LOC,level:mid}}, not {facts}"
        )


def _make_paths_absolute(config: Config) -> None:
    """Make paths independent of the folder that the run was started in."""
    config.output_dir = str(_expanded("output_dir", config.output_dir).absolute())
    config.tracking.folder = str(_expanded("tracking.folder", config.tracking.folder).absolute())
    config.data.root = str(_expanded("data.root", config.data.root).absolute())
    data, root = config.data, Path(config.data.root)
    if isinstance(data, FilesData | PatternsData):
        data.brain = str(root / _expanded("data.brain", data.brain))
    if isinstance(data, FilesData) and data.model:
        data.model = str(root / _expanded("data.model", data.model))
    if isinstance(data, PatternsData) and data.residuals:
        data.residuals = str(root / _expanded("data.residuals", data.residuals))
    if data.image_names:
        data.image_names = str(root / _expanded("data.image_names", data.image_names))
    model = config.model
    if model.kind == FEATURES and model.file:
        model.file = str(root / _expanded("model.file", model.file))
    if model.image_names:
        model.image_names = str(root / _expanded("model.image_names", model.image_names))
    if config.images != "all" and config.images not in config.data.sources:
        path = _expanded("images", config.images)
        with suppress(OSError, ValueError):  # not a possible path: reported when images are chosen
            config.images = str(path.absolute()) if path.is_file() else config.images


def _expanded(key: str, path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{key}={path:.200}: there is no such user's folder") from error
