"""Settings from Hydra or from a run's record: checked, complete, with absolute paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, GrammarParseError, OmegaConfBaseException

from rsa_exp.config.plain_yaml import check_plain_yaml
from rsa_exp.config.quoting import quoted
from rsa_exp.config.schema import (
    DATA_KINDS,
    SECTIONS,
    Bold5000Data,
    Config,
    FilesData,
    InferenceConfig,
    SimulatedData,
    known_keys,
)
from rsa_exp.errors import UNPRINTABLE, InputError, listing, suggestion
from rsa_exp.vocabulary import (
    ALIGNMENTS,
    ATLASES,
    BOOTSTRAPS,
    CEILINGS,
    FAMILIES,
    FIGURE_NAMES,
    METRIC_NAMES,
    MIN_DRAWS,
    POOLED,
    PRECISIONS,
    ROI_FIELDS,
    SINGLE_PRECISION,
)

__all__ = ["conf_dir", "first_line", "from_hydra", "from_logged", "register", "to_yaml"]


# More than anyone computes, and what a run can still hold in memory or on disk.
_MOST_DRAWS = 1_000_000
_MOST_SIMULATED = 20_000
_MOST_NAMES = 1000
_MOST_SEED = 2**64 - 1

_COSMETIC = ("figures", "tracking")  # no number depends on them
_OTHER_VERSION = (
    "; if another version of rsa_exp recorded it, check out the commit in its provenance.json"
)


def conf_dir() -> Path:
    """Folder of the YAML files: the one in the wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def register() -> None:
    """Tell Hydra the schema that conf/ extends, and what ``${each:...}`` means there."""
    OmegaConf.register_new_resolver("each", _each, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for kind, schema in DATA_KINDS.items():
        store.store(group="schema/data", name=kind, node=schema)


def _each(values: ListConfig | DictConfig) -> str:
    """Names as a sweep over them is written: ``1,2,3``."""
    if not values:
        raise InputError(f"{values._get_full_key('')} is empty: there is nothing to sweep over")
    return quoted(",".join(map(str, values)))


def from_hydra(composed: DictConfig) -> Config:
    """Check a composed config and give it as plain objects with absolute paths.

    Parameters
    ----------
    composed : DictConfig
        What Hydra composed.

    Returns
    -------
    Config
        Ready for `rsa_exp.analysis.pipeline.run`.

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
    plain = _plain(text)
    if not isinstance(plain, dict) or not isinstance(plain.get("data"), dict):
        raise InputError("the logged config is not one of rsa_exp: it has no section 'data'")
    kind = plain["data"].get("kind")
    if not isinstance(kind, str) or kind not in DATA_KINDS:
        raise InputError(
            f"the logged config has data.kind={kind!s:.60}; one of {listing(DATA_KINDS)}"
        )
    plain |= {key: _known(plain.get(key), SECTIONS[key]) for key in _COSMETIC}
    lacking = _lacking(plain, kind)
    if lacking:
        raise InputError(f"the logged config lacks {listing(lacking)}{_OTHER_VERSION}")
    try:
        schema = OmegaConf.structured(Config)
        schema.data = OmegaConf.structured(DATA_KINDS[kind])
        return from_hydra(OmegaConf.merge(schema, OmegaConf.create(plain)))  # type: ignore[arg-type]
    except ConfigKeyError as error:
        raise InputError(
            f"the logged config cannot be used: {first_line(error)}{_OTHER_VERSION}"
        ) from error
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise InputError(f"the logged config cannot be used: {first_line(error)}") from error


def to_yaml(config: Config) -> str:
    """Return a config as the YAML that `from_logged` reads: resolved, with absolute paths.

    Raises
    ------
    InputError
        If it could not be read back.
    """
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    try:
        _plain(text)
    except InputError as error:
        raise InputError(f"this run could not be reproduced: {error}") from error
    return text


def first_line(error: BaseException) -> str:
    """Return what an OmegaConf error says first, with the key it is about."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if text.startswith("InputError raised while resolving"):
        return text.partition(": ")[2]
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and key not in text else text


def _plain(text: str) -> Any:
    """Return what a logged config says, nothing in it resolved."""
    check_plain_yaml(text)
    try:
        plain = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except GrammarParseError as error:
        key = getattr(error, "full_key", None)
        raise InputError(
            f"the logged config has an interpolation in '{key!s:.200}', which is unsafe"
        ) from error
    except Exception as error:  # PyYAML's and OmegaConf's share no base
        raise InputError("the logged config is not YAML") from error
    for where, value in _leaves(plain):
        if isinstance(value, str) and "${" in value:
            raise InputError(
                f"the logged config has an interpolation in '{where:.200}', which is unsafe"
            )
        if isinstance(value, str) and not value.isprintable() and UNPRINTABLE.search(value):
            raise InputError(f"the logged config has control characters in {where[:200]!a}")
    return plain


def _known(values: Any, schema: type) -> dict[str, Any]:
    """Return what this version knows of a section that no number depends on."""
    values = values if isinstance(values, dict) else {}
    known = {item.name: values[item.name] for item in fields(schema) if item.name in values}
    if isinstance(known.get("names"), list):
        known["names"] = [name for name in known["names"] if name in FIGURE_NAMES]
    return known


def _lacking(plain: dict[Any, Any], kind: str) -> list[str]:
    """Keys that a complete config has and this one has not, or has without a value."""
    sections: dict[str, type] = {
        "": Config,
        "data": DATA_KINDS[kind],
        **SECTIONS,
    }
    lacking = []
    for section, schema in sections.items():
        if section in _COSMETIC:
            continue
        values = plain.get(section, {}) if section else plain
        for item in fields(schema):
            value = values.get(item.name, "???") if isinstance(values, dict) else "???"
            if value == "???" and not (section == "model" and kind == "files"):
                lacking.append(f"{section}.{item.name}" if section else item.name)
    return lacking


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
    _one_of("metric", config.metric, METRIC_NAMES)
    _one_of("align", config.align, ALIGNMENTS)
    _one_of("precision", config.precision, PRECISIONS)
    if config.precision == "float32" and config.metric not in SINGLE_PRECISION:
        raise InputError(
            f"precision=float32 is for metric={listing(SINGLE_PRECISION)}; {config.metric} is computed in "
            "float64"
        )
    for name in config.figures.names:
        _one_of("figures.names", name, FIGURE_NAMES)
    data = config.data
    if isinstance(data, Bold5000Data):
        _one_of("data.atlas", data.atlas, ATLASES)
    for key, seed in (("seed", config.seed), ("data.seed", getattr(data, "seed", 0))):
        if seed < 0:
            raise InputError(f"{key}={seed} is negative; use 0 or more")
        if seed > _MOST_SEED:
            raise InputError(f"{key} is larger than {_MOST_SEED}")
    if isinstance(data, SimulatedData) and data.n_images > _MOST_SIMULATED:
        raise InputError(
            f"data.n_images={data.n_images} is more than {_MOST_SIMULATED}, the most that is "
            "simulated"
        )
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
    _one_of("subject", config.subject, (*data.subjects, *POOLED))
    if len(data.subjects) > 1 and "{subject}" not in data.brain:
        raise InputError(
            f"data.brain={data.brain} is one file for {len(data.subjects)} subjects; put "
            "{subject} where their ids differ: \"data.brain='/path/{subject}_RDMs.h5'\""
        )
    _check_inference(config)
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
        if len(value) > _MOST_NAMES:
            raise InputError(f"{key} lists {len(value)} names; use at most {_MOST_NAMES}, or all")
        if value and all(isinstance(item, str | int | float) for item in value):
            return [str(item) for item in value]
    elif isinstance(value, str | int | float) and str(value):
        return str(value)
    raise InputError(f"{key}={value!s:.200} is neither a name, a pattern nor a list of these")


def _check_inference(config: Config) -> None:
    inference: InferenceConfig = config.inference
    _one_of("inference.bootstrap", inference.bootstrap, BOOTSTRAPS)
    _one_of("inference.ceiling", inference.ceiling, CEILINGS)
    _one_of("inference.family", inference.family, FAMILIES)
    if inference.bootstrap != "none" and inference.n_boot < MIN_DRAWS:
        raise InputError(
            f"inference.n_boot={inference.n_boot} draws make no interval; use {MIN_DRAWS} or more, "
            "1000 for a paper, or inference.bootstrap=none"
        )
    for key in ("n_perm", "n_splits"):
        if getattr(inference, key) < 0:
            raise InputError(
                f"inference.{key}={getattr(inference, key)} is negative; use 0 or more"
            )
    for key in ("n_boot", "n_perm", "n_splits"):
        if getattr(inference, key) > _MOST_DRAWS:
            raise InputError(
                f"inference.{key}={getattr(inference, key)} is more than {_MOST_DRAWS}, the most "
                "that is drawn"
            )
    if not 0.5 <= inference.ci < 1:
        raise InputError(f"inference.ci={inference.ci} is not a level such as 0.95")
    of_subjects = inference.bootstrap in {"subjects", "dual"}
    if of_subjects and (config.subject != "group" or len(config.data.subjects) < 2):
        raise InputError(
            f"inference.bootstrap={inference.bootstrap} draws subjects, so it needs subject=group "
            f"and two or more of data.subjects, not subject={config.subject} of "
            f"{len(config.data.subjects)}; auto draws them where it can"
        )


def _check_roi(roi: str, facts: Any) -> None:
    known = isinstance(facts, dict) and set(facts) <= set(ROI_FIELDS)
    if not known or not all(isinstance(fact, str) for fact in facts.values()):
        raise InputError(
            f"data.rois.{roi} must be like {{hemisphere:LH,region:LOC,level:mid}}, not {facts}"
        )


def _absolute_paths(config: Config) -> None:
    """Make paths independent of the folder the run was started in."""
    config.output_dir = str(_expanded("output_dir", config.output_dir).absolute())
    config.tracking.folder = str(_expanded("tracking.folder", config.tracking.folder).absolute())
    config.data.root = str(_expanded("data.root", config.data.root).absolute())
    if isinstance(config.data, FilesData):
        root = Path(config.data.root)
        config.data.brain = str(root / _expanded("data.brain", config.data.brain))
        config.data.model = str(root / _expanded("data.model", config.data.model))
    if config.images != "all" and config.images not in config.data.sources:
        path = _expanded("images", config.images)
        with suppress(OSError, ValueError):  # no possible path: `choose_images` says so
            config.images = str(path.absolute()) if path.is_file() else config.images


def _expanded(key: str, path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{key}={path:.200}: there is no such user's folder") from error
