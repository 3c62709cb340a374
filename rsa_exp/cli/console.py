"""Messages on the terminal, around progress bars."""

from __future__ import annotations

import logging
import sys
import threading

from tqdm import tqdm

from rsa_exp.errors import printable_line

__all__ = ["ConsoleHandler", "show_messages"]

# Progress bars of one process: a lock shared between processes would outlive a launcher's workers.
tqdm.set_lock(threading.RLock())


class ConsoleHandler(logging.Handler):
    """Messages to standard output, warnings and errors to standard error, around progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, with its level when it is a warning or worse."""
        message = self.format(record)
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.lower()}: {message}"
        message = "\n".join(map(printable_line, message.expandtabs().split("\n")))
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        try:
            tqdm.write(message, file=stream)
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # closed, or nobody reads it any more: no reason to lose a run


def show_messages() -> None:
    """Show the program's messages, and all warnings, where Hydra does not set logging up."""
    root = logging.getLogger()
    if not any(isinstance(handler, ConsoleHandler) for handler in root.handlers):
        root.addHandler(ConsoleHandler())
    logging.getLogger("rsa_exp").setLevel(logging.INFO)
