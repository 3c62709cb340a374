"""The settings of a run: each key, its type, its default, and the line that explains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rsa_exp.vocabulary import (
    ATLASES,
    DISTANCES,
    FIGURE_NAMES,
    METRIC_NAMES,
    NOISES,
    POOLED,
    PRECISIONS,
)

__all__ = [
    "DATA_KINDS", "DEFAULTS", "FEATURES", "MISSING", "SECTIONS", "Affects", "Bold5000Data",
    "Config", "DataConfig", "FiguresConfig", "FilesData", "InferenceConfig", "ModelConfig",
    "PatternsData", "SimulatedData", "TrackingConfig",
]  # fmt: skip

MISSING: Any = "???"
"""OmegaConf's value of a setting that has to be given; ``--help`` would wait for its import."""

Affects = Literal["numbers", "inputs", "nothing"]
"""What depends on a setting: the numbers of a run; which files it reads, which are compared by
content and not by path; or none of its numbers."""


FEATURES = "features"
"""Kind of a model that is given by features, of which RDMs are made."""


def _key(default: Any, explanation: str, affects: Affects = "numbers", *, new: bool = False) -> Any:
    """Define a setting, with the line that ``--help`` prints for it and what depends on it.

    Records of older versions lack a `new` one: they did what its default does.
    """
    metadata = {"help": explanation, "affects": affects, "new": new}
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
    image_names: str | None = _key(
        None,
        "text file with the brain file's image names, one a line, if it has none; may hold "
        "{subject}",
        "inputs",
        new=True,
    )
    roi_key: str = _key("roi", "descriptor that names ROIs in the brain file")
    layer_key: str = _key("layer", "descriptor that names layers in the model file")
    sources: dict[str, str] = _key(
        {}, "sources of images: NAME=PATTERN of image names; * matches all that are left"
    )
    rois: dict[str, Any] = _key({}, "what an ROI is: NAME={hemisphere:LH,region:LOC,level:mid}")
    hint: str = _key("", "where missing files can be obtained, for the error message", "nothing")


@dataclass
class _OfPatterns:
    """How RDMs are made of response patterns."""

    distance: str = _key("correlation", f"dissimilarity: {', '.join(DISTANCES)}", new=True)
    noise: str = _key("none", f"covariance of the noise: {', '.join(NOISES)}", new=True)
    folds: str = _key("run", "what crossnobis is cross-validated over: run, session", new=True)
    zscore: str = _key(
        "none", "z-score each voxel over the rows of each run, of each session, or all", new=True
    )
    min_reliability: float | None = _key(
        None, "leave voxels out whose split-half reliability is lower", new=True
    )


@dataclass
class SimulatedData(_OfPatterns, DataConfig):
    """The built-in study, simulated with the published result planted."""

    kind: str = "simulated"
    n_images: int = _key(1000, "images to simulate (BOLD5000 has 4916)")
    seed: int = _key(0, "seed of the simulation; the run's seed unless set")
    n_runs: int = _key(
        0,
        "runs in which voxel patterns are measured, of which RDMs are then made; 0 simulates RDM "
        "files",
        new=True,
    )


@dataclass
class Bold5000Data(DataConfig):
    """The published BOLD5000 files."""

    kind: str = "bold5000"
    atlas: str = _key("BOLD5000", f"which ROIs: {', '.join(ATLASES)}")


@dataclass
class FilesData(DataConfig):
    """RDM files of one's own."""

    kind: str = "files"
    model: str | None = _key(None, "model RDM file, unless model=features", "inputs")
    layers: list[str] | None = _key(None, "layers in depth order; unset takes the file's rows")


@dataclass
class PatternsData(_OfPatterns, DataConfig):
    """Response patterns: images x voxels for each ROI, repeated in runs or not."""

    kind: str = "patterns"
    run_key: str = _key("run", "array that says in which run a row was measured")
    session_key: str = _key("session", "array that says in which session a row was measured")
    residuals: str | None = _key(
        None,
        "file of residuals for the covariance of the noise, laid out as the brain file, with any "
        "name for each row; without it, that comes from repetitions",
        "inputs",
    )


DATA_KINDS: dict[str, type[DataConfig]] = {
    "simulated": SimulatedData,
    "bold5000": Bold5000Data,
    "files": FilesData,
    "patterns": PatternsData,
}


@dataclass
class ModelConfig:
    """A model's RDM file, or its features; data=files names an RDM file with data.model."""

    kind: str = _key("rdms", "which kind of model config this is; not to be set", new=True)
    name: str | None = _key(None, "the model's name in figures and logs; unset, that of its file")
    file: str = _key(MISSING, "its file, in the folder of the brain files", "inputs")
    layers: list[str] | None = _key(None, "layers in depth order; unset takes the file's rows")
    distance: str = _key(
        "correlation",
        "dissimilarity of features (model=features): correlation, cosine, euclidean",
        new=True,
    )
    zscore: bool = _key(False, "whether to z-score each feature over the images", new=True)
    image_names: str | None = _key(
        None,
        "text file with the model file's image names, one a line, if it has none",
        "inputs",
        new=True,
    )


@dataclass
class InferenceConfig:
    """Bootstrap, noise ceilings and permutation tests."""

    bootstrap: str = _key(
        "auto",
        "what is resampled: images (to generalise to new images), subjects, dual (both), none; "
        "auto is dual for subject=group, else images; jackknife leaves out each image once instead",
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
    match: str = _key(
        "study",
        "images to use: common to all subjects (study), or each subject's own (subject)",
        new=True,
    )
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
    def has_data_model(self) -> bool:
        """Whether ``data.model`` names the model's RDM file, and not the model group."""
        return isinstance(self.data, FilesData) and self.model.kind != FEATURES

    @property
    def model_file(self) -> str:
        """The model's file, relative to ``data.root`` unless absolute; empty if none is set."""
        if isinstance(self.data, FilesData) and self.has_data_model:
            return self.data.model or ""
        return self.model.file

    @property
    def model_name(self) -> str:
        """Name of the model for figures and logs."""
        named = None if self.has_data_model else self.model.name
        return named or Path(self.model_file).stem

    @property
    def opened_subjects(self) -> list[str]:
        """Subjects whose files a run opens: those whose images decide which are used."""
        alone = self.match == "subject" and self.subject not in POOLED
        return [self.subject] if alone else list(self.data.subjects)

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
