"""The JSON Schema for editors says what the loader says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from probe.config.json_schema import json_schema
from probe.config.loader import load

CONFIG = Path(__file__).parents[2] / "config"
CONFIGS = [CONFIG / "probe.yml", *sorted((CONFIG / "examples").glob("*.yml"))]


def test_the_file_is_what_the_models_say() -> None:
    """config/probe.schema.json is up to date.

    If not: python -m probe.config.json_schema > config/probe.schema.json
    """
    assert json.loads((CONFIG / "probe.schema.json").read_text()) == json_schema()


def test_it_is_a_json_schema() -> None:
    """Editors can use it."""
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_it_accepts_the_configs_that_we_ship(file: Path) -> None:
    """No editor finds fault with the default config or an example."""
    errors = Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(file.read_text()))

    assert [error.message for error in errors] == []


def test_every_key_is_described() -> None:
    """An editor has something to say of each key of each mapping."""

    def undescribed(part: Any) -> list[str]:
        if not isinstance(part, dict):
            return []
        keys = part.get("properties", {})
        missing = [key for key in keys if "description" not in keys[key]]
        return missing + [key for inner in part.values() for key in undescribed(inner)]

    assert undescribed(json_schema()) == []


def test_the_default_config_is_valid_and_says_so_first() -> None:
    """The packaged config loads as it is, and tells editors where its schema is."""
    settings = load(CONFIG / "probe.yml", environ={})

    first = (CONFIG / "probe.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=probe.schema.json"
    assert [(probe.name, probe.method) for probe in settings.probes] == [("sentiment", "POST")]


def test_the_default_config_shows_the_defaults_as_they_are() -> None:
    """What is written out under `defaults` is what holds when nothing is."""
    shown = yaml.safe_load((CONFIG / "probe.yml").read_text())
    keys = json_schema()["$defs"]["Probe"]["properties"]

    assert shown["defaults"] == {key: keys[key]["default"] for key in shown["defaults"]}
    assert shown["networks"] == {
        key: part["default"]
        for key, part in json_schema()["$defs"]["Networks"]["properties"].items()
    }
