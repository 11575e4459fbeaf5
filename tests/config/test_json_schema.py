"""The JSON Schema for editors agrees with the loader."""

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


def test_the_file_is_up_to_date() -> None:
    """config/probe.schema.json is generated from the models.

    To update it: python -m probe.config.json_schema > config/probe.schema.json
    """
    assert json.loads((CONFIG / "probe.schema.json").read_text()) == json_schema()


def test_it_is_a_valid_json_schema() -> None:
    """The schema conforms to draft 2020-12."""
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_it_accepts_the_packaged_configs(file: Path) -> None:
    """Editors mark no error in the default config and in the examples."""
    errors = Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(file.read_text()))

    assert [error.message for error in errors] == []


def test_every_key_is_described() -> None:
    """Editors show a description of each key."""

    def undescribed(part: Any) -> list[str]:
        if not isinstance(part, dict):
            return []
        keys = part.get("properties", {})
        missing = [key for key in keys if "description" not in keys[key]]
        return missing + [key for inner in part.values() for key in undescribed(inner)]

    assert undescribed(json_schema()) == []


def test_the_default_config_is_valid_and_names_its_schema() -> None:
    """The default config loads, and its first line tells editors where the schema is."""
    settings = load(CONFIG / "probe.yml", environ={})

    first = (CONFIG / "probe.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=probe.schema.json"
    assert [(probe.name, probe.method) for probe in settings.probes] == [("sentiment", "POST")]


def test_the_default_config_shows_the_defaults() -> None:
    """The values under `defaults` and `networks` are those that apply without them."""
    shown = yaml.safe_load((CONFIG / "probe.yml").read_text())
    keys = json_schema()["$defs"]["Probe"]["properties"]

    assert shown["defaults"] == {key: keys[key]["default"] for key in shown["defaults"]}
    assert shown["networks"] == {
        key: part["default"]
        for key, part in json_schema()["$defs"]["Networks"]["properties"].items()
    }
