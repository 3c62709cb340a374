"""What ``python -m rsa_exp`` and ``rsa-exp`` start: the Hydra application, or a command.

Nothing heavy is imported here: ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from rsa_exp import interrupts
from rsa_exp.cli.arguments import normalise
from rsa_exp.cli.terminal import tolerant_console
from rsa_exp.errors import InputError

__all__ = ["main"]


def main() -> None:
    """Run what the command line asks for and exit with its status."""
    tolerant_console()
    interrupts.install()
    try:
        status = _dispatch(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader has seen enough
        status = 128 + getattr(signal, "SIGPIPE", 13)
    except OSError as error:
        from rsa_exp.cli.app import explain

        line = explain(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        status = 1
    try:
        sys.stdout.flush()
    except (AttributeError, OSError):  # closed, or the reader of a pipe is gone
        sys.stdout = None
    sys.exit(status)


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command in _COMMANDS:
        return _COMMANDS[command](arguments[1:])
    if "--help" in arguments or "-h" in arguments:
        from rsa_exp.cli.help import help_text

        print(help_text())
        return 0
    if "--version" in arguments:
        from rsa_exp import __version__

        print(f"rsa_exp {__version__}")
        return 0
    normalised = normalise(arguments)
    from rsa_exp.cli.app import launch

    return launch(normalised)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with exit status 1."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")


def _parser(command: str, description: str) -> _Parser:
    parser = _Parser(prog=f"python -m rsa_exp {command}", description=description)
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("mlruns"),
        help="folder of the local store (default: mlruns); MLFLOW_TRACKING_URI wins",
    )
    return parser


def _reproduce(arguments: list[str]) -> int:
    parser = _parser(
        "reproduce",
        "Rerun a recorded run, or a sweep, from its record alone and compare every number. Exit "
        "status 0 when all are identical or within the tolerance, 1 when any differs.",
    )
    parser.add_argument(
        "run",
        help="the run's id, or its first six digits or more; its address in the UI; a folder that "
        "export wrote; a sweep's id, address or folder",
    )
    parser.add_argument("--data-root", type=Path, help="folder that the input files are in now")
    parser.add_argument(
        "--strict", action="store_true", help="refuse when code, packages or machine have changed"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="rerun although the inputs have changed, or more than 4 GB are to be simulated",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("outputs"),
        help="folder under which the new run lands (default: outputs)",
    )
    given = parser.parse_args(arguments)
    from rsa_exp.experiments.reproduce import Wishes, reproduce

    wishes = Wishes(given.store, given.output_dir, given.data_root, given.strict, given.force)
    return reproduce(given.run, wishes)


def _export(arguments: list[str]) -> int:
    parser = _parser(
        "export",
        "Write a run, or a sweep, as a plain folder that reproduce takes and a paper's supplement "
        "can hold: settings, scores, figures, provenance, requirements, RO-Crate.",
    )
    parser.add_argument("run", help="as for reproduce")
    parser.add_argument("folder", type=Path, help="a folder that is not there yet, or empty")
    given = parser.parse_args(arguments)
    from rsa_exp.experiments.export import export

    return export(given.run, given.folder, given.store)


def _diff(arguments: list[str]) -> int:
    parser = _parser(
        "diff",
        "Say what differs between two runs: settings, inputs, environment, and scores by size, "
        "with a figure. Exit status 0 when the scores are the same to the bit, else 1.",
    )
    parser.add_argument("run_a", help="as for reproduce")
    parser.add_argument("run_b", help="as for reproduce")
    parser.add_argument(
        "--output", type=Path, help="folder for the figure (default: outputs/diffs/A-B)"
    )
    given = parser.parse_args(arguments)
    from rsa_exp.experiments.diff import diff

    return diff(given.run_a, given.run_b, given.store, given.output)


def _report(arguments: list[str]) -> int:
    parser = _parser(
        "report",
        "Write a sweep's summary anew: tables, figures and report.html, from its folder or from "
        "the store alone.",
    )
    parser.add_argument("sweep", help="the sweep's folder, or the id of its run in the store")
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("outputs"),
        help="folder under which the summary of a sweep from the store lands (default: outputs)",
    )
    given = parser.parse_args(arguments)
    from rsa_exp.experiments.report import report

    return report(given.sweep, given.store, given.output_dir)


def _sync(arguments: list[str]) -> int:
    parser = _parser(
        "sync",
        "Upload what the store lacks of the runs in a folder, for example after a server was away. "
        "Doing it again uploads nothing.",
    )
    parser.add_argument(
        "outputs", type=Path, nargs="?", default=Path("outputs"), help="folder of runs"
    )
    given = parser.parse_args(arguments)
    from rsa_exp.experiments.sync import sync

    return sync(given.outputs, given.store)


def _ui(arguments: list[str]) -> int:
    parser = _parser("ui", "Show the runs in MLflow's UI, on this machine only.")
    parser.add_argument("--port", type=int, default=5000, help="port (default: 5000)")
    given = parser.parse_args(arguments)
    from rsa_exp.cli.ui import serve

    return serve(given.store, given.port)


_COMMANDS = {
    "reproduce": _reproduce,
    "export": _export,
    "diff": _diff,
    "report": _report,
    "sync": _sync,
    "ui": _ui,
}
