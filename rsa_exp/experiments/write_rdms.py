"""RDM files made of patterns, for rsatoolbox and for runs: ``python -m rsa_exp rdms``."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rsa_exp.config.compose import to_yaml
from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError
from rsa_exp.files import whole_folder, write_json, write_text

__all__ = ["write_study_rdms"]

log = logging.getLogger("rsa_exp")


def write_study_rdms(config: Config, folder: Path) -> int:
    """Write the RDMs of a config's subjects and of its model, each over all of its own images.

    Files are ``SUBJECT_RDMs.h5`` for each subject and ``MODEL_RDMs.h5``, in rsatoolbox's layout
    (`rsatoolbox.rdm.load_rdm`), which ``data=files`` reads; with them ``provenance.json`` (what was
    read, with digests; the code and packages) and ``config.yaml``. All of them, or nothing.

    Parameters
    ----------
    config : Config
        Of which data and model are used; without a file of the model, the brain's RDMs alone.
    folder : Path
        Folder to write, which must be new or empty.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    InputError
        If an input cannot be used, or the folder is not empty or cannot be written.
    """
    from rsa_exp.rdms.inputs import input_records
    from rsa_exp.rdms.writing import write_rdms
    from rsa_exp.runs.inputs import open_sources
    from rsa_exp.runs.provenance import environment

    folder = folder.expanduser().absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder")
    try:
        with ExitStack() as stack:
            part = stack.enter_context(whole_folder(folder))
            sources = open_sources(config, stack)
            total = sum(len(source.row_names) for source in sources.values())
            bar = stack.enter_context(
                tqdm(total=total, desc="writing", unit="RDM", disable=None, leave=False)
            )
            said: list[str] = []
            facts: list[dict[str, Any]] = []
            for subject, source in sources.items():
                name = f"{subject or config.model_name.replace('/', '_')}_RDMs.h5"
                key = "roi" if subject else "layer"
                distance = source.measure
                notes = {"source": source.name, "written_by": "rsa_exp rdms"}
                write_rdms(
                    part / name, source, key, measure=distance, notes=notes, on_progress=bar.update
                )
                notices, warnings = source.said(source.names)
                said += [f"{each.where}: {each.text}" for each in (*notices, *warnings)]
                facts += [{"subject": subject, **fact} for fact in source.facts(source.names)]
                log.info(
                    "%s: %d RDMs of %d images", name, len(source.row_names), len(source.images)
                )
            record = environment() | {
                "inputs": [asdict(item) for item in input_records(sources)],
                "patterns": facts,
                "messages": said,
            }
            write_json(part / "provenance.json", record)
            write_text(part / "config.yaml", to_yaml(config))
    except OSError as error:
        raise InputError(
            f"RDMs cannot be written to {folder}: {error.strerror or error}"
        ) from error
    for text in said:
        log.info("note: %s", text)
    log.info("results: %s", folder)
    return 0
