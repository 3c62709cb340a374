"""A run's settings from Hydra or from a logged config: complete, checked, with absolute paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, GrammarParseError, OmegaConfBaseException

from rsa_exp.config.checks import checked
from rsa_exp.config.keys import affects, known_keys, new_settings
from rsa_exp.config.plain_yaml import check_plain_yaml
from rsa_exp.config.quoting import quoted
from rsa_exp.config.schema import DATA_KINDS, FEATURES, MISSING, SECTIONS, Config
from rsa_exp.errors import UNPRINTABLE, InputError, listing, suggestion
from rsa_exp.vocabulary import FIGURE_NAMES

__all__ = ["first_line", "from_hydra", "from_logged", "register", "to_yaml"]

# No number depends on these sections, so any version's can be read.
_WITHOUT_EFFECT = [section for section in SECTIONS if affects(section) == "nothing"]
_OTHER_VERSION = (
    "; if another version of rsa_exp recorded it, check out the commit in its provenance.json"
)


def register() -> None:
    """Register with Hydra the schema that conf/ extends, and the resolver ``${each:...}``."""
    OmegaConf.register_new_resolver("each", _each, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for kind, schema in DATA_KINDS.items():
        store.store(group="schema/data", name=kind, node=schema)


def _each(values: ListConfig | DictConfig) -> str:
    """Join names as a sweep over them is written: ``1,2,3``."""
    if not values:
        raise InputError(f"{values._get_full_key('')} is empty: there is nothing to sweep over")
    return quoted(",".join(map(str, values)))


def from_hydra(composed: DictConfig) -> Config:
    """Check a config that Hydra composed and convert it to plain objects with absolute paths.

    Raises
    ------
    InputError
        If a value is missing, of the wrong type or not one of its choices.
    """
    _refuse_unknown_keys(composed)
    for key in sorted(OmegaConf.missing_keys(composed)):
        kind = OmegaConf.select(composed, f"{key.partition('.')[0]}.kind")
        example = {"patterns": "patterns.npz", FEATURES: "features.npz"}.get(kind, "RDMs.h5")
        raise InputError(f"{key} is not set: {key}=/path/to/{example}")
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise InputError(first_line(error)) from error
    if not isinstance(config, Config):
        raise InputError("the config does not extend the schema of rsa_exp/config/schema.py")
    return checked(config)


def from_logged(text: str) -> Config:
    """Read the text of a run's ``config.yaml``, which is data: no interpolation, no unknown key.

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
    plain |= {key: _known(plain.get(key), SECTIONS[key]) for key in _WITHOUT_EFFECT}
    missing = _missing_keys(plain, kind)
    if missing:
        raise InputError(f"the logged config lacks {listing(missing)}{_OTHER_VERSION}")
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

    What could not be read back is refused.
    """
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    try:
        _plain(text)
    except InputError as error:
        raise InputError(f"this run could not be reproduced: {error}") from error
    return text


def first_line(error: BaseException) -> str:
    """Return the first line of an OmegaConf error, with the key it is about."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if text.startswith("InputError raised while resolving"):
        return text.partition(": ")[2]
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and key not in text else text


def _plain(text: str) -> Any:
    """Parse a logged config without resolving anything in it."""
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
    for key, value in _leaves(plain):
        if isinstance(value, str) and "${" in value:
            raise InputError(
                f"the logged config has an interpolation in '{key:.200}', which is unsafe"
            )
        if isinstance(value, str) and not value.isprintable() and UNPRINTABLE.search(value):
            raise InputError(f"the logged config has control characters in {key[:200]!a}")
    return plain


def _known(values: Any, schema: type) -> dict[str, Any]:
    """Return the settings of a section that this version knows."""
    values = values if isinstance(values, dict) else {}
    known = {item.name: values[item.name] for item in fields(schema) if item.name in values}
    if isinstance(known.get("names"), list):
        known["names"] = [name for name in known["names"] if name in FIGURE_NAMES]
    return known


def _missing_keys(plain: dict[Any, Any], kind: str) -> list[str]:
    """List keys that a complete config has and this one lacks, or has without a value."""
    added = new_settings()
    sections: dict[str, type] = {"": Config, "data": DATA_KINDS[kind], **SECTIONS}
    missing = []
    for section, schema in sections.items():
        values = plain.get(section, {}) if section else plain
        for item in fields(schema):
            value = values.get(item.name, MISSING) if isinstance(values, dict) else MISSING
            optional = (section == "model" and kind == "files") or f"{section}.{item.name}".strip(
                "."
            ) in added
            if value == MISSING and not optional:
                missing.append(f"{section}.{item.name}" if section else item.name)
    return [key for key in missing if affects(key) != "nothing"]


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over all names and values of a config with their dotted keys."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(name, key)
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    else:
        yield key, node


def _refuse_unknown_keys(node: DictConfig, prefix: str = "") -> None:
    """Refuse keys that no schema has, which Hydra lets a user add by ``+key=value``."""
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
            _refuse_unknown_keys(child, f"{prefix}{key}.")
