"""The config groups: folders of ``conf/`` with one YAML file for each option."""

from __future__ import annotations

from pathlib import Path

from rsa_exp.conf_folder import conf_dir
from rsa_exp.config.schema import DEFAULTS

__all__ = ["conf_dir", "options"]


def options(group: str) -> dict[str, str]:
    """Options of a config group (``data``, ``hydra/launcher``) with their descriptions.

    The default comes first. A description is the first comment of an option's file.
    """
    default = DEFAULTS.get(group)
    files = (conf_dir() / group).glob("*.yaml")
    ordered = sorted(files, key=lambda path: (path.stem != default, path.stem))
    return {path.stem: _first_comment(path) for path in ordered}


def _first_comment(path: Path) -> str:
    """Return the first line of a file's comments that is not Hydra's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next((text for text in comments if not text.startswith("@")), "")
