"""Settings, the frozen values that a valid config becomes."""

import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from probe.config.config_model import ConfigModel
from probe.config.loader import load
from probe.config.protocol_models import ProtocolChoiceModel
from probe.config.schema import ConditionModel
from probe.resources import resource_path

# Their settings have other fields, made of several keys.
COMBINED = (ConditionModel, ProtocolChoiceModel)

# Keys with which a config is rejected, unless they have their default.
REJECTED = {"http2"}


def models_with_settings() -> Iterator[type[ConfigModel]]:
    for model in ConfigModel.__subclasses__():
        if hasattr(model, "settings_type") and model not in COMBINED:
            yield model


@pytest.mark.parametrize("model", list(models_with_settings()), ids=lambda model: model.__name__)
def test_each_key_is_a_setting(model: type[ConfigModel]) -> None:
    """No key of the config is lost, because the settings have a field for it."""
    fields = {field.name for field in dataclasses.fields(model.settings_type)}

    assert model.model_fields.keys() - REJECTED <= fields


def test_settings_can_be_sent_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the example config are equal after pickling."""
    path = resource_path("config/probe.yml")
    monkeypatch.chdir(path.parent)
    settings = load(Path(path.name), environ={})

    assert pickle.loads(pickle.dumps(settings)) == settings


def test_similar_probes_share_values_in_another_process(tmp_path: Path) -> None:
    """They are sent once, with the individual values of each probe."""
    individual = [
        {"name": f"model-{n}", "url": f"http://${{env:HOST}}:{n}/", "labels": {"n": f"{n}"}}
        for n in range(1, 5)
    ]
    others = [{"name": "a", "url": "https://a/"}, {"name": "b", "url": "http://b/", "redirects": 1}]
    path = tmp_path / "probe.yml"
    path.write_text(yaml.safe_dump({"probes": [*individual, *others]}))
    settings = load(path, environ={"HOST": "model"})

    received = pickle.loads(pickle.dumps(settings))

    assert received == settings
    assert len({id(probe.expect) for probe in received.probes[:4]}) == 1
    assert len({id(probe.interval) for probe in received.probes[:4]}) == 1
    assert len({id(probe.expect) for probe in received.probes}) == 3


def test_settings_need_no_validation_library() -> None:
    """A process that has settings has neither pydantic nor PyYAML in its memory."""
    code = (
        "import sys, probe.config.settings; print({'pydantic', 'yaml'} & sys.modules.keys() or '')"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert output.stdout.strip() == ""
