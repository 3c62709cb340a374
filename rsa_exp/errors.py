"""What is said to a user whose input cannot be used: one line, and the nearest right name."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["UNSPEAKABLE", "InputError", "listing", "speakable", "suggestion"]

UNSPEAKABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no name from outside may hold: control characters, separators of lines, halves of pairs."""


class InputError(Exception):
    """Input from outside (a key, a name, a file) that cannot be used as it is.

    The message is one line for the user: what was found, what was expected and what to do. It is
    printed without a traceback; any other exception is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(speakable(" ".join(message.split())))


def speakable(text: str) -> str:
    """Return a text, perhaps from elsewhere, of which a terminal obeys nothing, as one line."""
    return UNSPEAKABLE.sub("?", text)


def listing(names: Iterable[object], limit: int = 12) -> str:
    """Names joined by commas, cut after `limit` of them.

    Parameters
    ----------
    names : iterable of object
        What to list.
    limit : int
        How many to show before ``...``.

    Returns
    -------
    str
        For example ``LHLOC, RHLOC, ... (33 in all)``; ``none`` when there are none.
    """
    texts = [str(name) for name in names]
    if not texts:
        return "none"
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown}, ... ({len(texts)} in all)"


def suggestion(name: object, choices: Iterable[object]) -> str:
    """Return ``; did you mean 'X'?`` for the nearest of `choices`, or nothing when none is near.

    Parameters
    ----------
    name : object
        What the user typed.
    choices : iterable of object
        What would have been right.
    """
    by_folded = {str(choice).casefold(): str(choice) for choice in choices}
    near = get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[near[0]]}'?" if near else ""
