"""The settings: defaults, choices, help, and logged configs as data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rsa_exp import vocabulary
from rsa_exp.cli.arguments import normalise
from rsa_exp.cli.help import help_text
from rsa_exp.config import compose as settings
from rsa_exp.config import keys, schema
from rsa_exp.config.groups import conf_dir
from rsa_exp.errors import InputError
from rsa_exp.figures import FIGURES
from rsa_exp.stats.metrics.registry import METRICS, PRECISIONS


def composed(*overrides: str) -> schema.Config:
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings.from_hydra(compose("config", overrides=normalise(list(overrides))))


def test_defaults() -> None:
    config = composed()
    assert (config.subject, config.roi, config.layer, config.images) == ("1", "all", "all", "all")
    assert (config.metric, config.align, config.seed) == ("corr", "stem", 0)
    assert isinstance(config.data, schema.SimulatedData)
    assert config.data.root == str(Path("outputs/simulated").absolute())
    assert config.model.layers == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert len(config.data.rois) == 10


def test_choices_are_those_of_the_registries() -> None:
    assert tuple(METRICS) == vocabulary.METRIC_NAMES
    assert tuple(FIGURES) == vocabulary.FIGURE_NAMES
    assert tuple(PRECISIONS) == vocabulary.PRECISIONS
    single = tuple(n for n, m in METRICS.items() if m.single_precision)
    assert single == vocabulary.SINGLE_PRECISION
    groups = {p.stem for p in (conf_dir() / "data").glob("*.yaml")}
    assert groups == set(schema.DATA_KINDS)


@pytest.mark.parametrize("override", ["seed=3", "data.seed=3"])
def test_the_study_follows_the_seed(override: str) -> None:
    data = composed(override).data
    assert isinstance(data, schema.SimulatedData)
    assert data.seed == 3


def test_ids_stay_as_they_are_written() -> None:
    config = composed("data.subjects=[01,1_2,12,true,BE]", "subject=1_2", "roi=1e3")
    assert config.data.subjects == ["01", "1_2", "12", "true", "BE"]
    assert (config.subject, config.roi) == ("1_2", "1e3")


def test_rois_and_sources_can_be_added() -> None:
    config = composed("data.rois.hIT={hemisphere:LH,level:high}", "data.sources.faces=face_*")
    assert config.data.rois["hIT"] == {"hemisphere": "LH", "level": "high"}
    assert list(config.data.sources) == ["coco", "imagenet", "scenes", "faces"]


def test_help_explains_every_key() -> None:
    text = help_text()
    for key in keys.known_keys():
        if key not in {"data.kind", "data", "experiment", "resume", *schema.SECTIONS}:
            assert f"  {key} " in text, key


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["subject=1,2", "-m", "metric=corr"], ["-m", "subject=1,2", "metric=corr"]),
        (["subject=1", "--cfg", "job"], ["--cfg", "job", "subject=1"]),
        (["subject=01,1_2,3", "-m"], ["-m", "subject=01,'1_2',3"]),
        (["data.subjects=[1_2,3]"], ["data.subjects=['1_2',3]"]),
        (["subject='1_2'"], ["subject='1_2'"]),
        (["data.rois.X={level:a}"], ["++data.rois.X={level:a}"]),
    ],
)
def test_command_line_is_put_in_hydras_order(typed: list[str], expected: list[str]) -> None:
    normalised = normalise(typed)
    assert [text.replace("'01'", "01") for text in normalised] == expected


def test_a_logged_config_comes_back_the_same() -> None:
    for overrides in ([], ["data=bold5000", "data.atlas=vcAtlas"], ["roi=[LHLOC,RHLOC]"]):
        config = composed(*overrides)
        assert settings.from_logged(settings.to_yaml(config)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "extra"),
        ({"subject": "${oc.env:HOME}"}, "interpolation in 'subject'"),
        ({"seed": "many"}, "seed"),
        ({"metric": "corrr"}, "did you mean 'corr'"),
        ({"data": {"kind": "_target_"}}, "data.kind"),
        ({"_target_": "os.system"}, "_target_"),
    ],
)
def test_a_logged_config_is_data(change: dict[str, object], message: str) -> None:
    plain = OmegaConf.create(settings.to_yaml(composed()))
    OmegaConf.set_struct(plain, value=False)
    changed = OmegaConf.merge(plain, OmegaConf.create(change))
    with pytest.raises(InputError, match=message):
        settings.from_logged(OmegaConf.to_yaml(changed))


@pytest.mark.parametrize("text", ["", "- a", "data: 3", "data: {kind: simulated", "\x00"])
def test_what_is_no_config_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="logged config"):
        settings.from_logged(text)
