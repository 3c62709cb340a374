"""Errors in the user's input: reported in one line, with the nearest valid name."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["UNPRINTABLE", "InputError", "check_choice", "listing", "printable_line", "suggestion"]

UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no name from outside may contain: control characters (a terminal obeys them),
line separators and unpaired surrogates."""


class InputError(Exception):
    """Input from outside (a key, a name, a file) that cannot be used as it is.

    The message is one line for the user: what was found, what was expected and what to do. It is
    printed without a traceback; any other exception is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable_line(" ".join(message.split())))


def printable_line(text: str) -> str:
    """Replace control characters and line breaks by ``?``, so that any text is safe to print."""
    return UNPRINTABLE.sub("?", text)


def listing(names: Iterable[object], limit: int = 12) -> str:
    """Join names by commas, cut after `limit` of them; ``none`` when there are none.

    For example ``LHLOC, RHLOC, ... (33 in all)``.
    """
    texts = [str(name) for name in names]
    if not texts:
        return "none"
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown}, ... ({len(texts)} in all)"


def suggestion(name: object, choices: Iterable[object]) -> str:
    """Return ``; did you mean 'X'?`` for the choice nearest to what was typed, if any is near."""
    by_folded = {str(choice).casefold(): str(choice) for choice in choices}
    near = get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[near[0]]}'?" if near else ""


def check_choice(setting: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is not one of a setting's choices, and name these and the nearest."""
    names = list(choices)
    if value not in names:
        raise InputError(
            f"{setting}={value!s:.200} is not one of {listing(names, 20)}{suggestion(value, names)}"
        )
