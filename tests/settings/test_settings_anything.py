"""Whatever a file holds, it is a config or it has problems."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.settings.editor import schema
from probe.settings.loader import ConfigError, Problem, load

KEYS = sorted({key for part in schema()["$defs"].values() for key in part.get("properties", {})})
WORDS = ["10s", "99%", "1MiB", "http://a/", "https://a/", "new", "${env:A}", "${file:a}", "$.a"]
SIGNS = list("{}[]:,-&*!|>'\"#%@`?\\ \n\t~<=_0123456789eExa.")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(WORDS),
)
keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(WORDS), st.text(max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=20,
)
probes = st.dictionaries(keys, values, max_size=8).map(
    lambda probe: {"name": "a", "url": "http://a", **probe}
)
configs = st.fixed_dictionaries(
    {"probes": st.lists(probes, max_size=3)},
    optional={"defaults": st.dictionaries(keys, values, max_size=5), "networks": values},
)
yaml_text = st.text(st.one_of(st.sampled_from(SIGNS), st.characters()), max_size=80)


def problems(content: bytes) -> tuple[Problem, ...]:
    """What is wrong with a file; any other exception than ConfigError fails the test."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "probe.yml"
        file.write_bytes(content)
        try:
            load(file, environ={"A": "a"})
        except ConfigError as error:
            return error.problems or (Problem(path="", message="an error without a problem"),)
    return ()


def examine(content: bytes) -> None:
    """Each problem has a place in the file and takes one line."""
    lines = len(content.decode(errors="replace").splitlines()) + 1
    for problem in problems(content):
        assert problem.line is not None
        assert 1 <= problem.line <= lines
        assert problem.column is not None
        assert problem.column >= 1
        assert len(str(problem).splitlines()) == 1


@settings(deadline=None)
@given(st.one_of(yaml_text, yaml_text.map(lambda text: "probes:\n  - " + text)))
def test_any_text(text: str) -> None:
    """Text that may be YAML or not."""
    examine(text.encode(errors="surrogatepass"))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes(content: bytes) -> None:
    """What may not even be text."""
    examine(content)


@settings(deadline=None)
@given(st.one_of(configs, values))
def test_any_values(config: Any) -> None:
    """Well-formed values under the keys of a config, most of them in the wrong place."""
    examine(json.dumps(config).encode())
