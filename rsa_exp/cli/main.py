"""Entry point of ``python -m rsa_exp`` and ``rsa-exp``: the Hydra application, or a command.

Nothing heavy is imported here, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import io
import signal
import sys

from rsa_exp import interrupts
from rsa_exp.cli.arguments import normalise
from rsa_exp.cli.commands import COMMANDS, run_command
from rsa_exp.errors import InputError

__all__ = ["main"]

# Importing makes a million objects that stay. Looking through them for garbage as often as Python
# does by itself (after 700 new ones), and once more at the end, took a third of a short run.
_NEW_OBJECTS_PER_COLLECTION = 20_000


def main() -> None:
    """Run what the command line asks for and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters that the terminal cannot show
    interrupts.install()
    gc.set_threshold(_NEW_OBJECTS_PER_COLLECTION)
    atexit.register(gc.freeze)
    try:
        status = _dispatch(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader, for example `head`, has ended
        status = 128 + getattr(signal, "SIGPIPE", 13)
    except Exception as error:
        from rsa_exp.cli.messages import explain

        line = explain(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        status = 1
    try:
        sys.stdout.flush()
    except (AttributeError, OSError):  # closed, or the reader of a pipe has ended
        sys.stdout = None
    sys.exit(status)


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command in COMMANDS:
        return run_command(command, arguments[1:])
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
