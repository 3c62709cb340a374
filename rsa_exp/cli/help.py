"""The text of ``--help``, made from the schema and from the first comment of each YAML file."""

from __future__ import annotations

import textwrap
from typing import Any

from rsa_exp.config import schema
from rsa_exp.config.groups import options
from rsa_exp.config.keys import keys_of

__all__ = ["help_text"]

_WIDTH = 100
# Groups without an option chosen by default.
_OPTIONAL = ("experiment", "hydra/launcher")

_HEAD = """\
rsa_exp: representational similarity analysis of deep networks and the brain, tracked and
reproducible.

  python -m rsa_exp                                      subject 1 of the simulated study
  python -m rsa_exp subject=1,2,3 --multirun             a sweep: one run for each subject
  python -m rsa_exp -m subject=1,2,group metric=corr,spearman roi='LH*' layer=layer3,layer4
  python -m rsa_exp data=bold5000 data.root=/path        the published BOLD5000 files
  python -m rsa_exp data=files "data.brain='/path/{subject}_RDMs.h5'" data.model=/path/models.h5 \\
      'data.subjects=[BE,KO]' subject=BE,KO --multirun    your own RDM files
  python -m rsa_exp data=patterns "data.brain='/path/{subject}.npz'" model.file=/path/units.npz \\
      'data.subjects=[BE,KO]' subject=BE,KO --multirun    your own response patterns and features
  python -m rsa_exp data=simulated data.n_runs=3         the simulated study, from voxel patterns

  python -m rsa_exp experiment=hierarchy                 a predefined sweep, see below
  python -m rsa_exp resume=last                          continue a sweep that was stopped, or
                                                         resume=FOLDER; further settings change
                                                         the sweep

  python -m rsa_exp reproduce RUN                        rerun a run or a sweep and compare
  python -m rsa_exp export RUN FOLDER                    write a folder for a paper's supplement
  python -m rsa_exp diff RUN_A RUN_B                     show what differs: settings, inputs, scores
  python -m rsa_exp rdms FOLDER data=patterns ...        write the RDMs of patterns, for rsatoolbox
  python -m rsa_exp report SWEEP                         write a sweep's report.html again
  python -m rsa_exp sync OUTPUTS                         upload runs made while the tracking server
                                                         was offline
  python -m rsa_exp ui                                   MLflow's UI on the local store

Each of these commands has its own --help."""

_TAIL = """\
Flags, in any position: --multirun/-m runs every combination of comma-separated values; --cfg job
prints the config and runs nothing; --help; --version; --hydra-help. Tab completion for bash:
eval "$(rsa-exp --shell-completion install=bash)" (or zsh, fish)."""


def help_text() -> str:
    """Return the explanation and default of every key, and every option of the config groups."""
    sections = [_HEAD, "Settings, as KEY=VALUE (default in brackets):", _keys(schema.Config, "")]
    sections.append("Groups, as GROUP=OPTION (the first is the default):")
    sections += map(_options, schema.DEFAULTS)
    sections.append("Groups without a default:")
    sections += map(_options, _OPTIONAL)
    common = {name for name, _, _ in keys_of(schema.DataConfig)}
    sections.append("Settings of every data=...:")
    sections.append(_keys(schema.DataConfig, "data.", skip={"kind"}))
    for kind, section in schema.DATA_KINDS.items():
        text = _keys(section, "data.", skip=common)
        if text:
            sections += [f"Settings of data={kind} alone:", text]
    sections.append("Settings of the other groups:")
    sections.append(
        "\n".join(_keys(section, f"{group}.") for group, section in schema.SECTIONS.items())
    )
    sections.append(_TAIL)
    return "\n\n".join(sections)


def _keys(section: type, prefix: str, skip: set[str] | frozenset[str] = frozenset()) -> str:
    return "\n".join(
        _entry(f"{prefix}{name}", explanation + _default(default))
        for name, explanation, default in keys_of(section)
        if name not in skip
    )


def _default(value: Any) -> str:
    if value in (schema.MISSING, None, "", [], {}):
        return ""
    return f" [{str(value).lower() if isinstance(value, bool) else value}]"


def _options(group: str) -> str:
    return "\n".join(_entry(f"{group}={name}", text) for name, text in options(group).items())


def _entry(name: str, explanation: str) -> str:
    return textwrap.fill(
        explanation,
        _WIDTH,
        initial_indent=f"  {name:<22} ",
        subsequent_indent=" " * 25,
        break_on_hyphens=False,
    )
