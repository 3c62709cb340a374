"""RDMs of a study as an object of rsatoolbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsa_exp.stats.condensed import FloatArray, count_pairs

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["rsatoolbox_rdms"]


def rsatoolbox_rdms(
    rows: Iterable[FloatArray],
    names: Mapping[str, Sequence[str]],
    images: Sequence[str],
    study: str,
) -> RDMs:
    """Return RDMs for rsatoolbox.

    Parameters
    ----------
    rows : iterable of ndarray of shape (n_pairs,)
        Condensed RDMs, as many as there are names.
    names : mapping of str to sequence of str
        RDM descriptors.
    images : sequence of str
        Pattern descriptor ``image``.
    study : str
        Descriptor ``study``.
    """
    from rsatoolbox.rdm import RDMs

    table = np.empty((len(next(iter(names.values()))), count_pairs(len(images))))
    for i, row in enumerate(rows):
        table[i] = row
    return RDMs(
        table,
        descriptors={"study": study},
        rdm_descriptors={key: list(values) for key, values in names.items()},
        pattern_descriptors={"image": list(images)},
    )
