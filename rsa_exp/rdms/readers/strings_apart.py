"""Prints a descriptor's strings as JSON; run by `rsa_exp.rdms.readers.strings` in a process of its own."""

import json
import sys
from contextlib import suppress

import h5py
import numpy as np

_MEMORY = 2**30
_SECONDS = 2
_MAX_BYTES = 2**26


def main(path: str, group_name: str, name: str) -> None:
    """Read a data set, else the attribute, called `name`."""
    try:
        import resource
    except ImportError:  # Windows: the parent's time limit remains
        pass
    else:
        for kind, most in (
            (resource.RLIMIT_AS, _MEMORY),
            (resource.RLIMIT_CPU, _SECONDS),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # not every system has every limit
                resource.setrlimit(kind, (most, most))
    with h5py.File(path, "r") as file:
        group = file[group_name]
        values = np.ravel(group.attrs[name] if name in group.attrs else group[name][()])
        texts = [v if isinstance(v, bytes) else str(v).encode() for v in values]
    if sum(map(len, texts)) > _MAX_BYTES:
        raise SystemExit("too long")
    json.dump([text.decode() for text in texts], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
