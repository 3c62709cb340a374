"""Studies opened by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from rsa_exp import datasets
from rsa_exp.conf_folder import conf_dir
from rsa_exp.config import compose as settings
from rsa_exp.errors import InputError
from rsa_exp.runs.inputs import open_study


def test_the_published_files_are_those_of_the_command_line(tiny_study: Path) -> None:
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = compose("config", ["data=bold5000", f"data.root={tiny_study}", "images=coco"])
    by_config = open_study(settings.from_hydra(composed))
    with datasets.bold5000(tiny_study, images="coco") as study, by_config:
        for name in ("name", "model_name", "subjects", "layers", "roi_facts", "images", "states"):
            assert getattr(study, name) == getattr(by_config, name), name
        assert not study.simulated
        assert study.roi_facts["RHOPA"] == {"hemisphere": "RH", "region": "OPA", "level": "mid"}


def test_the_simulated_study_says_so(tiny_study: Path) -> None:
    with datasets.simulated(60, 0, tiny_study.parent) as study:
        assert study.simulated
        assert study.name == "simulated BOLD5000"
        assert study.layers == ["conv1", "layer1", "layer2", "layer3", "layer4"]
        assert study.rois_of("2", "LH*")[:2] == ["LHEarlyVis", "LHLOC"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"doi:10.5061"):
        datasets.bold5000(tmp_path)
    with pytest.raises(InputError, match="did you mean 'resnet50'"):
        datasets.bold5000(tmp_path, model="resnet-50")
    with pytest.raises(InputError, match="did you mean 'vcAtlas'"):
        datasets.bold5000(tmp_path, "vcatlas")
