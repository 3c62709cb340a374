"""Which images several files have in common, matched by name, never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.vocabulary import MIN_IMAGES

__all__ = ["Alignment", "LabelledFile", "align", "costly_subjects", "stem"]

_EXTENSIONS = {
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
_EXAMPLES = 5


def stem(label: str) -> str:
    """Drop a known image extension, in either case, and nothing else: ``obj_0.5`` stays."""
    head, dot, extension = label.rpartition(".")
    return head if head and f"{dot}{extension}".lower() in _EXTENSIONS else label


class LabelledFile(NamedTuple):
    """A file, or RDMs in memory: its name, for messages and the report, and its image labels."""

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
    positions : list of ndarray of int, shape (n_common,)
        For each file, the index of each key's image in it.
    report : dict
        What ``alignment.json`` records: per file the images, matched, dropped (with examples) and
        duplicates.
    warnings : tuple of str
        What the user has to know.
    """

    how: str
    keys: tuple[str, ...]
    positions: list[NDArray[np.intp]]
    report: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def restrict(self, keep: NDArray[np.bool_]) -> Alignment:
        """Return the alignment of those images alone where `keep`, shape (n_common,), is True."""
        return replace(
            self,
            keys=tuple(compress(self.keys, keep)),
            positions=[positions[keep] for positions in self.positions],
            report=self.report | {"n_used": int(keep.sum())},
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
        If a name occurs twice in a file, or fewer than three images are common.
    """
    matched = _match(files, how)
    common = sorted(set.intersection(*(set(keys) for keys in matched)))
    warnings, by_stem = [], ({stem(label) for label in file.images} for file in files)
    lost = max(len(set.intersection(*by_stem)) - len(common), 0) if how == "exact" else 0
    if lost:
        warnings.append(
            f"align=exact matches {len(common)} images; align=stem would match "
            f"{len(common) + lost}: {lost} images are lost to file extensions"
        )
    report = {
        "align": how,
        "n_common": len(common),
        "n_used": len(common),
        "n_lost_to_extensions": lost,
        "files": [
            _file_report(file, keys, set(common)) for file, keys in zip(files, matched, strict=True)
        ],
    }
    if len(common) < MIN_IMAGES:
        raise InputError(_too_few(files, common, how, lost))
    positions = [np.array([keys[key] for key in common], dtype=np.intp) for keys in matched]
    return Alignment(how, tuple(common), positions, report, tuple(warnings))


def costly_subjects(
    subjects: Sequence[str], files: Sequence[LabelledFile], how: str, n_common: int
) -> list[str]:
    """Warn of each subject without whom more than a tenth more images would be common.

    The subjects' files come first in `files`, which have `n_common` images in common.
    """
    if len(files) < 3:
        return []
    warnings = []
    for subject, file in zip(subjects, files, strict=False):
        matched = align([other for other in files if other is not file], how)
        if len(matched.keys) - n_common > n_common / 10:
            warnings.append(
                f"subject {subject} has {len(file.images)} images: with it {n_common} are "
                f"common, without it {len(matched.keys)}"
            )
    return warnings


def _match(files: Iterable[LabelledFile], how: str) -> list[dict[str, int]]:
    """For every file, the index of each key; a key that occurs twice is an error."""
    key = stem if how == "stem" else str
    matched = []
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
        matched.append({k: i for i, k in enumerate(keys)})
    return matched


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
    advice = "check data.image_key and that the files are of one study"
    if lost:
        advice = f"align=stem would match {len(common) + lost}"
    elif len(files) > 2 and _pairwise(files, how):
        advice = (
            "match=subject scores each subject alone on the images that it saw; group and joint "
            "need common ones"
        )
    return (
        f"{len(common)} images are common to the {len(files)} files by align={how}, "
        f"at least {MIN_IMAGES} are needed: {have}; {advice}"
    )


def _pairwise(files: Sequence[LabelledFile], how: str) -> bool:
    """Whether each file has enough images in common with the last, the model's."""
    *keys, of_model = map(set, _match(files, how))
    return all(len(of_model & each) >= MIN_IMAGES for each in keys)
