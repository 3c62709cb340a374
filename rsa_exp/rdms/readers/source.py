"""A source of RDMs, whatever its format: labels of images and rows, rows, and digests of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Self

import xxhash

from rsa_exp.errors import UNPRINTABLE, InputError, listing, suggestion
from rsa_exp.rdms.inputs import content_digest
from rsa_exp.stats.condensed import FloatArray, count_pairs

__all__ = ["RdmSource"]

_MAX_LABEL = 1024  # characters


class RdmSource(ABC):
    """RDMs (rows) with names, over labelled images; a context manager.

    A reader of a format finds the labels, calls `_set_labels`, and returns rows by `_fetch`.

    Attributes
    ----------
    name : str
        What messages and records call the source: the file's name, or ``brain of subject 1``.
    path : Path or None
        The file; None for RDMs in memory.
    row_kind : str
        What a row is, for messages: ``ROI`` or ``layer``.
    images : list of str
        Labels of the images in the source's order, length n_cond.
    row_names : list of str
        Name of each row, length n_rdm; names may repeat.
    names : list of str
        The distinct row names in order of appearance.
    guessed : list of str
        Notices about descriptors that are not called as configured.
    n_cond : int
        Number of images.
    """

    def __init__(self, name: str, path: Path | None, row_kind: str) -> None:
        self.name, self.path, self.row_kind = name, path, row_kind
        self.guessed: list[str] = []
        self._digests: dict[int, str] = {}

    @abstractmethod
    def _fetch(self, row: int) -> FloatArray:
        """Return a row, shape (n_pairs,), contiguous."""

    @abstractmethod
    def close(self) -> None:
        """Release what the source holds open; reading after this is an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def rows_of(self, name: str) -> list[int]:
        """Return the numbers of the rows called `name`; an `InputError` if there is none."""
        rows = [i for i, row_name in enumerate(self.row_names) if row_name == name]
        if not rows:
            raise InputError(
                f"{self.name} has no {self.row_kind} '{name}' (it has {listing(self.names)})"
                f"{suggestion(name, self.names)}"
            )
        return rows

    def read_row(self, row: int) -> FloatArray:
        """Read one RDM in the source's order of images.

        May be called from several threads.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Dissimilarities in float64; NaN marks a missing pair. Not to be written to, and perhaps
            this thread's buffer, whose values last until the thread reads its next row.

        Raises
        ------
        InputError
            If the row cannot be read (a truncated file).
        """
        values = self._fetch(row)
        self._digests[row] = xxhash.xxh3_128_hexdigest(values.data)
        return values

    def row_digests(self, names: Collection[str] | None = None) -> dict[str, str]:
        """Content digests (xxh3_128) of the rows read so far, keyed ``name`` or ``name#row``.

        Those of the rows of these names, or of all.
        """
        return {
            self._key(row): digest
            for row, digest in sorted(self._digests.items())
            if names is None or self.row_names[row] in names
        }

    def row_of_key(self, key: str) -> int | None:
        """Return the row that `row_digests` keys so; None if there is none."""
        return next((row for row in range(len(self.row_names)) if self._key(row) == key), None)

    def _key(self, row: int) -> str:
        name = self.row_names[row]
        return name if self._counts[name] == 1 else f"{name}#{row}"

    def digest(self) -> str:
        """Content digest (xxh3_128, 32 hex digits) of the image names and of the rows read.

        Equal for equal images and rows, whatever the format.
        """
        return content_digest(self.images, self.row_digests())

    def _choose(self, is_text: Mapping[str, bool], key: str, kind: str) -> str:
        """Return the descriptor that has the labels: `key`, else the only one of strings."""
        if key in is_text:
            return key
        texts = sorted(name for name in is_text if is_text[name])
        if len(texts) == 1:
            self.guessed.append(
                f"{self.name}: '{texts[0]}' names the {kind}s (none is called '{key}')"
            )
            return texts[0]
        setting = {"image": "image_key", "ROI": "roi_key"}.get(kind, "layer_key")
        problem = (
            f"several descriptors could name the {kind}s ({listing(texts)})"
            if texts
            else f"no descriptor names the {kind}s (it has {listing(sorted(is_text))})"
        )
        raise InputError(
            f"{self.name}: {problem} and none is called '{key}'; choose one with {setting} "
            f"(data.{setting}=NAME)"
        )

    def _check_counts(self, shape: tuple[int, int], n_images: int, n_names: int) -> None:
        """Compare the shape (n_rdm, n_pairs) of the RDMs with the numbers of labels."""
        n_rdm, n_pairs = shape
        if n_pairs != count_pairs(n_images):
            raise InputError(
                f"{self.name}: rows have {n_pairs} dissimilarities but there are names of "
                f"{n_images} images, which make {count_pairs(n_images)} pairs"
            )
        if n_names != n_rdm:
            raise InputError(f"{self.name}: {n_rdm} RDMs but {n_names} {self.row_kind} names")

    def _set_labels(self, images: Iterable[object], row_names: Iterable[object]) -> None:
        self.images = self._labels(images, "image")
        self.row_names = self._labels(row_names, self.row_kind)
        self.names = list(dict.fromkeys(self.row_names))
        self.n_cond = len(self.images)
        self._counts = Counter(self.row_names)

    def _labels(self, values: Iterable[object], kind: str) -> list[str]:
        """Return labels as text, each of one line."""
        try:
            labels = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
        except UnicodeDecodeError as error:
            raise InputError(f"{self.name}: the name of an {kind} is not UTF-8 text") from error
        bad = next((x for x in labels if UNPRINTABLE.search(x) or len(x) > _MAX_LABEL), None)
        if bad is not None:
            raise InputError(
                f"{self.name}: the name of an {kind} has control characters or more than "
                f"{_MAX_LABEL} characters: {bad[:40]!a}"
            )
        return labels
