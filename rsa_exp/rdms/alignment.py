"""Which images several files have in common, matched by name, never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.vocabulary import MIN_IMAGES

__all__ = ["Alignment", "LabelledFile", "align", "stem"]

_EXTENSIONS = {
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
_EXAMPLES = 5


def stem(label: str) -> str:
    """Drop a known image extension, in either case, and nothing else: ``obj_0.5`` stays."""
    head, dot, extension = label.rpartition(".")
    return head if head and f"{dot}{extension}".lower() in _EXTENSIONS else label


@dataclass(frozen=True)
class LabelledFile:
    """A file as alignment sees it.

    Attributes
    ----------
    name : str
        For messages and the report.
    images : sequence of str
        Image labels in the order of the file.
    """

    name: str
    images: Sequence[str]


@dataclass(frozen=True)
class Alignment:
    """The images common to several files, in one order for all of them.

    Attributes
    ----------
    how : {'stem', 'exact'}
        How names were matched.
    keys : tuple of str
        Matched names, sorted: the order does not depend on that of any file.
    positions : dict of str to ndarray of int, shape (n_common,)
        For each file, where it holds the image of each key.
    report : dict
        What ``alignment.json`` records: per file the images, matched, dropped (with examples) and
        duplicates.
    warnings : tuple of str
        What the user must be told.
    """

    how: str
    keys: tuple[str, ...]
    positions: dict[str, NDArray[np.intp]]
    report: dict[str, Any]
    warnings: tuple[str, ...] = field(default=())

    def restrict(self, keep: NDArray[np.bool_]) -> Alignment:
        """Return the alignment of those images alone where `keep`, shape (n_common,), is True."""
        return Alignment(
            self.how,
            tuple(key for key, kept in zip(self.keys, keep, strict=True) if kept),
            {name: positions[keep] for name, positions in self.positions.items()},
            self.report | {"n_used": int(keep.sum())},
            self.warnings,
        )


def align(files: Sequence[LabelledFile], how: str) -> Alignment:
    """Match the images of several files by name.

    Parameters
    ----------
    files : sequence of LabelledFile
        At least one.
    how : {'stem', 'exact'}
        ``stem`` drops a known image extension and compares the rest, ``exact`` whole names.

    Returns
    -------
    Alignment
        The common images, with a warning when ``exact`` loses images that ``stem`` would keep.

    Raises
    ------
    InputError
        If a name stands twice in a file, or fewer than three images are common.
    """
    matched = _match(files, how)
    common = sorted(set.intersection(*(set(keys) for keys in matched.values())))
    warnings = []
    lost = 0
    if how == "exact":
        lost = _common_by_stem(files) - len(common)
        if lost > 0:
            warnings.append(
                f"align=exact matches {len(common)} images; align=stem would match "
                f"{len(common) + lost}: {lost} images are lost to file extensions"
            )
    report = {
        "align": how,
        "n_common": len(common),
        "n_used": len(common),
        "n_lost_to_extensions": max(lost, 0),
        "files": [_file_report(file, matched[file.name], set(common)) for file in files],
    }
    if len(common) < MIN_IMAGES:
        raise InputError(_too_few(files, common, how, lost))
    positions = {
        name: np.array([keys[key] for key in common], dtype=np.intp)
        for name, keys in matched.items()
    }
    return Alignment(how, tuple(common), positions, report, tuple(warnings))


def _match(files: Iterable[LabelledFile], how: str) -> dict[str, dict[str, int]]:
    """Key to position for every file; a key that stands twice is an error."""
    key = stem if how == "stem" else str
    matched: dict[str, dict[str, int]] = {}
    for file in files:
        keys = [key(label) for label in file.images]
        repeated = [k for k, count in Counter(keys).items() if count > 1]
        if repeated:
            labels = [label for label in file.images if key(label) == repeated[0]]
            advice = (
                "rename one, or use align=exact"
                if len(set(labels)) > 1
                else "an RDM needs one row for each image"
            )
            raise InputError(
                f"{file.name}: {len(repeated)} image name(s) stand for more than one image, "
                f"first '{repeated[0]}' ({listing(labels, 4)}); {advice}"
            )
        matched[file.name] = {k: i for i, k in enumerate(keys)}
    return matched


def _common_by_stem(files: Sequence[LabelledFile]) -> int:
    return len(set.intersection(*({stem(label) for label in file.images} for file in files)))


def _file_report(file: LabelledFile, keys: dict[str, int], common: set[str]) -> dict[str, Any]:
    dropped = [file.images[i] for key, i in keys.items() if key not in common]
    by_extension = Counter(PurePath(label).suffix for label in dropped)
    return {
        "file": file.name,
        "n_images": len(file.images),
        "n_matched": len(common),
        "n_dropped": len(dropped),
        "dropped_by_extension": dict(by_extension.most_common(_EXAMPLES)),
        "dropped_examples": dropped[:_EXAMPLES],
        "n_duplicates": len(file.images) - len(keys),
    }


def _too_few(files: Sequence[LabelledFile], common: list[str], how: str, lost: int) -> str:
    have = "; ".join(f"{file.name} has {listing(file.images, 2)}" for file in (files[0], files[-1]))
    advice = (
        f"align=stem would match {len(common) + lost}"
        if lost > 0
        else "check data.image_key and that the files are of one study"
    )
    return (
        f"{len(common)} images are common to the {len(files)} files by align={how}, "
        f"at least {MIN_IMAGES} are needed: {have}; {advice}"
    )
