"""Brain and model RDMs of one question, opened and aligned: all come out over the same images."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsa_exp.errors import check_choice, listing
from rsa_exp.rdms.aligned_sources import AlignedSources
from rsa_exp.rdms.alignment import Alignment
from rsa_exp.rdms.averaging import mean_points, mean_rdm
from rsa_exp.rdms.inputs import FileState, InputRecord, input_records
from rsa_exp.rdms.matching import match_images
from rsa_exp.rdms.names import choose_layers, choose_names, fits
from rsa_exp.rdms.readers import RdmSource
from rsa_exp.rdms.rsatoolbox_rdms import rsatoolbox_rdms
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.points.points import Points
from rsa_exp.vocabulary import ALIGNMENTS, MATCHES

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["Study"]


class Study:
    """Brain RDMs of several subjects and a model's, over their common images.

    Which images are common is decided over all subjects given here and the model, so that every
    run of a sweep scores the same images whichever subject it is about; `own` gives the study of
    one subject's images. A context manager; without ``with`` its files are closed when it is no
    longer referenced.

    Parameters
    ----------
    brain : mapping of str to RdmSource
        Subject to opened RDMs, closed by the study.
    model : RdmSource
        The model's.
    align, match, images, sources, layers, rois, name, model_name, simulated
        As in `rsa_exp.open_study`, which opens them.
    whole : Study, optional
        The study that this is one subject's part of, which closes the files.

    Attributes
    ----------
    name, model_name : str
        In tables and figures.
    simulated : bool
        Whether the data are.
    subjects, layers : list of str
        Subjects as given, layers in depth order.
    match : {'study', 'subject'}
        Whose common images are used.
    roi_facts : mapping of str to mapping
        ROI to its hemisphere, region and level, as far as they are known.
    alignment : Alignment
        The images in use.
    image_choice : str
        The `images` argument.
    notices : list of str
        What was done on opening that the user may not expect: descriptors guessed.
    warnings : list of str
        What was lost on opening: images that a subject or a way of matching costs, names of a list.
    states : list of FileState
        All files that were opened, also those of subjects who only decide the common images.

    Raises
    ------
    InputError
        If a name or the alignment cannot be used.
    """

    def __init__(
        self,
        brain: Mapping[str, RdmSource],
        model: RdmSource,
        *,
        align: str,
        match: str,
        images: str,
        sources: Mapping[str, str],
        layers: Sequence[str] | None,
        rois: Mapping[str, Mapping[str, str]],
        name: str | None,
        model_name: str | None,
        simulated: bool,
        whole: Study | None = None,
    ) -> None:
        check_choice("align", align, ALIGNMENTS)
        check_choice("match", match, MATCHES)
        self._settings: dict[str, Any] = {
            "align": align, "images": images, "sources": sources, "layers": layers, "rois": rois,
            "simulated": simulated,
        }  # fmt: skip
        self._brain, self._model = dict(brain), model
        self._all = [*self._brain.values(), model]
        self.subjects = list(self._brain)
        self.roi_facts = {roi: dict(facts) for roi, facts in rois.items()}
        self.simulated = simulated
        self.match = match
        first = self._all[0].path
        self.name = name or (first.absolute().parent.name if first else "") or "study"
        self.model_name = model_name or (model.path.stem if model.path else "model")
        self.notices = [notice for source in self._all for notice in source.guessed]
        self.warnings: list[str] = []
        self.layers = choose_layers(model, layers)
        self.image_choice = images
        if match == "study":
            _ = self.alignment  # what cannot be aligned is refused before anything is read
        paths = [path for source in self._all for path in source.files]
        if images != "all" and images not in sources:
            paths.append(Path(images))
        self.states = [FileState.of(path) for path in paths]
        self._whole = whole
        self._closing: weakref.finalize[..., Any] = (
            self._closing_sources() if whole is None else whole._closing
        )

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<Study {self.name}: {len(self.subjects)} subjects, {self.n_images} images, "
            f"{len(self.layers)} layers of {self.model_name}>"
        )

    def close(self) -> None:
        """Close all files; RDMs cannot be read after this."""
        self._closing()

    @cached_property
    def alignment(self) -> Alignment:
        """The images that all subjects and the model have in common, as far as they are chosen."""
        how, images, sources = (self._settings[key] for key in ("align", "images", "sources"))
        found, warnings = match_images(self._all, self.subjects, how, images, sources)
        self.warnings += warnings
        return found

    @cached_property
    def _sources(self) -> AlignedSources:
        return AlignedSources(self._all, self.alignment)

    def own(self, subject: str) -> Study:
        """Return the study of one subject's images that the model has, whatever the others saw.

        Raises
        ------
        InputError
            If there is no such subject, or fewer than three such images.
        """
        return Study(
            {subject: self._source(subject)},
            self._model,
            match="study",
            name=self.name,
            model_name=self.model_name,
            whole=self,
            **self._settings,
        )

    @property
    def images(self) -> list[str]:
        """Names of the images in use, as the first subject's file has them."""
        labels = self._all[0].images
        return [labels[i] for i in self.alignment.positions[0]]

    @property
    def n_images(self) -> int:
        """Images in use."""
        return len(self.alignment.keys)

    def rois_of(
        self, subjects: str | Sequence[str] | None = None, wanted: str | Sequence[str] = "all"
    ) -> list[str]:
        """Return the ROIs that every one of several subjects has.

        Parameters
        ----------
        subjects : str or sequence of str, optional
            Whose ROIs; None takes all subjects.
        wanted : str or sequence of str
            ``all``, a name, a pattern such as ``LH*``, or several.

        Raises
        ------
        InputError
            If a subject is unknown, or something that was asked for fits no ROI.
        """
        names = self.subjects if subjects is None else subjects
        names = [names] if isinstance(names, str) else list(names)
        shared = self._shared_rois(names)
        where = self._source(names[0]).name if len(names) == 1 else f"subjects {listing(names)}"
        return choose_names(wanted, shared, "ROI", where)

    def partial_rois(self, subjects: Sequence[str], wanted: str | Sequence[str]) -> list[str]:
        """Report the ROIs asked for that some but not all of several subjects have."""
        found = set().union(*(self._source(subject).names for subject in subjects))
        others = sorted(found.difference(self._shared_rois(subjects)))
        out = [name for name in others if fits(name, wanted)]
        return [f"left out, because not all subjects have them: {listing(out)}"] if out else []

    def averaged_rois(self, subjects: Sequence[str], rois: Sequence[str]) -> list[str]:
        """Report the ROIs of which a subject has several RDMs (sessions), which are averaged."""
        sources = [self._source(subject) for subject in subjects]
        counts = [(source, roi, source.row_names.count(roi)) for source in sources for roi in rois]
        return [f"{s.name}: ROI '{roi}' has {n} RDMs, averaged" for s, roi, n in counts if n > 1]

    def layers_of(self, wanted: str | Sequence[str] = "all") -> list[str]:
        """Return the layers asked for, in depth order: ``all``, a name, a pattern, or several.

        Raises
        ------
        InputError
            If something that was asked for fits no layer.
        """
        return choose_names(wanted, self.layers, "layer", self._model.name)

    def has_roi(self, subject: str, roi: str) -> bool:
        """Whether a subject has an ROI."""
        return roi in self._source(subject).names

    def brain_rdm(self, subjects: Sequence[str], roi: str) -> FloatArray:
        """Return an ROI's RDM over the common images, the mean of several subjects' where asked.

        Several rows of one name (sessions) are averaged first. A mean is taken, pair by pair, over
        the rows (then the subjects) that have the pair. May be called from several threads.

        Parameters
        ----------
        subjects : sequence of str
            One subject, or those whose mean is wanted.
        roi : str
            Which.

        Returns
        -------
        ndarray of shape (n_pairs,)
            In memory of its own; NaN where nobody has the pair.
        """
        indices = [self.subjects.index(subject) for subject in subjects]
        sessions = (map(partial(self._aligned.rdm, i), self._all[i].rows_of(roi)) for i in indices)
        return mean_rdm(map(mean_rdm, sessions))

    def model_rdm(self, layer: str) -> FloatArray:
        """Return the RDM of a layer, otherwise as `brain_rdm`."""
        return self._aligned.rdm(-1, self._model.rows_of(layer)[0])

    def brain_points(self, subjects: Sequence[str], roi: str) -> Points | None:
        """Return points whose squared distances are what `brain_rdm` returns, if it has them.

        None where RDMs were read as such, or patterns have no such points.
        """
        indices = [self.subjects.index(subject) for subject in subjects]
        sessions = [
            mean_points([self._aligned.points(i, row) for row in self._all[i].rows_of(roi)])
            for i in indices
        ]
        return mean_points(sessions)

    def model_points(self, layer: str) -> Points | None:
        """Return points whose squared distances are what `model_rdm` returns, if it has them."""
        return self._aligned.points(-1, self._model.rows_of(layer)[0])

    def rdms(self, roi: str) -> RDMs:
        """Return an ROI's RDMs for rsatoolbox, one for each subject who has it.

        Returns
        -------
        rsatoolbox.rdm.RDMs
            Over the common images (pattern descriptor ``image``), with the RDM descriptors
            ``subject`` and ``roi``; NaN marks a missing pair. Held in memory whole.

        Raises
        ------
        InputError
            If no subject has the ROI.
        """
        known = [name for source in self._brain.values() for name in source.names]
        check_choice("roi", roi, dict.fromkeys(known))
        subjects = [subject for subject in self.subjects if self.has_roi(subject, roi)]
        rows = (self.brain_rdm([subject], roi) for subject in subjects)
        names = {"subject": subjects, "roi": [roi] * len(subjects)}
        return rsatoolbox_rdms(rows, names, self.images, self.name)

    def model_rdms(self) -> RDMs:
        """Return the layers' RDMs for rsatoolbox.

        As `rdms`, with the RDM descriptors ``layer`` and ``model``.
        """
        names = {"layer": list(self.layers), "model": [self.model_name] * len(self.layers)}
        return rsatoolbox_rdms(map(self.model_rdm, self.layers), names, self.images, self.name)

    @property
    def sources(self) -> dict[str, RdmSource]:
        """What RDMs are read from, by subject; the model's under an empty name."""
        return {**self._brain, "": self._model}

    def inputs(self, used: Mapping[str, Collection[str]] | None = None) -> list[InputRecord]:
        """Return the record of what has been read so far, source by source.

        Parameters
        ----------
        used : mapping of str to collection of str, optional
            Restricts it to rows of these names: subject (empty for the model) to ROIs or layers.
        """
        return input_records(self.sources, used)

    def digest_rows(self, role: str, subject: str, rows: Iterable[str]) -> None:
        """Read rows of a file for their digests alone, to be had from `inputs`.

        Parameters
        ----------
        role, subject : str
            Which file, as an `InputRecord` has them; an unknown subject is left out.
        rows : iterable of str
            Which rows, as its `rows` are keyed; those that the file does not have are left out.
        """
        source = self._model if role == "model" else self._brain.get(subject)
        if source is not None:
            source.read_for_digests(rows)

    def _source(self, subject: str) -> RdmSource:
        check_choice("subject", subject, self.subjects)
        return self._brain[subject]

    def _shared_rois(self, subjects: Sequence[str]) -> list[str]:
        first, *others = (self._source(subject) for subject in subjects)
        return [name for name in first.names if all(name in other.names for other in others)]

    @property
    def _aligned(self) -> AlignedSources:
        if not self._closing.alive:
            raise ValueError(f"the study is closed: {self.name} cannot be read; open it again")
        return self._sources

    def _closing_sources(self) -> weakref.finalize[..., Any]:
        closing = ExitStack()
        for source in self._all:
            closing.push(source)
        return weakref.finalize(self, closing.close)
