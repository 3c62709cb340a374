"""The commands besides a run: ``python -m rsa_exp COMMAND ...``, each with its own ``--help``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsa_exp.errors import InputError

__all__ = ["COMMANDS", "run_command"]

# Name of an argument, and the keywords of `ArgumentParser.add_argument`.
_Argument = tuple[str, dict[str, Any]]


def _argument(name: str, explanation: str, **keywords: Any) -> _Argument:
    shown = {} if name.startswith("-") else {"metavar": name.upper()}
    return name, {"help": explanation, **shown, **keywords}


def _folder(name: str, explanation: str, default: str | None = None) -> _Argument:
    known = {"metavar": "FOLDER", "type": Path}
    if default is None:
        return _argument(name, explanation, **known)
    return _argument(name, f"{explanation} (default: {default})", default=Path(default), **known)


def _run(name: str, what: str) -> _Argument:
    return _argument(
        name,
        f"{what}: its id, or its first six characters or more; its address in the UI; its folder, "
        "or one that export wrote",
    )


def _reproduce(given: argparse.Namespace) -> int:
    from rsa_exp.experiments.reproduce import ReproduceOptions, reproduce

    options = ReproduceOptions(
        given.store, given.output_dir, given.data_root, given.strict, given.force
    )
    return reproduce(given.run, options)


def _export(given: argparse.Namespace) -> int:
    from rsa_exp.experiments.export import export

    return export(given.run, given.folder, given.store)


def _diff(given: argparse.Namespace) -> int:
    from rsa_exp.experiments.diff import diff

    return diff(given.run_a, given.run_b, given.store, given.output)


def _report(given: argparse.Namespace) -> int:
    from rsa_exp.experiments.report import report

    return report(given.sweep, given.store, given.output_dir)


def _sync(given: argparse.Namespace) -> int:
    from rsa_exp.experiments.sync import sync

    return sync(given.outputs, given.store)


def _rdms(given: argparse.Namespace) -> int:
    from rsa_exp.cli.arguments import normalise
    from rsa_exp.config.from_overrides import data_config
    from rsa_exp.experiments.write_rdms import write_study_rdms

    return write_study_rdms(data_config(normalise(given.settings)), given.folder)


def _ui(given: argparse.Namespace) -> int:
    from rsa_exp.cli.ui import serve

    return serve(given.store, given.port)


_STORE = _folder(
    "--store", "folder of the local tracking store, unless MLFLOW_TRACKING_URI is set", "mlruns"
)

COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, *tuple[_Argument, ...]]] = {
    "reproduce": (
        _reproduce,
        "Rerun a tracked run, or all runs of a sweep, from its record alone and compare every "
        "number. Exit status: 0 when all are identical or within the tolerance, 1 when any "
        "differs.",
        _run("run", "a run or a sweep"),
        _folder("--data-root", "folder that the input files are in now (default: where they were)"),
        _argument(
            "--strict",
            "refuse to rerun when code, packages or machine have changed",
            action="store_true",
        ),
        _argument(
            "--force",
            "rerun even if the inputs have changed, or more than 4 GB have to be simulated",
            action="store_true",
        ),
        _folder("--output-dir", "folder under which the new run is written", "outputs"),
    ),
    "export": (
        _export,
        "Write a run or a sweep as a plain folder for a paper's supplement: settings, scores, "
        "figures, provenance, requirements and RO-Crate metadata. reproduce reruns it.",
        _run("run", "a run or a sweep"),
        _folder("folder", "folder to write, which must be new or empty"),
    ),
    "diff": (
        _diff,
        "Show what differs between two runs: settings, inputs, environment, and scores by size, "
        "with a figure. Exit status: 0 when the scores are identical to the last bit, else 1.",
        _run("run_a", "a run"),
        _argument("run_b", "the run to compare it with"),
        _folder("--output", "folder for the figure (default: outputs/diffs/A-B)"),
    ),
    "report": (
        _report,
        "Write the summary of a sweep again: tables, figures and report.html, from its folder or "
        "from the tracking store alone.",
        _argument("sweep", "the sweep's folder, or the id of its run in the store"),
        _folder(
            "--output-dir",
            "folder under which the summary of a sweep from the store is written",
            "outputs",
        ),
    ),
    "rdms": (
        _rdms,
        "Write the RDMs that a run with these settings would make of patterns and features, as "
        "HDF5 files that rsatoolbox and data=files read, with provenance: of each subject and of "
        "the model, each over all of its own images.",
        _folder("folder", "folder to write, which must be new or empty"),
        _argument(
            "settings",
            "settings as of a run: data=patterns data.brain=... data.distance=...",
            nargs="*",
        ),
    ),
    "sync": (
        _sync,
        "Upload runs made while the tracking server was offline. Runs that the store has are not "
        "uploaded again.",
        _argument(
            "outputs",
            "folder of the runs (default: outputs)",
            type=Path,
            nargs="?",
            default=Path("outputs"),
        ),
    ),
    "ui": (
        _ui,
        "Show the runs of a local store in MLflow's UI, on this machine only.",
        _argument("--port", "TCP port (default: 5000)", metavar="PORT", type=int, default=5000),
    ),
}
"""Words that come first on the command line and are not settings: what runs them, the description
that their ``--help`` prints, and their arguments."""


class _Parser(argparse.ArgumentParser):
    """Reports what is wrong in one line, with exit status 1."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")


def run_command(name: str, arguments: list[str]) -> int:
    """Run a command with its command-line arguments and return the exit status."""
    start, description, *expected = COMMANDS[name]
    parser = _Parser(prog=f"python -m rsa_exp {name}", description=description)
    for argument, keywords in (_STORE, *expected):
        parser.add_argument(argument, **keywords)
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages

    show_messages()
    return start(given)
