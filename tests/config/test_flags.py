"""Configs from flags."""

from pathlib import Path

import pytest

from probe.config.errors import ConfigError
from probe.config.loader import from_flags
from probe.config.secrets import Secrets
from probe.config.settings import Objective

URL = "http://model:5000/predict"


def objectives(slo: str) -> list[tuple[str, float, float | None]]:
    (probe,) = from_flags(url=URL, slo=slo, environ={}).probes
    return [(objective.name, objective.target, objective.latency) for objective in probe.objectives]


def test_flags_make_a_probe() -> None:
    """A sidecar needs no config file."""
    settings = from_flags(
        url=URL, slo="99% < 500ms", interval="1s", json='{"a": 1}', name=None, environ={}
    )

    (probe,) = settings.probes
    assert (probe.name, probe.method, probe.interval) == ("model:5000/predict", "POST", 1)
    assert probe.json_body == {"a": 1}
    assert [type(objective) for objective in probe.objectives] == [Objective]


def test_objectives_in_a_flag() -> None:
    """An objective with a threshold is about latency, without one about availability."""
    assert objectives("99% < 500ms") == [("fast", 0.99, 0.5)]
    assert objectives("99 % < 500 ms") == [("fast", 0.99, 0.5)]
    assert objectives("99.9 %") == [("up", 0.999, None)]
    assert objectives(" 99.9%<1m30s ") == [("fast", 0.999, 90)]
    assert objectives("99.9%") == [("up", 0.999, None)]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://model:5000/predict", "model:5000/predict"),
        ("http://model/", "model"),
        (
            "https://user:pw@h.example/v2/models/a b?key=1".replace(" ", "%20"),
            "h.example/v2/models/a-20b",
        ),
        ("http://[::1]:80/x", "1-:80/x"),
        ("http://${env:HOST}/predict", "predict"),
    ],
)
def test_default_name(url: str, name: str) -> None:
    """The name is made of host, port and path, without credentials, query and secrets."""
    (probe,) = from_flags(url=url, environ={"HOST": "hidden"}).probes

    assert probe.name == name


NO_OBJECTIVE = 'write one such as "99% < 500ms", or "99%" for availability alone'


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("url", "a:5000", "not a URL; write http://HOST:PORT/PATH, or https://"),
        ("slo", "p99 < 500ms", 'not an objective; write "99% < 500ms" instead of a percentile'),
        ("slo", "P99.9<1s", 'not an objective; write "99.9% < 1s" instead of a percentile'),
        ("slo", "p99 < secret", f"not an objective; {NO_OBJECTIVE}"),
        ("slo", "0.99", f"not an objective; {NO_OBJECTIVE}"),
        ("slo", "99% < 500", "a duration needs a unit; write 500ms"),
        ("slo", "100%", '"100%" is not between 0% and 100%, both excluded'),
        ("interval", "10", "a duration needs a unit; write 10s"),
        ("json", "{]", "not JSON: Expecting property name enclosed in double quotes"),
        ("json", "[NaN]", "not JSON: NaN is not a number of JSON"),
        ("json", "[" * 100_000, "nested more than 50 levels deep"),
        ("json", "[" * 200 + "]" * 200, "nested more than 50 levels deep"),
        ("json", '"${env:NONE}"', "the environment variable NONE is not set"),
        ("name", "a b", 'not a name: "a b"; use letters, digits and . _ : / -'),
    ],
)
def test_invalid_flags(flag: str, value: str, message: str) -> None:
    """The problem names the flag and no file."""
    with pytest.raises(ConfigError) as caught:
        from_flags(**{"url": URL, "environ": {}, flag: value})  # type: ignore[arg-type]

    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == (None, f"--{flag}")
    assert str(problem).startswith(f"--{flag}: {message}")


def test_all_invalid_flags_are_reported() -> None:
    """One problem does not hide another."""
    with pytest.raises(ConfigError) as caught:
        from_flags(url="x", slo="99", interval="1", json="{", environ={})

    paths = [problem.path for problem in caught.value.problems]
    assert sorted(paths) == ["--interval", "--json", "--slo", "--url"]


def test_references_in_flags() -> None:
    """References in flags are resolved for each request, as in a file."""
    (probe,) = from_flags(url=URL + "?key=${env:KEY}", environ={"KEY": "a"}).probes

    assert probe.url.resolve(Secrets({"KEY": "b"}, Path())) == URL + "?key=b"
