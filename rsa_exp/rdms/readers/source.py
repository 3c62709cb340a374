"""What sources have in common, whatever their format: labels, digests, and how things are named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rsa_exp.errors import UNPRINTABLE, InputError, listing, suggestion
from rsa_exp.rdms.inputs import content_digest

__all__ = ["LabelledSource", "Naming"]

_MAX_LABEL = 1024  # characters


@dataclass(frozen=True)
class Naming:
    """What a source's images and rows are called, and where that is found.

    Attributes
    ----------
    row_kind : str
        What has a name besides images, for messages: ``ROI`` or ``layer``.
    image_key, row_key : str
        Descriptors (arrays of names in a file) that name images, and ROIs or layers; where there is
        none of that name, the only descriptor of strings is used.
    run_key, session_key : str
        Descriptors of patterns that say in which run and session a row was measured.
    images : sequence of str, optional
        Names of the images in the source's order, for files that have none; they take precedence.
    subject : str
        The subject whose rows are taken, used only by formats whose files hold several; empty for
        all of them.
    """

    row_kind: str
    image_key: str = "image"
    row_key: str = "roi"
    run_key: str = "run"
    session_key: str = "session"
    images: Sequence[str] | None = None
    subject: str = ""


class LabelledSource(ABC):
    """Something for each of several names (an ROI, a layer), over labelled images.

    A context manager. A reader of a format finds the labels and calls `_set_labels`.

    Attributes
    ----------
    name : str
        What messages and records call the source: the file's name, or ``brain of subject 1``.
    path : Path or None
        The file or folder; None for what is in memory.
    files : list of Path
        All files that are read; `path` alone unless the reader says otherwise.
    row_kind : str
        What a row is, for messages: ``ROI`` or ``layer``.
    images : list of str
        Labels of the images in the source's order.
    row_names : list of str
        Name of each row; names may repeat.
    names : list of str
        The distinct row names in order of appearance.
    guessed : list of str
        Notices about descriptors that are not called as configured.
    of_subject : bool
        Whether it is a part of a file of several subjects: that of `Naming.subject`.
    """

    of_subject = False

    def __init__(self, name: str, path: Path | None, row_kind: str) -> None:
        self.name, self.path, self.row_kind = name, path, row_kind
        self.files = [] if path is None else [path]
        self.guessed: list[str] = []
        self._digests: dict[int, str] = {}

    @abstractmethod
    def close(self) -> None:
        """Release what the source holds open; reading after this is an error."""

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        """Close the source if the block, which reads its layout, does not end well."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def use_patterns(self) -> str:
        """The settings that have the source read as patterns."""
        return "data=patterns" if self.row_kind == "ROI" else "model=features"

    @property
    def use_rdms(self) -> str:
        """The settings that have the source read as RDMs."""
        return "data=files" if self.row_kind == "ROI" else "model=rdms (data.model of data=files)"

    @property
    def labels(self) -> list[str]:
        """What a digest is of, besides rows: the names of the images."""
        return self.images

    def rows_of(self, name: str) -> list[int]:
        """Return the numbers of the rows called `name`; an `InputError` if there is none."""
        rows = [i for i, row_name in enumerate(self.row_names) if row_name == name]
        if not rows:
            raise InputError(
                f"{self.name} has no {self.row_kind} '{name}' (it has {listing(self.names)})"
                f"{suggestion(name, self.names)}"
            )
        return rows

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
        return content_digest(self.labels, self.row_digests())

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

    def _set_labels(self, images: Iterable[object], row_names: Iterable[object]) -> None:
        self.images = self._labels(images, "image")
        self.row_names = self._labels(row_names, self.row_kind)
        self.names = list(dict.fromkeys(self.row_names))
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
