"""MATLAB files of RDMs: struct arrays with the fields RDM and name, or plain matrices.

Versions 5 to 7.2 (`rsa_exp.rdms.readers.mat5`) and 7.3 (`rsa_exp.rdms.readers.mat73`).

- Struct arrays of any shape whose entries have ``RDM`` (square or condensed) and ``name``, as in
  Kriegeskorte's ``92_brainRDMs.mat`` (Kriegeskorte et al., 2008, Neuron 60, 1126) and the RSA
  toolbox for MATLAB. Of a name such as ``hIT | BE | Session: 1`` the part before the first ``|`` is
  the ROI or layer, and the next part that is no session is the subject; sessions are rows of the
  same name. Where there is no ``name``, the first field of text is it.
- Else variables: a square or condensed matrix for each ROI or layer, called as the variable. Of
  more dimensions, the two that are equal to the number of images are the RDM's, and the first of
  the others the subject, counted from 1: ``EVC_RDMs`` of Algonauts 2019 is (15, 92, 92) in MATLAB,
  and ``MEG_RDMs_early`` (15, 20, 92, 92), whose times are rows of the same name.

With `Naming.subject` only that subject's rows are taken from files that hold several. Names of the
images are a cell array of texts or a char matrix (`Naming.image_key`, else the only one), such as
``stimuli`` of Meadows; the 92 images and Algonauts have none and need `Naming.images`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.image_names import NAMES_NEEDED, checked_names
from rsa_exp.rdms.readers.mat_variables import Variable, texts
from rsa_exp.rdms.readers.matlab_file import MatlabFile, is_matlab, struct_arrays
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.squares import square_problem
from rsa_exp.stats.condensed import FloatArray, count_pairs

__all__ = ["DESCRIPTION", "MatlabRdms", "can_read", "open_file"]

DESCRIPTION = "a MATLAB file of RDMs"
_MAX_ROWS = 10_000


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file is MATLAB's: by its header, or its name where that says nothing else."""
    return is_matlab(path, head)


@dataclass(frozen=True)
class _Row:
    """An RDM in a variable: all of it, or what is at `place`."""

    name: str
    subject: str
    variable: Variable
    place: tuple[int | slice, ...] = ()


