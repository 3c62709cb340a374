"""The commands besides a run: ``python -m rsa_exp COMMAND ...``, each with its own ``--help``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rsa_exp.errors import InputError

__all__ = ["COMMANDS"]

_RUN = (
    "{}: its id, or its first six characters or more; its address in the UI; its folder, or "
    "one that export wrote"
)
_RUN_OR_SWEEP = _RUN.format("a run or a sweep")


class _Parser(argparse.ArgumentParser):
    """Reports what is wrong in one line, with exit status 1."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")


def _parser(command: str, description: str) -> _Parser:
    parser = _Parser(prog=f"python -m rsa_exp {command}", description=description)
    parser.add_argument(
        "--store",
        metavar="FOLDER",
        type=Path,
        default=Path("mlruns"),
        help="folder of the local tracking store, unless MLFLOW_TRACKING_URI is set (default: "
        "mlruns)",
    )
    return parser


def _add_output_dir(parser: _Parser, what: str) -> None:
    parser.add_argument(
        "--output-dir",
        metavar="FOLDER",
        type=Path,
        default=Path("outputs"),
        help=f"folder under which {what} is written (default: outputs)",
    )


def _reproduce(arguments: list[str]) -> int:
    parser = _parser(
        "reproduce",
        "Rerun a tracked run, or all runs of a sweep, from its record alone and compare every "
        "number. Exit status: 0 when all are identical or within the tolerance, 1 when any "
        "differs.",
    )
    parser.add_argument("run", metavar="RUN", help=_RUN_OR_SWEEP)
    parser.add_argument(
        "--data-root",
        metavar="FOLDER",
        type=Path,
        help="folder that the input files are in now (default: where they were)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse to rerun when code, packages or machine have changed",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="rerun even if the inputs have changed, or more than 4 GB have to be simulated",
    )
    _add_output_dir(parser, "the new run")
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages
    from rsa_exp.experiments.reproduce import ReproduceOptions, reproduce

    options = ReproduceOptions(
        given.store, given.output_dir, given.data_root, given.strict, given.force
    )
    show_messages()
    return reproduce(given.run, options)


def _export(arguments: list[str]) -> int:
    parser = _parser(
        "export",
        "Write a run or a sweep as a plain folder for a paper's supplement: settings, scores, "
        "figures, provenance, requirements and RO-Crate metadata. reproduce reruns it.",
    )
    parser.add_argument("run", metavar="RUN", help=_RUN_OR_SWEEP)
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder to write, which must be new or empty"
    )
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages
    from rsa_exp.experiments.export import export

    show_messages()
    return export(given.run, given.folder, given.store)


def _diff(arguments: list[str]) -> int:
    parser = _parser(
        "diff",
        "Show what differs between two runs: settings, inputs, environment, and scores by size, "
        "with a figure. Exit status: 0 when the scores are identical to the last bit, else 1.",
    )
    parser.add_argument("run_a", metavar="RUN_A", help=_RUN.format("a run"))
    parser.add_argument("run_b", metavar="RUN_B", help="the run to compare it with")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        help="folder for the figure (default: outputs/diffs/A-B)",
    )
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages
    from rsa_exp.experiments.diff import diff

    show_messages()
    return diff(given.run_a, given.run_b, given.store, given.output)


def _report(arguments: list[str]) -> int:
    parser = _parser(
        "report",
        "Write the summary of a sweep again: tables, figures and report.html, from its folder or "
        "from the tracking store alone.",
    )
    parser.add_argument(
        "sweep", metavar="SWEEP", help="the sweep's folder, or the id of its run in the store"
    )
    _add_output_dir(parser, "the summary of a sweep from the store")
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages
    from rsa_exp.experiments.report import report

    show_messages()
    return report(given.sweep, given.store, given.output_dir)


def _sync(arguments: list[str]) -> int:
    parser = _parser(
        "sync",
        "Upload runs made while the tracking server was offline. Runs that the store has are not "
        "uploaded again.",
    )
    parser.add_argument(
        "outputs",
        metavar="OUTPUTS",
        type=Path,
        nargs="?",
        default=Path("outputs"),
        help="folder of the runs (default: outputs)",
    )
    given = parser.parse_args(arguments)
    from rsa_exp.cli.console import show_messages
    from rsa_exp.experiments.sync import sync

    show_messages()
    return sync(given.outputs, given.store)


def _ui(arguments: list[str]) -> int:
    parser = _parser("ui", "Show the runs of a local store in MLflow's UI, on this machine only.")
    parser.add_argument(
        "--port", metavar="PORT", type=int, default=5000, help="TCP port (default: 5000)"
    )
    given = parser.parse_args(arguments)
    from rsa_exp.cli.ui import serve

    return serve(given.store, given.port)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "reproduce": _reproduce,
    "export": _export,
    "diff": _diff,
    "report": _report,
    "sync": _sync,
    "ui": _ui,
}
"""Words that come first on the command line and are not settings, and what they do."""
