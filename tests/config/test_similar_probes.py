"""Probes that differ in few keys are validated as if each was validated by itself."""

from itertools import permutations, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.config import loader
from probe.config.errors import ConfigError
from probe.config.settings import Probe, Settings
from probe.config.similar_probes import SimilarProbes

ENVIRON = {"HOST": "model", "TOKEN": "hunter2", "TEAM": "search", "SCHEME": "https"}

NAMES = ["a", "model-1", "", "a b", None, "${env:TEAM}", "${env:MISSING}"]
URLS = [
    "http://127.0.0.1/",
    "http://a:1/p?q=1",
    "HTTP://a/",
    "https://a/",
    "http://${env:HOST}/",
    "${env:SCHEME}://a/",
    "http://169.254.169.254/",  # denied
    "http://a/?key=$TOKEN",  # a likely mistake
    "http://a/#fragment",
    "a",
    4,
]
LABELS = [
    {},
    None,
    {"team": "search"},
    {"team": "${env:TEAM}"},
    {"team": 4},
    {"team": "ads", "model": "llama"},
    {"model": "llama", "team": "ads"},
    {"le": "1"},
    ["team"],
    ["team", "model"],
    "team",
    5,
]
# The labels of the first probes, if the last one has one of the above.
LABELS_OF_OTHERS: list[dict[str, str]] = [{"team": "x"}, {"team": "x", "model": "y"}]

# Keys whose validity or meaning depends on the name, the URL or the labels.
RELATED_KEYS: list[dict[str, Any]] = [
    {},
    {"alert_labels": ["team"]},
    {"tls": {"ca_file": __file__}},  # without a certificate
    {"protocol": {"openai-chat": {"model": "llama", "prompt": "ping"}}},
]
OTHER_KEYS: list[dict[str, Any]] = [
    {"interval": "1s"},
    {"interval": "1"},
    {"redirects": 1},
    {"redirects": True},
    {"insecure": "${env:TOKEN}"},
    {"headers": {"Authorization": "Bearer ${env:TOKEN}"}},
    {"objectives": [{"name": "fast", "target": "99%", "latency": "1s"}]},
    {"objectives": [{"name": "fast", "target": "1%"}]},  # a likely mistake
    {"json": {"a": "${env:TOKEN}"}},
    {"json": {"a": "${env:TEAM}"}},
    {"json": {"a": None, "b": "${env:TOKEN}"}},
    {"json": {"a": "${env:TOKEN}", "b": None}},
    {"json": {"a": 1}},
    {"json": {"a": True}},
    {"json": {"a": 1.0}},
    {"protocol": {"ollama-chat": {"model": "llama", "prompt": "ping"}}},
    {"protocol": None},
]
INDIVIDUAL_KEYS: list[dict[str, Any]] = [
    *({"name": name} for name in NAMES),
    *({"url": url} for url in URLS),
    *({"labels": labels} for labels in LABELS),
]


def similar(*, last: dict[str, Any], **keys: Any) -> list[dict[str, Any]]:
    """Return probes with `keys`, of which the last one also has those of `last`."""
    probes = [{"name": f"model-{n}", "url": f"http://a:{n}", **keys} for n in range(1, 4)]
    return [*probes, {"name": "last", "url": "http://a:9", **keys, **last}]


def parse(config: Any) -> Settings | ConfigError:
    # Of JSON with a `?`, libyaml leaves the parsing to PyYAML, which is slower.
    content = yaml.safe_dump(config).encode()
    try:
        return loader.parse(content, name="probe.yml", base=Path("/"), environ=ENVIRON)
    except ConfigError as error:
        return error


def parse_each_probe(config: Any) -> Settings | ConfigError:
    """Return the settings of a config, each probe of which is validated by itself."""
    with patch.object(SimilarProbes, "find", return_value=None):
        return parse(config)


def test_individual_keys() -> None:
    """Settings, problems, their positions and likely mistakes are the same."""
    for keys in RELATED_KEYS:
        for individual_keys in INDIVIDUAL_KEYS:
            check(similar(last=individual_keys, **keys))
        for labels, others in product(LABELS, LABELS_OF_OTHERS):
            check(similar(last={"labels": labels}, labels=others, **keys))


