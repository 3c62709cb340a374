"""MATLAB files of patterns: a matrix for each ROI or layer, and names of the rows beside them.

Versions 5 to 7.2 (`rsa_exp.rdms.readers.mat5`) and 7.3 (`rsa_exp.rdms.readers.mat73`). Every matrix
of numbers with as many rows as there are names is one, (n_row, n_channel) as MATLAB shows it, at
least two channels, called as the variable. The names are a cell array of texts or a char matrix of
n_row entries (`Naming.image_key`, else the only one); ``run`` and ``session`` are vectors or cell
arrays of that length. BOLD5000's ``CSI{n}_ROIs_TR34.mat`` have no names and find their list
(`rsa_exp.rdms.readers.bold5000`). Objects and function handles are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.bold5000 import find_stimulus_list, read_stimulus_list
from rsa_exp.rdms.readers.image_names import NAMES_NEEDED, checked_names
from rsa_exp.rdms.readers.mat_variables import Variable, numbers, texts
from rsa_exp.rdms.readers.matlab_file import MatlabFile, is_matlab, struct_arrays
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.source import Naming

__all__ = ["DESCRIPTION", "MatlabPatterns", "can_read", "open_file"]

DESCRIPTION = "a MATLAB file with a matrix of patterns for each ROI or layer"


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file is MATLAB's: by its header, or its name where that says nothing else."""
    return is_matlab(path, head)


class MatlabPatterns(PatternSource):
    """A MATLAB file of patterns; arguments as in `open_patterns`, errors likewise."""

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        self._file = MatlabFile(path)
        with self._closed_on_failure():
            self._read_layout(naming)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_layout(self, naming: Naming) -> None:
        variables = self._file.variables
        taken = {naming.run_key, naming.session_key, naming.image_key}
        matrices = {
            name: each
            for name, each in variables.items()
            if each.kind == "numbers" and len(each.shape) == 2 and 0 not in each.shape
            and not each.is_vector and name not in taken
        }  # fmt: skip
        if not matrices:
            self._refuse(variables)
        images = self._images(naming, matrices)
        n_row = len(images)
        chosen = {name: each for name, each in matrices.items() if each.shape[0] == n_row}
        left = [name for name in matrices if name not in chosen]
        if left and chosen:
            self.guessed.append(
                f"{self.name}: {listing(left)} left out, which have not {n_row} rows"
            )
        self._set_labels(images, chosen or matrices)
        self._matrices = list((chosen or matrices).values())
        for each in self._matrices:
            self._check_shape(each.shape, f"{self.name}: {self.row_kind} '{each.name}'")
        runs, sessions = (
            self._labels_in(variables[key]) if key in variables else None
            for key in (naming.run_key, naming.session_key)
        )
        self._set_folds(runs, sessions)

    def _refuse(self, variables: dict[str, Variable]) -> None:
        structs, _ = struct_arrays(variables)
        rdms = any("RDM" in entry for entries in structs.values() for entry in entries[:1])
        raise InputError(
            f"{self.name} holds RDMs, not patterns; use {self.use_rdms}"
            if rdms
            else f"{self.name} has no matrix of numbers (it has {listing(variables)}); expected "
            f"one for each {self.row_kind}, (n_row, n_channel)"
        )

    def _images(self, naming: Naming, matrices: dict[str, Variable]) -> Sequence[object]:
        """Return the image of each row."""
        if naming.images is not None:
            return naming.images
        sizes = {size for each in matrices.values() for size in each.shape}
        lists = {
            name: each.kind != "numbers"
            for name, each in self._file.variables.items()
            if name not in (naming.run_key, naming.session_key)
            and (each.count in sizes or name == naming.image_key)
            and (each.count > 1 or (each.is_vector and name == naming.image_key))
        }
        if lists:
            return self._labels_in(
                self._file.variables[self._choose(lists, naming.image_key, "image")]
            )
        stimuli = find_stimulus_list(self.path)
        if stimuli is None:
            raise InputError(f"{self.name} has no names of images; {NAMES_NEEDED}")
        self.files.append(stimuli)
        return checked_names(read_stimulus_list(stimuli), stimuli.name)

    def _labels_in(self, variable: Variable) -> Sequence[object]:
        what = f"{self.name}: '{variable.name}'"
        if variable.kind not in ("numbers", "text", "cells"):
            raise InputError(f"{what} has neither numbers nor texts")
        found = numbers(variable) if variable.kind == "numbers" else texts(variable)
        return checked_names(found, what)

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_row, n_channel) of a matrix."""
        n_row, n_channel = self._matrices[index].shape
        return n_row, n_channel

    def _fetch(self, index: int) -> NDArray[Any]:
        values = self._matrices[index].load()
        return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


open_file = MatlabPatterns
