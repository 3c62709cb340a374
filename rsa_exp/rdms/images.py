"""Restricting a study to some of its images: a source of BOLD5000, or a list in a file."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing, suggestion
from rsa_exp.rdms.alignment import stem
from rsa_exp.rdms.readers.name_lists import read_names
from rsa_exp.vocabulary import MIN_IMAGES

__all__ = ["check_choice_of_images", "choose_images", "in_source"]


def in_source(label: str, source: str, sources: Mapping[str, str]) -> bool:
    """Whether an image, named with its extension, belongs to a source, a key of `sources`.

    Sources have patterns of labels (``COCO_*``); the pattern ``*`` takes what fits no other.
    """
    if sources[source] != "*":
        return fnmatchcase(label, sources[source])
    return not any(fnmatchcase(label, glob) for glob in sources.values() if glob != "*")


def choose_images(
    images: str, labels: Sequence[str], how: str, sources: Mapping[str, str]
) -> tuple[NDArray[np.bool_], str | None]:
    """Decide which of the common images to use.

    Parameters
    ----------
    images, sources
        As in `rsa_exp.open_study`.
    labels : sequence of str
        Names of the common images.
    how : {'stem', 'exact'}
        How names are matched, here those in the file.

    Returns
    -------
    keep : ndarray of bool, shape (n_common,)
        True for the images to use.
    warning : str or None
        How many names of the list no file has.

    Raises
    ------
    InputError
        If `images` is none of these, or fewer than three images are left.
    """
    warning = None
    if images == "all":
        return np.ones(len(labels), dtype=bool), None
    if images in sources:
        keep = np.array([in_source(label, images, sources) for label in labels])
    else:
        key = stem if how == "stem" else str
        check_choice_of_images(images, sources)
        wanted = {key(name) for name in filter(None, read_names(Path(images)))}
        keys = [key(label) for label in labels]
        keep = np.array([name in wanted for name in keys])
        unknown = sorted(wanted.difference(keys))
        if unknown:
            warning = (
                f"{len(unknown)} of {len(wanted)} names in {images} are not common images: "
                f"{listing(unknown, 3)}"
            )
    if keep.sum() < MIN_IMAGES:
        raise InputError(
            f"images={images} leaves {int(keep.sum())} of {len(labels)} common images; at least "
            f"{MIN_IMAGES} are needed"
        )
    return keep, warning


def check_choice_of_images(images: str, sources: Mapping[str, str]) -> None:
    """Refuse a choice of images that is neither ``all`` nor a source nor a file."""
    choices = ["all", *sources]
    if images not in choices and not _is_file(Path(images)):
        raise InputError(
            f"images={images:.200} is neither {' nor '.join(choices)} nor a file with one image "
            f"name a line{suggestion(images[:200], choices)}"
        )


def _is_file(path: Path) -> bool:
    """Whether a path, which may be no possible path at all, is that of a regular file."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long; a null character
        return False