def test_other_keys() -> None:
    """They may differ in some probes, and be in the defaults."""
    for keys in [*RELATED_KEYS, *OTHER_KEYS]:
        check(similar(last={}, **keys))
        check(similar(last=keys))
        check(similar(last={}), defaults=keys)
        check(similar(last=keys), defaults={"labels": {"team": "x"}, **keys})
    for keys, last in permutations([*RELATED_KEYS, *OTHER_KEYS], 2):
        if keys.keys() == last.keys():
            check(similar(last=last, **keys))
            check(similar(last=last), defaults=keys)


def test_networks() -> None:
    """Addresses that are denied by default, or by the config, are likely mistakes."""
    sections: list[Any] = [None, {}, {"deny": []}, {"deny": "127.0.0.0/8"}, {"allow": "10.0.0.0/8"}]
    for networks in sections:
        for url in ("http://169.254.169.254/", "http://127.0.0.1/", "http://10.0.0.1/"):
            check(similar(last={"url": url}), networks=networks)


def test_probes_of_wrong_types() -> None:
    """They are reported as without the groups."""
    wrong: list[Any] = [None, "a", [], {}, {"name": "a"}, {"url": "http://a/"}]
    for probe in wrong:
        check([probe] * 3)
        check([*similar(last={}), probe])
    for probes in wrong:
        check(probes)


changes = st.sampled_from([{}, *INDIVIDUAL_KEYS, *RELATED_KEYS, *OTHER_KEYS])


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(changes, changes), min_size=2, max_size=4), defaults=changes)
def test_any_keys(changes: list[tuple[dict[str, Any], ...]], defaults: dict[str, Any]) -> None:
    """Each probe has up to two other keys than the first ones."""
    probes = similar(last={})
    for first, second in changes:
        index = len(probes)
        probes.append({"name": f"more-{index}", "url": f"http://a:{index}", **first, **second})
    check(probes, defaults=defaults)


def check(probes: Any, **top: Any) -> None:
    """Assert that the result is the one without the groups of similar probes."""
    config = {"probes": probes, **top}
    result, expected = parse(config), parse_each_probe(config)
    if isinstance(result, Settings):
        assert result == expected
        assert isinstance(expected, Settings)
        assert result.likely_mistakes == expected.likely_mistakes
        assert list(map(_details, result.probes)) == list(map(_details, expected.probes))
    else:
        assert isinstance(expected, ConfigError)
        assert result.problems == expected.problems
        assert result.likely_mistakes == expected.likely_mistakes


def _details(probe: Probe) -> tuple[object, ...]:
    """Return what `==` ignores: the order of keys, and types of equal values of JSON."""
    return list(probe.labels), list(probe.headers), repr(probe.json_body)


@pytest.mark.parametrize("keys", [*RELATED_KEYS, *OTHER_KEYS[:1], OTHER_KEYS[-3]])
def test_similar_probes_share_their_values(keys: dict[str, Any]) -> None:
    """They are validated once, so that equal values are one object."""
    probes = [
        {**keys, "name": f"model-{n}", "url": f"http://a/{n}", "labels": {"team": f"team-{n}"}}
        for n in range(4)
    ]
    result = parse({"defaults": {"headers": {"A": "${env:TOKEN}"}}, "probes": probes})

    assert isinstance(result, Settings)
    assert [probe.name for probe in result.probes] == [f"model-{n}" for n in range(4)]
    assert [probe.url.source for probe in result.probes] == [f"http://a/{n}" for n in range(4)]
    assert len({id(probe.headers) for probe in result.probes}) == 1


def test_own_labels() -> None:
    """The values of labels are those of the probe, next to the ones that it inherits."""
    probes = [{"name": f"m{n}", "url": "http://a/", "labels": {"n": f"{n}"}} for n in range(4)]
    result = parse({"defaults": {"labels": {"n": "x", "team": "ads"}}, "probes": probes})

    assert isinstance(result, Settings)
    labels = [probe.labels for probe in result.probes]
    assert labels == [{"team": "ads", "n": f"{n}"} for n in range(4)]
    assert len({id(probe.headers) for probe in result.probes}) == 1
