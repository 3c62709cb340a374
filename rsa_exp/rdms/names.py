"""Choosing ROIs and layers by name or pattern."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from rsa_exp.errors import InputError, listing, suggestion
from rsa_exp.rdms.readers import RdmSource

__all__ = ["choose_layers", "choose_names", "fits"]


def choose_names(
    wanted: str | Sequence[str], available: Sequence[str], kind: str, where: str
) -> list[str]:
    """Resolve what a user asked for among the names there are.

    Parameters
    ----------
    wanted : str or sequence of str
        ``all``, a name, a shell pattern (``LH*``), or several of these.
    available : sequence of str
        The names there are, whose order is kept.
    kind : str
        ``ROI`` or ``layer``, for the message.
    where : str
        Whose names they are, for the message.

    Returns
    -------
    list of str
        Names in the order of `available`, each once.

    Raises
    ------
    InputError
        If something that was asked for fits no name.
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    chosen: set[str] = set()
    for pattern in patterns:
        exact = {pattern} if pattern in available else set()
        matches = exact or {name for name in available if fits(name, pattern)}
        if not matches:
            raise InputError(
                f"{where} has no {kind} '{pattern}' (it has {listing(available)})"
                f"{suggestion(pattern, available)}"
            )
        chosen |= matches
    if not chosen:
        raise InputError(f"no {kind} was asked for; {where} has {listing(available)}")
    return [name for name in available if name in chosen]


def fits(name: str, wanted: str | Sequence[str]) -> bool:
    """Whether a name is among those asked for: ``all``, a name, a pattern, or several of these."""
    patterns = [wanted] if isinstance(wanted, str) else wanted
    return any(pattern in {"all", name} or fnmatchcase(name, pattern) for pattern in patterns)


def choose_layers(model: RdmSource, layers: Sequence[str] | None) -> list[str]:
    """Return a model's layers in depth order: those given, or its RDMs in order.

    Raises
    ------
    InputError
        If a layer is unknown, named twice, or the name of several RDMs.
    """
    repeated = {name for name in model.names if model.row_names.count(name) > 1}
    wanted = list(model.names if layers is None else layers)
    if len(set(wanted)) < len(wanted):
        raise InputError(f"data.layers names a layer twice: {listing(wanted)}")
    if repeated.intersection(wanted):
        raise InputError(
            f"{model.name}: several RDMs are called layer '{min(repeated)}'; give each layer "
            "one RDM, or name another descriptor with data.layer_key=NAME"
        )
    for layer in wanted:
        model.rows_of(layer)
    return wanted
