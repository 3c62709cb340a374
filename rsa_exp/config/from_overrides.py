"""The config that overrides as on the command line make, for commands that make no run."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rsa_exp.conf_folder import conf_dir
from rsa_exp.config.compose import from_hydra, register
from rsa_exp.config.schema import Config

__all__ = ["data_config"]


def data_config(overrides: Sequence[str]) -> Config:
    """Compose and check a config of which only data and model matter.

    Parameters
    ----------
    overrides : sequence of str
        As for a run, in Hydra's grammar. Whose run it is and the model's file may be left out.

    Raises
    ------
    InputError
        If a value cannot be used. Hydra's own errors are raised as they are.
    """
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = compose("config", overrides=list(overrides))
    if not any(text.startswith("subject=") for text in overrides):
        subjects = [] if OmegaConf.is_missing(composed.data, "subjects") else composed.data.subjects
        composed.subject = subjects[0] if subjects else composed.subject
    composed.match = "study"
    if OmegaConf.is_missing(composed.model, "file"):
        composed.model.file = ""
    return from_hydra(composed)
