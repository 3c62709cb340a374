"""The settings of a run: their types, what each means, and whether they make sense together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rsa_exp.errors import InputError, listing, suggestion

__all__ = [
    "ALIGNMENTS",
    "ATLASES",
    "FIGURES",
    "METRICS",
    "Bold5000Data",
    "Config",
    "DataConfig",
    "FiguresConfig",
    "FilesData",
    "ModelConfig",
    "SimulatedData",
    "TrackingConfig",
    "conf_dir",
    "from_hydra",
    "from_logged",
    "register",
    "to_yaml",
]

# Kept here as plain names so that `--help` needs no numerical library; tests hold them equal to
# the registries they name.
METRICS = (
    "corr", "cosine", "spearman", "rho-a", "tau-a", "tau-b", "corr_cov", "cosine_cov", "bures",
    "bures_metric", "neg_riem_dist",
)  # fmt: skip
ALIGNMENTS = ("stem", "exact")
ATLASES = ("BOLD5000", "vcAtlas", "visfAtlas")
FIGURES = ("heatmap", "bars", "profiles", "scatter", "radar", "surface", "rdms")
POOLED = ("joint", "group")
ROI_FIELDS = ("hemisphere", "region", "level")


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
    sources: dict[str, str] = _key({}, "sources of images: NAME=PATTERN of image names")
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
class FiguresConfig:
    """What is drawn."""

    names: list[str] = _key([], f"which figures: {', '.join(FIGURES)}")


@dataclass
class TrackingConfig:
    """Where runs are recorded."""

    enabled: bool = _key(True, "whether runs are recorded in MLflow")
    folder: str = _key("mlruns", "folder of the local store, unless MLFLOW_TRACKING_URI is set")
    experiment: str = _key("rsa_exp", "MLflow experiment that runs belong to")


@dataclass
class Config:
    """Everything that determines a run."""

    subject: str = _key("1", "an id of data.subjects; joint: the mean RDM; group: the mean score")
    roi: Any = _key("all", "all, a name, a pattern such as 'LH*', or a [list] of these")
    layer: Any = _key("all", "all, a name, a pattern, or a [list] of these")
    images: str = _key("all", "all, a source of data.sources, or a file with one name a line")
    metric: str = _key("corr", f"how RDMs are compared: {', '.join(METRICS)}")
    align: str = _key("stem", "image names match without their extension (stem) or whole (exact)")
    seed: int = _key(0, "the one source of randomness")
    output_dir: str = _key("outputs", "folder under which runs land")
    data: DataConfig = MISSING
    model: ModelConfig = MISSING
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


def conf_dir() -> Path:
    """Folder of the YAML files: the one in the wheel, else the checkout's."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "conf"


def register() -> None:
    """Tell Hydra the schema that conf/ extends."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for kind, schema in DATA_KINDS.items():
        store.store(group="schema/data", name=kind, node=schema)


def from_hydra(composed: DictConfig) -> Config:
    """Check a composed config and give it as plain objects with absolute paths.

    Parameters
    ----------
    composed : DictConfig
        What Hydra composed.

    Returns
    -------
    Config
        Ready for `rsa_exp.pipeline.run`.

    Raises
    ------
    InputError
        If a value is missing, of the wrong type or not one of its choices.
    """
    _refuse_strangers(composed)
    for key in sorted(OmegaConf.missing_keys(composed)):
        raise InputError(f"{key} is not set: {key}=/path/to/RDMs.h5")
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise InputError(first_line(error)) from error
    if not isinstance(config, Config):
        raise InputError("the config does not extend the schema of rsa_exp/config.py")
    return _checked(config)


def from_logged(text: str) -> Config:
    """Read a run's ``config.yaml``, which is data: no interpolation, no unknown key.

    Parameters
    ----------
    text : str
        Contents of the file.

    Raises
    ------
    InputError
        If it is not the config of a run.
    """
    try:
        plain = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except Exception as error:  # PyYAML's and OmegaConf's share no base
        raise InputError("the logged config is not YAML") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("data"), dict):
        raise InputError("the logged config is not one of rsa_exp: it has no section 'data'")
    for where, value in _leaves(plain):
        if isinstance(value, str) and "${" in value:
            raise InputError(
                f"the logged config has an interpolation in '{where}', which is unsafe"
            )
    kind = plain["data"].get("kind")
    if kind not in DATA_KINDS:
        raise InputError(f"the logged config has data.kind={kind}; one of {listing(DATA_KINDS)}")
    try:
        schema = OmegaConf.structured(Config)
        schema.data = OmegaConf.structured(DATA_KINDS[kind])
        return from_hydra(OmegaConf.merge(schema, OmegaConf.create(plain)))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise InputError(f"the logged config cannot be used: {first_line(error)}") from error


def to_yaml(config: Config) -> str:
    """Return a config as the YAML that `from_logged` reads: resolved, with absolute paths."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def first_line(error: BaseException) -> str:
    """Return what an OmegaConf error says first, with the key it is about."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and key not in text else text


def keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key of a schema with its explanation and default: (dotted name, help, default)."""
    for item in fields(schema):
        if "help" in item.metadata:
            default = item.default_factory() if callable(item.default_factory) else item.default
            yield f"{prefix}{item.name}", item.metadata["help"], default


