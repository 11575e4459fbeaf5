"""Exact error messages: tests/testdata/invalid-*.yml begin with their expected problems."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from probe.config.errors import ConfigError
from probe.config.json_schema import json_schema
from probe.config.loader import load

TESTDATA = Path(__file__).parents[1] / "testdata"
FILES = sorted(TESTDATA.glob("invalid-*.yml"))
REJECTED_BY_SCHEMA = "# An editor with the JSON Schema sees it, too.\n"
STRUCTURAL = [file for file in FILES if file.read_text().startswith(REJECTED_BY_SCHEMA)]


def _name(file: Path) -> str:
    return file.stem.removeprefix("invalid-")


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_problems_with_locations(file: Path) -> None:
    """All problems of a file are reported at once, in the order of the file."""
    lines = file.read_text().splitlines()
    expected = [f"{file}:{line[3:]}" for line in lines if line.startswith("#! ")]

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert [str(problem) for problem in caught.value.problems] == expected


@pytest.mark.parametrize("file", STRUCTURAL, ids=_name)
def test_the_json_schema_rejects_structural_errors(file: Path) -> None:
    """Editors mark the same files as the loader, as far as JSON Schema can express it."""
    config = yaml.safe_load(file.read_text())

    assert not Draft202012Validator(json_schema()).is_valid(config)
