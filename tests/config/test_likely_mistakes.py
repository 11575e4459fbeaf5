"""Advice about values of a valid config that are probably mistakes."""

from pathlib import Path

import pytest

from probe.config.errors import ConfigError
from probe.config.loader import from_flags
from tests.config.loading import load_config

# Loopback, so that no other mistake is found.
URL = "http://127.0.0.1:5000/"


def mistakes(tmp_path: Path, *keys: str, top: str = "") -> list[str]:
    """Return the likely mistakes of a probe with these lines, without the directory."""
    lines = ["probes:", "  - name: a", *(f"    {key}" for key in keys), top]
    if not any(key.startswith("url:") for key in keys):
        lines.insert(2, f"    url: {URL}")
    settings = load_config(tmp_path, "\n".join(lines), TOKEN="hunter2")
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in settings.likely_mistakes]


@pytest.mark.parametrize(
    ("key", "place", "advice"),
    [
        ("method: PSOT", "4:13: probes[0].method", '"PSOT"; did you mean POST?'),
        ("method: Gte", "4:13: probes[0].method", '"Gte"; did you mean GET?'),
        ("method: XYZZY", "4:13: probes[0].method", "usual are GET, HEAD, POST"),
        ("json: '{\"a\": 1}'", "4:11: probes[0].json", "sent as a JSON string; write it as YAML"),
        ("json: '[\"${env:TOKEN}\"]'", "4:11: probes[0].json", "is text that contains JSON"),
        ("json: |\n      {}", "4:11: probes[0].json", "without quotes and without |"),
        ("body: '{\"a\": 1}'", "4:11: probes[0].body", "write it under `json`, or add headers"),
        (
            "headers: {Authorization: Bearer $API_TOKEN}",
            "4:30: probes[0].headers.Authorization",
            "a word that begins with $ is sent as it is; write ${env:NAME}",
        ),
        ("json: {a: [$TOKEN]}", "4:16: probes[0].json.a[0]", "begins with $ is sent as it is"),
        (
            "url: http://127.0.0.1/?key=$KEY",
            "3:10: probes[0].url",
            "begins with $ is sent as it is",
        ),
        (
            "objectives: [{name: o, target: 0.5%}]",
            "4:36: probes[0].objectives[0].target",
            "a target of 0.5% allows 99.5% of the requests to be bad; did you mean 99.5%?",
        ),
        (
            "objectives: [{name: o, target: 0.995%}]",
            "4:36: probes[0].objectives[0].target",
            "did you mean 99.5%?",
        ),
        (
            "url: http://169.254.169.254/",
            "3:10: probes[0].url",
            "in 169.254.0.0/16 of",
        ),
        ("url: http://[fe80::1]:80/", "3:10: probes[0].url", "fe80::/10 of `networks.deny`"),
        ("url: http://[::ffff:169.254.1.1]/", "3:10: probes[0].url", "169.254.1.1 is in"),
    ],
)
def test_likely_mistakes(tmp_path: Path, key: str, place: str, advice: str) -> None:
    """Each has its position and says what to write instead."""
    (mistake,) = mistakes(tmp_path, key)
    assert mistake.startswith(f"probe.yml:{place}: ")
    assert advice in mistake


@pytest.mark.parametrize(
    "key",
    [
        "headers: {X-Api-Key: $HUNTER2}",
        "url: http://127.0.0.1/?key=$HUNTER2",
        "proxy: http://127.0.0.1/$HUNTER2",
        "json: [$HUNTER2]",
    ],
)
def test_a_credential_is_not_quoted(tmp_path: Path, key: str) -> None:
    """An API key or a password may begin with $, and advice is logged."""
    (mistake,) = mistakes(tmp_path, key)
    assert "HUNTER2" not in mistake


@pytest.mark.parametrize(
    "key",
    [
        "method: patch",
        "json: '\"a\"'",
        "json: {a: '[1]', b: 'costs $USD now'}",
        "body: '{not JSON}'",
        'headers: {Authorization: "Bearer ${env:TOKEN}", X-Price: pa$WORD, X-Dollar: $5}',
        "body_file: probe.yml",
        "expect: {body_matches: ^a$ABC, json: {$.TOKEN: {equals: $TOKEN}}}",
        "objectives: [{name: o, target: 50%}]",
        "url: http://localhost/",
        "url: http://${env:TOKEN}/",
    ],
)
def test_no_likely_mistakes(tmp_path: Path, key: str) -> None:
    """Values that can be meant so are not reported."""
    assert mistakes(tmp_path, key) == []


def test_json_as_text_with_a_content_type(tmp_path: Path) -> None:
    """A body of JSON with the header is complete."""
    keys = ("body: '{}'", "headers: {content-type: application/json}")
    assert mistakes(tmp_path, *keys) == []


def test_networks_that_are_allowed(tmp_path: Path) -> None:
    """An address outside of `networks.allow` is reported, a name is not."""
    top = "networks: {deny: [], allow: 10.0.0.0/8}"
    (mistake,) = mistakes(tmp_path, top=top)
    assert "127.0.0.1 is in no network of `networks.allow`" in mistake
    for url in ("http://10.1.1.1/", "http://model/"):
        assert mistakes(tmp_path, f"url: {url}", top=top) == []


def test_a_default_is_reported_once(tmp_path: Path) -> None:
    """A mistake in `defaults` has its position there, for all probes that inherit it."""
    text = f"""
        defaults: {{url: "{URL}", method: PSOT}}
        probes: [{{name: a}}, {{name: b}}, {{name: c, method: GET}}]
    """
    (mistake,) = load_config(tmp_path, text).likely_mistakes
    assert (mistake.path, mistake.line) == ("defaults.method", 2)


def test_flags_have_likely_mistakes() -> None:
    """They are named instead of a position."""
    settings = from_flags(url="http://169.254.1.1/", slo="0.5%", json='"{}"', environ={})
    assert [mistake.path for mistake in settings.likely_mistakes] == ["--url", "--slo", "--json"]


def test_likely_mistakes_of_an_invalid_config(tmp_path: Path) -> None:
    """They are reported with the errors, but not about a value that has one."""
    text = f"""
        networks: {{deny: []}}
        probes:
          - {{name: a, url: "{URL}", colour: blue, method: PSOT, json: "[1]"}}
          - {{name: b, url: "http://:0/$TOKEN", objectives: [{{name: o, target: 0.5%}}, {{}}, 1]}}
          - 5
    """
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, text)
    assert [mistake.path for mistake in caught.value.likely_mistakes] == [
        "probes[0].method",
        "probes[0].json",
        "probes[1].objectives[0].target",
    ]


@pytest.mark.parametrize("networks", ["5", "{deny: x}", "[]"])
def test_invalid_networks(tmp_path: Path, networks: str) -> None:
    """No address is reported as denied by networks that are invalid themselves."""
    text = f"{{networks: {networks}, probes: [{{name: a, url: 'http://169.254.1.1/'}}]}}"
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, text)
    assert caught.value.likely_mistakes == ()
