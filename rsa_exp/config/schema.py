"""The settings of a run: each key, its type, its default, and the line that explains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from rsa_exp.vocabulary import ATLASES, FIGURE_NAMES, METRIC_NAMES, POOLED, PRECISIONS

__all__ = [
    "DATA_KINDS", "DEFAULTS", "SECTIONS", "Bold5000Data", "Config", "DataConfig", "FiguresConfig",
    "FilesData", "InferenceConfig", "ModelConfig", "SimulatedData", "TrackingConfig", "keys_of",
    "known_keys",
]  # fmt: skip


def _key(default: Any, explanation: str) -> Any:
    """Make a config key with the line that `--help` prints for it."""
    metadata = {"help": explanation}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class DataConfig:
    """Where RDMs are and how their files name things."""

    kind: str = _key(MISSING, "which of the data configs this is; not to be set")
    name: str | None = _key(None, "the study's name in figures and logs")
    root: str = _key(".", "folder that relative file names start from")
    brain: str = _key(MISSING, "brain RDM file; {subject} stands for the subject's id")
    subjects: list[str] = _key([], "ids of the study's subjects; they decide the common images")
    image_key: str = _key("image", "pattern descriptor that names images")
    roi_key: str = _key("roi", "descriptor that names ROIs in the brain file")
    layer_key: str = _key("layer", "descriptor that names layers in the model file")
    sources: dict[str, str] = _key(
        {}, "sources of images: NAME=PATTERN of image names; * takes what fits no other"
    )
    rois: dict[str, Any] = _key({}, "what an ROI is: NAME={hemisphere:LH,region:LOC,level:mid}")
    hint: str = _key("", "where missing files can be had")


@dataclass
class SimulatedData(DataConfig):
    """The built-in study, simulated with the published result planted."""

    kind: str = "simulated"
    n_images: int = _key(1000, "images to simulate (BOLD5000 has 4916)")
    seed: int = _key(0, "what the simulation is drawn from; the run's seed unless set")


@dataclass
class Bold5000Data(DataConfig):
    """The published BOLD5000 files."""

    kind: str = "bold5000"
    atlas: str = _key("BOLD5000", f"which ROIs: {', '.join(ATLASES)}")


@dataclass
class FilesData(DataConfig):
    """Any rsatoolbox HDF5 RDM files."""

    kind: str = "files"
    model: str = _key(MISSING, "model RDM file")
    layers: list[str] | None = _key(None, "layers in depth order; unset takes the file's rows")


DATA_KINDS: dict[str, type[DataConfig]] = {
    "simulated": SimulatedData,
    "bold5000": Bold5000Data,
    "files": FilesData,
}


@dataclass
class ModelConfig:
    """A model's RDM file; data=files names its own with data.model."""

    name: str = _key(MISSING, "the model's name in figures and logs")
    file: str = _key(MISSING, "its RDM file, beside the brain files")
    layers: list[str] | None = _key(None, "layers in depth order; unset takes the file's rows")


@dataclass
class InferenceConfig:
    """How far scores can be trusted."""

    bootstrap: str = _key(
        "auto",
        "what is drawn: images (for new images), subjects, dual (for new of both), none; auto is "
        "dual for subject=group, else images",
    )
    n_boot: int = _key(1000, "bootstrap draws")
    n_perm: int = _key(1000, "relabellings of the images, for permutation tests; 0 makes none")
    n_splits: int = _key(50, "splits of the images into halves, to choose on one and score on one")
    ci: float = _key(0.95, "confidence level of intervals")
    family: str = _key(
        "run", "over which tests q and, in a sweep's table, p_fwe are corrected: run, sweep"
    )
    ceiling: str = _key(
        "auto",
        "noise ceiling: auto (in each draw where that is cheap), draws (whatever it costs), none",
    )
    resampling: bool = _key(
        False, "whether draws are made that cost a whole comparison each (tau-a, tau-b, bures, ...)"
    )
    save_draws: bool = _key(False, "whether all draws are kept, as draws.npz")


@dataclass
class FiguresConfig:
    """What is drawn."""

    names: list[str] = _key([], f"which figures of each run: {', '.join(FIGURE_NAMES)}")
    sweep: bool = _key(True, "whether a sweep's summary and report have figures")


@dataclass
class TrackingConfig:
    """Where runs are recorded."""

    enabled: bool = _key(True, "whether runs are recorded in MLflow")
    server: bool = _key(False, "whether MLFLOW_TRACKING_URI must name a server")
    folder: str = _key("mlruns", "folder of the local store, unless MLFLOW_TRACKING_URI is set")
    experiment: str = _key("rsa_exp", "MLflow experiment that runs belong to")


@dataclass
class Config:
    """Everything that determines a run."""

    subject: str = _key("1", "an id of data.subjects; joint: the mean RDM; group: the mean score")
    roi: Any = _key("all", "all, a name, a pattern such as 'LH*', or a [list] of these")
    layer: Any = _key("all", "all, a name, a pattern, or a [list] of these")
    images: str = _key("all", "all, a source of data.sources, or a file with one name a line")
    metric: str = _key("corr", f"how RDMs are compared: {', '.join(METRIC_NAMES)}")
    align: str = _key("stem", "image names match without their extension (stem) or whole (exact)")
    precision: str = _key("float64", f"what vectors are kept in: {', '.join(PRECISIONS)}")
    seed: int = _key(0, "the one source of randomness")
    output_dir: str = _key("outputs", "folder under which runs land")
    data: DataConfig = MISSING
    model: ModelConfig = MISSING
    inference: InferenceConfig = MISSING
    figures: FiguresConfig = MISSING
    tracking: TrackingConfig = MISSING

    @property
    def simulated(self) -> bool:
        """Whether the data are simulated."""
        return isinstance(self.data, SimulatedData)

    @property
    def study_name(self) -> str:
        """Name of the study for figures and logs."""
        return self.data.name or Path(self.data.brain).parent.name or "files"

    @property
    def model_name(self) -> str:
        """Name of the model for figures and logs."""
        return Path(self.data.model).stem if isinstance(self.data, FilesData) else self.model.name

    def scored_subjects(self) -> list[str]:
        """Subjects whose RDMs are scored: one, or all of them for ``joint`` and ``group``."""
        return list(self.data.subjects) if self.subject in POOLED else [self.subject]


# The config groups other than data, which has a schema for each of its options.
SECTIONS: dict[str, type] = {
    "model": ModelConfig,
    "inference": InferenceConfig,
    "figures": FiguresConfig,
    "tracking": TrackingConfig,
}


DEFAULTS = {
    "data": "simulated",
    "model": "resnet50",
    "inference": "fast",
    "figures": "default",
    "tracking": "local",
}
"""What is chosen of each config group unless something else is asked for."""


def keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key of a schema with its explanation and default: (dotted name, help, default)."""
    for item in fields(schema):
        if "help" in item.metadata:
            default = item.default_factory() if callable(item.default_factory) else item.default
            yield f"{prefix}{item.name}", item.metadata["help"], default


def known_keys() -> list[str]:
    """Every dotted key there is, and the config groups."""
    names = [name for name, _, _ in keys_of(Config)] + ["data", *SECTIONS, "experiment", "resume"]
    for schema in DATA_KINDS.values():
        names += [name for name, _, _ in keys_of(schema, "data.")]
    for section, schema in SECTIONS.items():
        names += [name for name, _, _ in keys_of(schema, f"{section}.")]
    return list(dict.fromkeys(names))