def known_keys() -> list[str]:
    """Every dotted key there is, and the config groups."""
    sections: dict[str, type] = {
        "model": ModelConfig,
        "figures": FiguresConfig,
        "tracking": TrackingConfig,
    }
    names = [name for name, _, _ in keys_of(Config)] + ["data", *sections]
    for schema in DATA_KINDS.values():
        names += [name for name, _, _ in keys_of(schema, "data.")]
    for section, schema in sections.items():
        names += [name for name, _, _ in keys_of(schema, f"{section}.")]
    return list(dict.fromkeys(names))


def _leaves(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(key, where)
            yield from _leaves(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, where)
    else:
        yield where, node


def _checked(config: Config) -> Config:
    _one_of("metric", config.metric, METRICS)
    _one_of("align", config.align, ALIGNMENTS)
    for name in config.figures.names:
        _one_of("figures.names", name, FIGURES)
    data = config.data
    if isinstance(data, Bold5000Data):
        _one_of("data.atlas", data.atlas, ATLASES)
    for key, seed in (("seed", config.seed), ("data.seed", getattr(data, "seed", 0))):
        if seed < 0:
            raise InputError(f"{key}={seed} is negative; use 0 or more")
    if not data.subjects:
        raise InputError("data.subjects is empty; name the study's subjects: data.subjects=[1,2,3]")
    if len(set(data.subjects)) < len(data.subjects):
        raise InputError(f"data.subjects names a subject twice: {listing(data.subjects)}")
    _one_of("subject", config.subject, (*data.subjects, *POOLED))
    if len(data.subjects) > 1 and "{subject}" not in data.brain:
        raise InputError(
            f"data.brain={data.brain} is one file for {len(data.subjects)} subjects; put "
            "{subject} where their ids differ: \"data.brain='/path/{subject}_RDMs.h5'\""
        )
    config.roi = _names("roi", config.roi)
    config.layer = _names("layer", config.layer)
    for roi, facts in data.rois.items():
        _check_roi(roi, facts)
    _absolute_paths(config)
    return config


def _refuse_strangers(node: DictConfig, prefix: str = "") -> None:
    """Refuse keys that no schema has: Hydra lets ``+key=value`` add them."""
    schema = OmegaConf.get_type(node)
    if not is_dataclass(schema):
        return
    names = [item.name for item in fields(schema)]
    for key in map(str, node):
        if key not in names:
            raise InputError(
                f"there is no key '{prefix}{key}'{suggestion(prefix + key, known_keys())} "
                "(see --help)"
            )
        child = None if OmegaConf.is_missing(node, key) else node._get_node(key)
        if isinstance(child, DictConfig):
            _refuse_strangers(child, f"{prefix}{key}.")


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(
            f"{key}={value} is not one of {listing(choices, 20)}{suggestion(value, choices)}"
        )


def _names(key: str, value: Any) -> str | list[str]:
    """Check that `roi` or `layer` is a name or a list of names."""
    if isinstance(value, list):
        if value and all(isinstance(item, str | int | float) for item in value):
            return [str(item) for item in value]
    elif isinstance(value, str | int | float) and str(value):
        return str(value)
    raise InputError(f"{key}={value} is neither a name, a pattern nor a list of these")


def _check_roi(roi: str, facts: Any) -> None:
    if not isinstance(facts, dict) or not set(facts) <= set(ROI_FIELDS):
        raise InputError(
            f"data.rois.{roi} must be like {{hemisphere:LH,region:LOC,level:mid}}, not {facts}"
        )


def _absolute_paths(config: Config) -> None:
    """Make paths independent of the folder the run was started in."""

    def absolute(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    config.output_dir = absolute(config.output_dir)
    config.tracking.folder = absolute(config.tracking.folder)
    config.data.root = absolute(config.data.root)
    if isinstance(config.data, FilesData):
        config.data.brain = str(Path(config.data.root) / Path(config.data.brain).expanduser())
        config.data.model = str(Path(config.data.root) / Path(config.data.model).expanduser())
    if config.images != "all" and config.images not in config.data.sources:
        path = Path(config.images).expanduser()
        if path.is_file():
            config.images = str(path.absolute())
