"""Property tests: any file is a valid config, or has problems with locations."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe.config.errors import ConfigError, ConfigProblem
from probe.config.json_schema import json_schema
from probe.config.loader import load
from probe.server.web_config import WebSettingsModel
from probe.server.web_config_loader import load_web_config

KEYS = sorted(
    {key for part in json_schema()["$defs"].values() for key in part.get("properties", {})}
)
WEB = WebSettingsModel.model_json_schema()
WEB_KEYS = sorted(
    {key for part in (WEB, *WEB["$defs"].values()) for key in part.get("properties", {})}
)
WORDS = ["10s", "99%", "1MiB", "http://a/", "https://a/", "new", "${env:A}", "${file:a}", "$.a"]
UNITS = ["", "s", "ms", "B", "MiB", "%"]
SIGNS = list("{}[]:,-&*!|>'\"#%@`?\\ \n\t~<=_0123456789eExa.")

many_digits = st.sampled_from([20, 308, 309, 400, 4300, 4301]).map(lambda count: "9" * count)
large = many_digits.filter(lambda digits: len(digits) <= 4300).map(int)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    large,
    st.floats(),
    st.builds("{}{}".format, many_digits, st.sampled_from(UNITS)),
    st.text(max_size=10),
    st.sampled_from(WORDS),
)


def nested(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return a strategy for nested values whose mappings have `keys`."""
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)
        ),
        max_leaves=20,
    )


other_keys = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
keys = st.one_of(st.sampled_from(KEYS), other_keys)
values = nested(keys)
probes = st.dictionaries(keys, values, max_size=8).map(
    lambda probe: {"name": "a", "url": "http://a", **probe}
)
configs = st.fixed_dictionaries(
    {"probes": st.lists(probes, max_size=3)},
    optional={"defaults": st.dictionaries(keys, values, max_size=5), "networks": values},
)
quantities = st.fixed_dictionaries(
    {
        "interval": scalars,
        "max_bytes": scalars,
        "redirects": scalars,
        "buckets": st.lists(scalars, max_size=2),
        "objectives": st.tuples(st.fixed_dictionaries({"target": scalars, "latency": scalars})),
        "expect": st.fixed_dictionaries(
            {"json": st.fixed_dictionaries({"$": st.fixed_dictionaries({"min": scalars})})}
        ),
    }
)
web_keys = st.one_of(st.sampled_from(WEB_KEYS), other_keys)
web_configs = st.dictionaries(web_keys, nested(web_keys), max_size=4)
yaml_text = st.text(st.one_of(st.sampled_from(SIGNS), st.characters()), max_size=80)


def load_probe(file: Path) -> None:
    load(file, environ={"A": "a"})


def problems(content: bytes, read: Callable[[Path], object]) -> tuple[ConfigProblem, ...]:
    """Return the problems of a file. Exceptions other than ConfigError fail the test."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.yml"
        file.write_bytes(content)
        try:
            read(file)
        except ConfigError as error:
            return error.problems or (ConfigProblem(path="", message="an error without a problem"),)
    return ()


def check_problems(
    content: bytes, read: Callable[[Path], object] = load_probe
) -> tuple[ConfigProblem, ...]:
    """Assert that each problem has a location in the file and is a single line."""
    lines = len(content.decode(errors="replace").splitlines()) + 1
    found = problems(content, read)
    for problem in found:
        assert problem.line is not None
        assert 1 <= problem.line <= lines
        assert problem.column is not None
        assert problem.column >= 1
        assert len(str(problem).splitlines()) == 1
    return found


@settings(deadline=None)
@given(st.one_of(yaml_text, yaml_text.map(lambda text: "probes:\n  - " + text)))
def test_any_text(text: str) -> None:
    """Text that may be YAML."""
    check_problems(text.encode(errors="surrogatepass"))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes(content: bytes) -> None:
    """Bytes that may be UTF-8 text."""
    check_problems(content)


@settings(deadline=None)
@given(st.one_of(configs, values))
def test_any_values(config: Any) -> None:
    """JSON with the keys of a config, mostly in the wrong places."""
    check_problems(json.dumps(config).encode())


@settings(deadline=None)
@given(quantities)
def test_any_quantities(probe: Any) -> None:
    """Scalars where a number or a quantity is expected."""
    check_problems(json.dumps({"probes": [probe]}).encode())


@settings(deadline=None)
@example(text="NULL")
@given(st.one_of(yaml_text, yaml_text.map(lambda text: "tls_server_config:\n  " + text)))
def test_any_text_as_web_config(text: str) -> None:
    """Text that may be a web config."""
    check_problems(text.encode(errors="surrogatepass"), load_web_config)


@settings(deadline=None)
@given(web_configs)
def test_any_values_of_a_web_config(config: Any) -> None:
    """JSON with the keys of a web config, mostly in the wrong places."""
    check_problems(json.dumps(config).encode(), load_web_config)
