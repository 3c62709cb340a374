"""Opening a study: from paths, rsatoolbox objects or arrays to RDMs over the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, cast

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.images import check_choice_of_images
from rsa_exp.rdms.pattern_rdms import PatternRdms
from rsa_exp.rdms.readers import (
    Arrays,
    Naming,
    PatternInput,
    Patterns,
    RdmInput,
    RdmSource,
    open_patterns,
    open_rdms,
)
from rsa_exp.rdms.readers.name_lists import read_names
from rsa_exp.rdms.study import Study
from rsa_exp.stats.patterns.measurements import PatternOptions
from rsa_exp.vocabulary import ROI_FIELDS

__all__ = ["ImageNames", "open_source", "open_study"]

ImageNames: TypeAlias = "Sequence[str] | str | os.PathLike[str]"
"""Names of images, or a text file with one a line."""


def open_study(
    brain: Mapping[str, RdmInput | PatternInput],
    model: RdmInput | PatternInput,
    *,
    patterns: PatternOptions | None = None,
    features: PatternOptions | None = None,
    align: str = "stem",
    match: str = "study",
    images: str = "all",
    sources: Mapping[str, str] | None = None,
    brain_images: Mapping[str, ImageNames] | None = None,
    model_images: ImageNames | None = None,
    residuals: Mapping[str, PatternInput] | None = None,
    image_key: str = "image",
    roi_key: str = "roi",
    layer_key: str = "layer",
    run_key: str = "run",
    session_key: str = "session",
    layers: Sequence[str] | None = None,
    rois: Mapping[str, Mapping[str, str]] | None = None,
    name: str | None = None,
    model_name: str | None = None,
    simulated: bool = False,
    hint: str = "",
) -> Study:
    """Open brain and model RDMs, or patterns of which they are made; align their images by name.

    Parameters
    ----------
    brain : mapping of str to source
        Subject to its RDMs, one or more for each ROI, or to its response patterns. A source is the
        path of a file or folder, an `rsatoolbox.rdm.RDMs` object, `rsa_exp.Arrays` (RDMs by name,
        with names of images) or `rsa_exp.Patterns`.
    model : source
        The model's RDMs, one for each layer, or its features.
    patterns, features : PatternOptions, optional
        How RDMs are made of the brain's patterns, and of the model's features; files are read as
        patterns where this is given. `rsa_exp.Patterns` get correlation distances by default.
    align : {'stem', 'exact'}
        Image names are matched without their extension, or whole.
    match : {'study', 'subject'}
        Whose images are used: those common to all subjects and the model; or, for each subject
        alone, those that this subject and the model have (noise ceilings, ``group`` and ``joint``
        need images that all subjects saw).
    images : str
        ``all``, a key of `sources`, or the path of a file with one image name a line.
    sources : mapping of str to str, optional
        Source of images to the pattern of their names (``COCO_*``); ``*`` takes what fits no other.
    brain_images : mapping of str to sequence of str or path, optional
        Subject to the names of the images in the order of its file, or to a text file with one a
        line, for files that have no names.
    model_images : sequence of str or path, optional
        The same for the model's file.
    residuals : mapping of str to source, optional
        Subject to residuals of the model that estimated its patterns, for the covariance of the
        noise; without them it comes from repetitions.
    image_key, roi_key, layer_key : str
        Descriptors that name images, ROIs and layers; where there is none of that name, the only
        descriptor of strings is used.
    run_key, session_key : str
        Descriptors of patterns: in which run and session a row was measured.
    layers : sequence of str, optional
        The model's layers in depth order; None takes its RDMs in order.
    rois : mapping of str to mapping, optional
        What an ROI is: ``{"LHLOC": {"hemisphere": "LH", "region": "LOC", "level": "mid"}}``.
    name, model_name : str, optional
        Names of the study and of the model in tables and figures; else those of folder and file.
    simulated : bool
        Whether figures say that the data are simulated.
    hint : str
        Where missing files can be had.

    Returns
    -------
    Study
        To be used as a context manager, or closed with it when it is no longer referenced.

    Raises
    ------
    InputError
        If a source, a name or the alignment cannot be used.

    Examples
    --------
    >>> study = open_study({"1": "CSI1.h5", "2": "CSI2.h5"}, "ResNet50.h5")  # doctest: +SKIP
    """
    if not isinstance(brain, Mapping) or not brain:
        raise InputError(
            'brain names no subject; give a mapping of subjects to RDMs: {"1": "CSI1_RDMs.h5"}'
        )
    for roi, facts in (rois or {}).items():
        if not isinstance(facts, Mapping) or not set(facts) <= set(ROI_FIELDS):
            raise InputError(
                f"rois has {facts!s:.100} for {roi}; an ROI may have {listing(ROI_FIELDS)}"
            )

    for what, named in {"brain_images": brain_images, "residuals": residuals}.items():
        if unknown := set(named or ()).difference(brain):
            raise InputError(
                f"{what} has {listing(sorted(map(str, unknown)))}, which brain has not"
            )
    for what, options in {"patterns": patterns, "features": features}.items():
        if not isinstance(options, PatternOptions | None):
            raise InputError(
                f"{what} is {options!s:.100}; give rsa_exp.PatternOptions(distance='correlation')"
            )
    check_choice_of_images(images, sources or {})
    with ExitStack() as stack:
        brains = {
            str(subject): open_source(
                source,
                Naming("ROI", image_key, roi_key, run_key, session_key, subject=str(subject)),
                patterns,
                stack,
                name=f"brain of subject {subject}",
                hint=hint,
                image_names=(brain_images or {}).get(subject),
                residuals=(residuals or {}).get(subject),
            )
            for subject, source in brain.items()
        }
        naming = Naming("layer", image_key, layer_key)
        study = Study(
            brains,
            open_source(
                model, naming, features, stack, name="model", hint=hint, image_names=model_images
            ),
            align=align,
            match=match,
            images=images,
            sources=sources or {},
            layers=layers,
            rois=rois or {},
            name=name,
            model_name=model_name,
            simulated=simulated,
        )
        stack.pop_all()  # the study closes them
    return study


def open_source(
    source: RdmInput | PatternInput,
    naming: Naming,
    options: PatternOptions | None,
    stack: ExitStack,
    *,
    name: str,
    hint: str = "",
    image_names: ImageNames | None = None,
    residuals: PatternInput | None = None,
) -> RdmSource:
    """Open RDMs, or patterns of which they are made.

    Parameters
    ----------
    source, naming, hint, name
        As in `rsa_exp.rdms.readers.open_rdms`.
    options : PatternOptions or None
        How RDMs are made; None where RDMs are read as such.
    stack : ExitStack
        Closes what is opened.
    image_names, residuals
        As `open_study` has them, of this source.
    """
    if image_names is not None and isinstance(source, Arrays | Patterns):
        raise InputError(f"{name} names its images itself; leave out brain_images or model_images")
    names, lists = _names(image_names)
    naming = replace(naming, images=names)
    if options is None and not isinstance(source, Patterns):
        rdms = stack.enter_context(open_rdms(source, naming, hint=hint, name=name))
    else:
        given = cast(PatternInput, source)  # anything else is refused
        found = stack.enter_context(open_patterns(given, naming, hint=hint, name=name))
        around = None
        if residuals is not None:
            naming = replace(naming, images=None)
            try:
                around = stack.enter_context(open_patterns(residuals, naming, hint=hint, name=name))
            except InputError as error:
                raise InputError(f"residuals: {error}") from error
        rdms = PatternRdms(found, options or PatternOptions(), around)
    rdms.files += lists
    return rdms


def _names(listed: ImageNames | None) -> tuple[Sequence[str] | None, list[Path]]:
    """Return the names of images that were given, and the file that lists them."""
    if isinstance(listed, str | os.PathLike):
        return read_names(Path(listed)), [Path(listed)]
    return listed, []
