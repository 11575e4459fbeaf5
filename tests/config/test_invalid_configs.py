"""One file per mistake: tests/testdata/invalid-*.yml begin with the lines that they must give."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from probe.config.json_schema import json_schema
from probe.config.loader import ConfigError, load

TESTDATA = Path(__file__).parents[1] / "testdata"
FILES = sorted(TESTDATA.glob("invalid-*.yml"))
SEEN_BY_EDITORS = "# An editor with the JSON Schema sees it, too.\n"
STRUCTURAL = [file for file in FILES if file.read_text().startswith(SEEN_BY_EDITORS)]


def _name(file: Path) -> str:
    return file.stem.removeprefix("invalid-")


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_every_mistake_is_said_where_it_is(file: Path) -> None:
    """All problems of a file come in one go, in its order, word by word as expected."""
    lines = file.read_text().splitlines()
    expected = [f"{file}:{line[3:]}" for line in lines if line.startswith("#! ")]

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert [str(problem) for problem in caught.value.problems] == expected


@pytest.mark.parametrize("file", STRUCTURAL, ids=_name)
def test_the_json_schema_refuses_what_it_can_see(file: Path) -> None:
    """An editor marks the same files as the loader, where a JSON Schema can say it."""
    config = yaml.safe_load(file.read_text())

    assert not Draft202012Validator(json_schema()).is_valid(config)
