"""The settings of a run: each key, its type, its default, and the line that explains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from rsa_exp.vocabulary import ATLASES, FIGURE_NAMES, METRIC_NAMES, POOLED, PRECISIONS

__all__ = [
    "DATA_KINDS", "DEFAULTS", "MISSING", "SECTIONS", "Affects", "Bold5000Data", "Config",
    "DataConfig", "FiguresConfig", "FilesData", "InferenceConfig", "ModelConfig", "SimulatedData",
    "TrackingConfig", "affects", "keys_of", "known_keys",
]  # fmt: skip

MISSING: Any = "???"
"""OmegaConf's value of a setting that has to be given; ``--help`` would wait for its import."""

Affects = Literal["numbers", "inputs", "nothing"]
"""What depends on a setting: the numbers of a run; which files it reads, which are compared by
content and not by path; or none of its numbers."""


def _key(default: Any, explanation: str, affects: Affects = "numbers") -> Any:
    """Define a setting, with the line that ``--help`` prints for it and what depends on it."""
    metadata = {"help": explanation, "affects": affects}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class DataConfig:
    """Where RDMs are and how their files name things."""

    kind: str = _key(MISSING, "which of the data configs this is; not to be set")
    name: str | None = _key(None, "the study's name in figures and logs")
    root: str = _key(".", "folder that relative file names start from", "inputs")
    brain: str = _key(MISSING, "brain RDM file; {subject} stands for the subject's id", "inputs")
    subjects: list[str] = _key([], "ids of the study's subjects; they decide the common images")
    image_key: str = _key("image", "pattern descriptor that names images")
    roi_key: str = _key("roi", "descriptor that names ROIs in the brain file")
    layer_key: str = _key("layer", "descriptor that names layers in the model file")
    sources: dict[str, str] = _key(
        {}, "sources of images: NAME=PATTERN of image names; * matches all that are left"
    )
    rois: dict[str, Any] = _key({}, "what an ROI is: NAME={hemisphere:LH,region:LOC,level:mid}")
    hint: str = _key("", "where missing files can be obtained, for the error message", "nothing")


@dataclass
class SimulatedData(DataConfig):
    """The built-in study, simulated with the published result planted."""

    kind: str = "simulated"
    n_images: int = _key(1000, "images to simulate (BOLD5000 has 4916)")
    seed: int = _key(0, "seed of the simulation; the run's seed unless set")


@dataclass
class Bold5000Data(DataConfig):
    """The published BOLD5000 files."""

    kind: str = "bold5000"
    atlas: str = _key("BOLD5000", f"which ROIs: {', '.join(ATLASES)}")


@dataclass
class FilesData(DataConfig):
    """Any rsatoolbox HDF5 RDM files."""

    kind: str = "files"
    model: str = _key(MISSING, "model RDM file", "inputs")
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
    file: str = _key(MISSING, "its RDM file, in the folder of the brain files", "inputs")
    layers: list[str] | None = _key(None, "layers in depth order; unset takes the file's rows")


@dataclass
class InferenceConfig:
    """Bootstrap, noise ceilings and permutation tests."""

    bootstrap: str = _key(
        "auto",
        "what is resampled: images (to generalise to new images), subjects, dual (both), none; "
        "auto is dual for subject=group, else images",
    )
    n_boot: int = _key(1000, "bootstrap draws")
    n_perm: int = _key(1000, "permutations of the images, for permutation tests; 0 skips the tests")
    n_splits: int = _key(
        50, "split-half cross-validations: the best layer is chosen on one half of the images and "
        "scored on the other"
    )  # fmt: skip
    ci: float = _key(0.95, "confidence level of intervals")
    family: str = _key(
        "run",
        "family of tests over which q and, in a sweep's table, p_fwe are corrected: run, sweep",
    )
    ceiling: str = _key(
        "auto",
        "noise ceiling: auto (in each draw where that is cheap), draws (in each draw at any cost), "
        "none",
    )
    resampling: bool = _key(
        False,
        "whether to bootstrap metrics of which each draw costs a whole comparison (tau-a, tau-b, "
        "bures, ...)",
    )
    save_draws: bool = _key(False, "whether to keep all draws, as draws.npz")


@dataclass
class FiguresConfig:
    """Which figures are made."""

    names: list[str] = _key([], f"figures of each run: {', '.join(FIGURE_NAMES)}", "nothing")
    sweep: bool = _key(True, "whether a sweep's summary and report have figures", "nothing")


@dataclass
class TrackingConfig:
    """Where runs are tracked."""

    enabled: bool = _key(True, "whether runs are tracked in MLflow", "nothing")
    server: bool = _key(False, "whether MLFLOW_TRACKING_URI must name a server", "nothing")
    folder: str = _key(
        "mlruns", "folder of the local store, unless MLFLOW_TRACKING_URI is set", "nothing"
    )
    experiment: str = _key("rsa_exp", "MLflow experiment that runs belong to", "nothing")


@dataclass
class Config:
    """Everything that determines a run."""

    subject: str = _key("1", "an id of data.subjects; joint: the mean RDM; group: the mean score")
    roi: Any = _key("all", "all, a name, a pattern such as 'LH*', or a [list] of these")
    layer: Any = _key("all", "all, a name, a pattern, or a [list] of these")
    images: str = _key("all", "all, a source of data.sources, or a file with one name a line")
    metric: str = _key("corr", f"how RDMs are compared: {', '.join(METRIC_NAMES)}")
    align: str = _key("stem", "match image names without their extension (stem) or whole (exact)")
    precision: str = _key("float64", f"precision of RDM vectors: {', '.join(PRECISIONS)}")
    seed: int = _key(0, "the one source of randomness")
    output_dir: str = _key("outputs", "folder under which runs are written", "nothing")
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
"""Default option of each config group."""


def keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key of a schema with its explanation and default: (dotted name, help, default)."""
    for item in fields(schema):
        if "help" in item.metadata:
            default = item.default_factory() if callable(item.default_factory) else item.default
            yield f"{prefix}{item.name}", item.metadata["help"], default


def known_keys() -> list[str]:
    """Every dotted key there is, and the config groups."""
    names = [name for name, _, _ in keys_of(Config)] + ["data", *SECTIONS, "experiment", "resume"]
    names += [name for prefix, schema in _sections() for name, _, _ in keys_of(schema, prefix)]
    return list(dict.fromkeys(names))


def affects(key: str) -> Affects:
    """Return what depends on a setting (see `Affects`); "numbers" for what is no known setting.

    Parameters
    ----------
    key : str
        Dotted name of a setting, of an entry of one (``data.rois.V1``), or of a config group, which
        affects what its settings affect.
    """
    known = _affected()
    while key not in known and "." in key:
        key = key.rpartition(".")[0]
    return known.get(key, "numbers")


@cache
def _affected() -> dict[str, Affects]:
    found: dict[str, Affects] = {}
    for prefix, schema in [("", Config), *_sections()]:
        kinds = {
            f"{prefix}{item.name}": item.metadata["affects"]
            for item in fields(schema)
            if "affects" in item.metadata
        }
        found |= kinds
        if prefix:
            found[prefix.rstrip(".")] = min(kinds.values(), key=get_args(Affects).index)
    return found


def _sections() -> list[tuple[str, type]]:
    """Prefixes and schemas of all sections."""
    data: list[tuple[str, type]] = [("data.", schema) for schema in DATA_KINDS.values()]
    return [*data, *((f"{section}.", schema) for section, schema in SECTIONS.items())]
