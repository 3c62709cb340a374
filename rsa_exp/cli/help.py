"""The text of ``--help``, made from the schema and from the first comment of each YAML file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from rsa_exp.config import schema
from rsa_exp.config.compose import conf_dir

__all__ = ["help_text"]

_WIDTH = 100
# Groups of which nothing is chosen unless it is asked for.
_OPTIONAL = ("experiment", "hydra/launcher")

_HEAD = """\
rsa_exp: representational similarity analysis of deep networks and the brain, tracked and
reproducible.

  python -m rsa_exp                                      subject 1 of the simulated study
  python -m rsa_exp subject=1,2,3 --multirun             one run for each subject
  python -m rsa_exp -m subject=1,2,group metric=corr,spearman roi='LH*' layer=layer3,layer4
  python -m rsa_exp data=bold5000 data.root=/path        the published BOLD5000 files
  python -m rsa_exp data=files "data.brain='/path/{subject}_RDMs.h5'" data.model=/path/models.h5 \\
      'data.subjects=[BE,KO]' subject=BE,KO --multirun    your own rsatoolbox files

  python -m rsa_exp experiment=hierarchy                 a ready-made sweep, see below
  python -m rsa_exp resume=last                          go on with a sweep that was stopped, or
                                                         resume=FOLDER; settings typed besides
                                                         are changed in it

  python -m rsa_exp reproduce RUN                        rerun a run or a sweep and compare
  python -m rsa_exp export RUN FOLDER                    a folder that reproduce takes, for a paper
  python -m rsa_exp diff RUN_A RUN_B                     what differs: settings, inputs, scores
  python -m rsa_exp report SWEEP                         a sweep's report.html anew (folder or id)
  python -m rsa_exp sync OUTPUTS                         record what the store was not there for
  python -m rsa_exp ui                                   MLflow's UI on the local store"""

_TAIL = """\
Flags, in any place: --multirun/-m runs every combination of comma-separated values; --cfg job
prints the config and runs nothing; --help; --version; --hydra-help. Tab completion for bash:
eval "$(rsa-exp --shell-completion install=bash)" (or zsh, fish)."""


def help_text() -> str:
    """Every key with its meaning and default, and every option of the config groups."""
    sections = [_HEAD, "Settings, as KEY=VALUE (default in brackets):", _keys(schema.Config, "")]
    sections.append("Groups, as GROUP=OPTION (the first is the default):")
    for group in schema.DEFAULTS:
        sections.append(_options(group))
    sections.append("Groups of which nothing is chosen by default:")
    for group in _OPTIONAL:
        sections.append(_options(group))
    data: dict[str, list[tuple[str, str, Any]]] = {"": list(schema.keys_of(schema.DataConfig))}
    common = {name for name, _, _ in data[""]}
    sections.append("Settings of every data=...:")
    sections.append(_keys(schema.DataConfig, "data.", skip={"kind"}))
    for kind, section in schema.DATA_KINDS.items():
        text = _keys(section, "data.", skip=common)
        if text:
            sections.append(f"Settings of data={kind} alone:")
            sections.append(text)
    sections.append("Settings of the other groups:")
    sections.append(
        "\n".join(_keys(section, f"{group}.") for group, section in schema.SECTIONS.items())
    )
    sections.append(_TAIL)
    return "\n\n".join(sections)


def _keys(section: type, prefix: str, skip: set[str] | frozenset[str] = frozenset()) -> str:
    return "\n".join(
        _entry(f"{prefix}{name}", explanation + _default(default))
        for name, explanation, default in schema.keys_of(section)
        if name not in skip
    )


def _default(value: Any) -> str:
    return "" if value in (MISSING, None, "", [], {}) else f" [{value}]"


def _entry(name: str, explanation: str) -> str:
    return textwrap.fill(
        explanation,
        _WIDTH,
        initial_indent=f"  {name:<22} ",
        subsequent_indent=" " * 25,
        break_on_hyphens=False,
    )


def _options(group: str) -> str:
    files = sorted(
        (conf_dir() / group).glob("*.yaml"),
        key=lambda path: (path.stem != schema.DEFAULTS.get(group), path.stem),
    )
    return "\n".join(_entry(f"{group}={path.stem}", _first_comment(path)) for path in files)


def _first_comment(path: Path) -> str:
    """Return the first line of a file's comments that is not Hydra's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next((text for text in comments if not text.startswith("@")), "")
