"""Opening a study: from paths, rsatoolbox objects or arrays to RDMs over the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers import Naming, RdmInput, RdmSource, open_rdms
from rsa_exp.rdms.study import Study
from rsa_exp.vocabulary import ROI_FIELDS

__all__ = ["open_study"]


def open_study(
    brain: Mapping[str, RdmInput],
    model: RdmInput,
    *,
    align: str = "stem",
    images: str = "all",
    sources: Mapping[str, str] | None = None,
    image_key: str = "image",
    roi_key: str = "roi",
    layer_key: str = "layer",
    layers: Sequence[str] | None = None,
    rois: Mapping[str, Mapping[str, str]] | None = None,
    name: str | None = None,
    model_name: str | None = None,
    simulated: bool = False,
    hint: str = "",
) -> Study:
    """Open brain and model RDMs and align their images by name.

    Parameters
    ----------
    brain : mapping of str to source
        Subject to its RDMs, one or more for each ROI. A source is the path of a file, an
        `rsatoolbox.rdm.RDMs` object, or `rsa_exp.Arrays`: RDMs by name, with names of images.
    model : source
        The model's RDMs, one for each layer.
    align : {'stem', 'exact'}
        Image names are matched without their extension, or whole.
    images : str
        ``all``, a key of `sources`, or the path of a file with one image name a line.
    sources : mapping of str to str, optional
        Source of images to the pattern of their names (``COCO_*``); ``*`` takes what fits no other.
    image_key, roi_key, layer_key : str
        Descriptors that name images, ROIs and layers; where there is none of that name, the only
        descriptor of strings is used.
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

    def opened(source: RdmInput, key: str, kind: str, name: str) -> RdmSource:
        naming = Naming(kind, image_key, key)
        return stack.enter_context(open_rdms(source, naming, hint=hint, name=name))

    with ExitStack() as stack:
        brains = {
            str(subject): opened(source, roi_key, "ROI", f"brain of subject {subject}")
            for subject, source in brain.items()
        }
        study = Study(
            brains,
            opened(model, layer_key, "layer", "model"),
            align=align,
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