class MatlabRdms(RdmSource):
    """A MATLAB file of RDMs; arguments as in `open_rdms`, errors likewise."""

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        self._file = MatlabFile(path)
        self._lock = threading.Lock()
        self._loaded: tuple[Variable | None, NDArray[Any]] = (None, np.empty(0))
        with self._closed_on_failure():
            self._read_layout(naming)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_layout(self, naming: Naming) -> None:
        structs, problems = struct_arrays(self._file.variables)
        rows = list(self._struct_rows(structs))
        held = [row.variable for row in rows] or self._file.variables.values()
        images = self._images(naming, {size for each in held for size in each.shape})
        n_images = len(images)
        if not rows:
            rows = [
                row
                for variable in self._file.variables.values()
                if variable.kind == "numbers"
                for row in _plain_rows(variable, n_images, self.name)
            ]
        if problems and not rows:
            raise InputError(problems[0])
        if not rows:
            shapes = listing(
                f"{each.name} {each.shape}"
                for each in self._file.variables.values()
                if each.kind == "numbers"
            )
            raise InputError(
                f"{self.name} has no RDMs of {n_images} images: no struct array with the fields "
                f"RDM and name, and no matrix {(n_images, n_images)} or "
                f"{(1, count_pairs(n_images))} (it has {shapes}); if it holds "
                "patterns, use data=patterns"
            )
        if len(rows) > _MAX_ROWS:
            raise InputError(f"{self.name} has {len(rows)} RDMs; at most {_MAX_ROWS} are read")
        self._rows = self._of_subject(rows, naming.subject)
        self._set_labels(images, [row.name for row in self._rows])
        for row in self._rows:
            self._check_row(row)

    def _struct_rows(self, structs: Mapping[str, Sequence[dict[str, Variable]]]) -> Iterator[_Row]:
        """Return the RDMs in struct arrays."""
        for name, entries in structs.items():
            for entry in entries:
                rdm = entry.get("RDM")
                if rdm is None:
                    break
                fields = {
                    f: text for f, text in entry.items() if text.kind == "text" and f != "RDM"
                }
                named = fields.get("name") or next(iter(fields.values()), None)
                parts = "".join(texts(named)[:1]).split("|") if named else [name]
                roi, *others = [part.strip() for part in parts]
                subjects = [part for part in others if not re.match("(session|run)\\b", part, re.I)]
                yield _Row(roi, subjects[0] if subjects else "", rdm)

    def _images(self, naming: Naming, sizes: set[int]) -> Sequence[object]:
        """Return the names of the images, as many as make RDMs of those sizes."""
        if naming.images is not None:
            return naming.images
        lists = {
            name: True
            for name, each in self._file.variables.items()
            if each.count > 1 and not sizes.isdisjoint((each.count, count_pairs(each.count)))
        }
        if not lists:
            raise InputError(f"{self.name} has no names of images; {NAMES_NEEDED}")
        chosen = self._file.variables[self._choose(lists, naming.image_key, "image")]
        return checked_names(texts(chosen), f"{self.name}: '{chosen.name}'")

    def _of_subject(self, rows: Sequence[_Row], subject: str) -> Sequence[_Row]:
        """Return the rows of one subject; all of a file of one, and where none is asked for."""
        subjects = list(dict.fromkeys(row.subject for row in rows if row.subject))
        if len(subjects) < 2:
            return rows
        if not subject:
            self.guessed.append(
                f"{self.name}: RDMs of {len(subjects)} subjects are taken together "
                f"({listing(subjects)})"
            )
            return rows
        self.of_subject = True
        chosen = [row for row in rows if row.subject in ("", *_spellings(subject, subjects))]
        if not any(row.subject for row in chosen):
            raise InputError(
                f"{self.name} has no RDMs of subject '{subject}'; it has those of "
                f"{listing(subjects)}"
            )
        return chosen

    def _check_row(self, row: _Row) -> None:
        n_images, shape = self.n_cond, row.variable.shape
        of_row = tuple(n for n, at in zip(shape, row.place, strict=False) if isinstance(at, slice))
        of_row = of_row if row.place else shape
        pairs = count_pairs(n_images)
        if of_row not in ((n_images, n_images), (1, pairs), (pairs, 1)) or (
            row.variable.kind != "numbers"
        ):
            raise InputError(
                f"{self.name}: {self.row_kind} '{row.name}' has shape {of_row}; expected numbers "
                f"of shape {(n_images, n_images)} or {(1, pairs)} for {n_images} images"
            )

    def _fetch(self, row: int) -> FloatArray:
        from scipy.spatial.distance import squareform  # not for other formats

        chosen = self._rows[row]
        with self._lock:  # a stack of RDMs is read once for its rows
            if self._loaded[0] is not chosen.variable:
                self._loaded = (None, np.empty(0))
                self._loaded = (chosen.variable, chosen.variable.load())
            values = np.asarray(self._loaded[1][chosen.place], dtype=np.float64)
        if 1 in values.shape:
            return np.array(values.ravel())
        if problem := square_problem(values):
            raise InputError(f"{self.name}: {self.row_kind} '{chosen.name}' {problem}")
        condensed: FloatArray = squareform(values, checks=False)
        return condensed


def _plain_rows(variable: Variable, n_images: int, file: str) -> Iterator[_Row]:
    """Return the RDMs in a variable of numbers; none if its shape is another."""
    shape, pairs = variable.shape, count_pairs(n_images)
    if shape in ((n_images, n_images), (1, pairs), (pairs, 1)):
        yield _Row(variable.name, "", variable)
    if len(shape) not in (3, 4):
        return
    axes = [axis for axis, size in enumerate(shape) if size == n_images]
    if len(axes) > 2:
        raise InputError(
            f"{file}: '{variable.name}' has shape {shape}, in which {len(axes)} axes have the size "
            f"{n_images} of the images; store one RDM a variable"
        )
    if len(axes) < 2:
        return
    others = [axis for axis in range(len(shape)) if axis not in axes]
    for at in np.ndindex(*(shape[axis] for axis in others)):
        place: list[int | slice] = [slice(None)] * len(shape)
        for axis, index in zip(others, at, strict=True):
            place[axis] = index
        yield _Row(variable.name, str(at[0] + 1), variable, tuple(place))


def _spellings(subject: str, subjects: Sequence[str]) -> list[str]:
    """Return the subjects that are meant: ``be`` is BE, ``sub-03`` the third where they count."""
    same = [each for each in subjects if each.casefold() == subject.strip().casefold()]
    number = re.search(r"(\d+)$", subject.strip())
    return same or [each for each in subjects if number and each == str(int(number[1]))]


open_file = MatlabRdms
