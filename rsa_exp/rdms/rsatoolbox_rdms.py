"""RDMs of a study as an object of rsatoolbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from rsa_exp.stats.condensed import FloatArray, count_pairs

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["rsatoolbox_rdms"]


def rsatoolbox_rdms(
    rows: Iterable[FloatArray], names: Mapping[str, list[str]], images: list[str], study: str
) -> RDMs:
    """Return condensed RDMs for rsatoolbox; `names` are their descriptors."""
    from rsatoolbox.rdm import RDMs

    table = np.empty((len(next(iter(names.values()))), count_pairs(len(images))))
    for target, row in zip(table, rows, strict=True):
        target[:] = row
    return RDMs(
        table,
        descriptors={"study": study},
        rdm_descriptors=dict(names),
        pattern_descriptors={"image": images},
    )
