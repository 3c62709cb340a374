"""Settings of patterns in messages, called as they are typed: ``data.noise=``, not ``noise=``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rsa_exp.errors import InputError

__all__ = ["as_typed", "typed_names"]

_OPTION = re.compile(r"(?<![\w.])(distance|noise|folds|zscore|min_reliability)=")
_OF_MODEL = ": layer '"


def as_typed(message: str) -> str:
    """Name the options of `rsa_exp.PatternOptions` in a message as the command line does."""
    if _OF_MODEL not in message:
        return _OPTION.sub(r"data.\1=", message)
    named = _OPTION.sub(r"model.\1=", message)
    return named.replace("model.zscore=all", "model.zscore=true")


@contextmanager
def typed_names() -> Iterator[None]:
    """Do so in an error that is raised in the block."""
    try:
        yield
    except InputError as error:
        raise InputError(as_typed(str(error))) from error
