"""BOLD5000's lists of images, which lie beside the files of its ROIs.

Release 1 (Chang et al., 2019, Scientific Data 6, 49) has ``ROIs/CSI{n}/mat/CSI{n}_ROIs_TR34.mat``
and the same as ``h5/*.h5``: ``LHPPA``, ``RHLOC`` and so on, each (5254, n_voxel), 3108 rows for
CSI4. The images of the rows are lines of ``ROIs/stim_lists/CSI0{n}_stim_lists.txt``; trials that
repeat an image begin with ``rep_``, which is taken off so that repetitions have one name.
"""

from __future__ import annotations

import re
from pathlib import Path

from rsa_exp.rdms.readers.name_lists import read_names

__all__ = ["find_stimulus_list", "read_stimulus_list"]

_NAME = re.compile(r"CSI0?(\d)_ROIs", re.IGNORECASE)
_LEVELS = 4  # folders above a file in which its list is looked for


def find_stimulus_list(path: Path) -> Path | None:
    """Return the list of images of a file of ROIs: beside it, or in ``stim_lists`` above it."""
    match = _NAME.match(path.name)
    if match is None:
        return None
    name = f"CSI0{match[1]}_stim_lists.txt"
    folders = list(path.absolute().parents)[:_LEVELS]
    places = (
        place for folder in folders for place in (folder / name, folder / "stim_lists" / name)
    )
    return next((place for place in places if place.is_file()), None)


def read_stimulus_list(path: Path) -> list[str]:
    """Return the image of each row; repetitions have the name of the first showing."""
    return [name.removeprefix("rep_") for name in read_names(path)]
