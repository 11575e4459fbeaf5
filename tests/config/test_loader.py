"""Loading of configs: defaults, merging, units, regular expressions."""

import subprocess
import sys
from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import regex
from jsonschema import Draft202012Validator

from probe.config.choices import AlertLevel, ConnectionMode, IpFamily, TlsVersion
from probe.config.http_types import METADATA_NETWORKS
from probe.config.json_schema import json_schema
from probe.result import Component
from tests.builders import make_probe, make_settings
from tests.config.loading import URL, load_config, load_problems


def test_default_values(tmp_path: Path) -> None:
    """A probe with only name and URL has the documented defaults."""
    settings = load_config(tmp_path, {"probes": [{"name": "a", "url": URL}]})

    (probe,) = settings.probes
    assert (probe.method, probe.interval, probe.timeout) == ("GET", 10, 5)
    assert (probe.connection, probe.startup_grace) == (ConnectionMode.NEW, 300)
    assert (probe.ip_family, probe.redirects, probe.max_bytes) == (IpFamily.ANY, 0, 2**20)
    assert (probe.proxy, probe.json_body, probe.body, probe.body_file) == (None,) * 4
    assert (probe.headers, probe.labels, probe.objectives, probe.server_timing) == ({}, {}, (), ())
    assert (probe.buckets, probe.phase_buckets) == (None, None)
    assert probe.tls.min_version is TlsVersion.TLS12
    assert [status for status in (199, 200, 299, 300) if probe.expect.allows(status)] == [200, 299]
    assert settings.networks.deny == tuple(map(ip_network, METADATA_NETWORKS))
    assert settings.networks.allow == ()


def test_a_scalar_is_a_list_of_one_item(tmp_path: Path) -> None:
    """Every list of scalars may be written without brackets, also in the JSON Schema."""
    keys = {
        "name": "a",
        "url": URL,
        "labels": {"team": "fraud"},
        "alert_labels": ["team"],
        "buckets": ["1s"],
        "phase_buckets": ["10ms"],
        "expect": {"status": [200], "json": {"$.a": {"in": ["x"]}, "$.b": {"in": [False]}}},
    }
    networks = {"deny": ["10.0.0.0/8"], "allow": ["127.0.0.0/8"]}
    lists = {"probes": [keys], "networks": networks}
    scalars = _without_brackets(lists)
    assert load_config(tmp_path, scalars) == load_config(tmp_path, lists)
    assert Draft202012Validator(json_schema()).is_valid(scalars)


def _without_brackets(value: Any) -> Any:
    """Return `value` with each list of one scalar replaced by the scalar."""
    if isinstance(value, dict):
        return {key: _without_brackets(item) for key, item in value.items()}
    if isinstance(value, list) and not isinstance(value[0], dict):
        return value[0]
    return [_without_brackets(item) for item in value] if isinstance(value, list) else value


def test_all_keys(tmp_path: Path) -> None:
    """Each key is converted to the unit and type that the program uses."""
    (tmp_path / "request.json").write_text("{}")
    settings = load_config(
        tmp_path,
        f"""
        networks: {{deny: [10.0.0.0/8], allow: ["fd00::/8"]}}
        probes:
          - name: model:5000/predict
            url: {URL}
            method: put
            interval: 1m30s
            timeout: 250ms
            connection: reuse
            startup_grace: 0s
            tls: {{server_name: model.internal, insecure_skip_verify: true, min_version: TLS13}}
            proxy: http://proxy:3128
            ip_family: 4
            redirects: 3
            max_bytes: 10kB
            headers: {{Accept: application/json}}
            body_file: request.json
            expect:
              status: [204, 2XX, 404]
              body_matches: posi|nega
              headers: {{Content-Type: {{matches: json}}}}
              json:
                $.a: {{equals: null}}
                $.b[0]: {{in: [a, 1], exists: true, min: 0, max: 1.5}}
            buckets: [100ms, 1s]
            phase_buckets: [1ms]
            server_timing: [{{from: json, key: $.took, unit: us, component: queue}}]
            labels: {{model: sentiment, team: fraud}}
            alert_labels: [team]
            down: none
            objectives:
              - {{name: fast, target: 99.95%, latency: 500ms, alert: ticket}}
              - {{name: up, target: 99.9%}}
        """,
    )

    (probe,) = settings.probes
    assert (probe.name, probe.method, probe.ip_family) == ("model:5000/predict", "PUT", "4")
    assert (probe.interval, probe.timeout, probe.max_bytes) == (90, 0.25, 10_000)
    assert probe.body_file == tmp_path / "request.json"
    assert [probe.expect.allows(status) for status in (204, 250, 404, 405)] == [True] * 3 + [False]
    assert probe.expect.body_matches is not None
    assert probe.expect.body_matches.search("positive")
    assert probe.expect.json_paths["$.a"].operators == {"equals": None}
    assert probe.expect.json_paths["$.b[0]"].operators == {
        "in": ("a", 1),
        "exists": True,
        "min": 0,
        "max": 1.5,
    }
    assert (probe.buckets, probe.phase_buckets) == ((0.1, 1.0), (0.001,))
    assert [timing.component for timing in probe.server_timing] == [Component.QUEUE]
    assert (probe.alert_labels, probe.down) == (("team",), AlertLevel.NONE)
    assert [(o.target, o.latency, o.alert) for o in probe.objectives] == [
        (0.9995, 0.5, AlertLevel.TICKET),
        (0.999, None, AlertLevel.PAGE),
    ]


@pytest.mark.parametrize(
    ("alerts", "down"),
    [
        ((), "page"),
        (("page", "none"), "page"),
        (("none", "ticket"), "ticket"),
        (("none",), "none"),
    ],
)
def test_default_level_of_model_down(tmp_path: Path, alerts: tuple[str, ...], down: str) -> None:
    """It is the highest level of the objectives, and `page` without objectives."""
    objectives = [
        {"name": f"o{index}", "target": "99%", "alert": alert} for index, alert in enumerate(alerts)
    ]
    assert make_probe(tmp_path, objectives=objectives).down == down


def test_alert_labels_in_defaults(tmp_path: Path) -> None:
    """They may name labels that only the probes have."""
    settings = make_settings(
        tmp_path,
        {"name": "a", "url": URL, "labels": {"team": "fraud"}},
        {"name": "b", "url": URL, "labels": {"team": "search"}, "alert_labels": []},
        defaults={"alert_labels": ["team"]},
    )
    assert [probe.alert_labels for probe in settings.probes] == [("team",), ()]


def test_default_method(tmp_path: Path) -> None:
    """POST with any kind of body, else GET."""
    (tmp_path / "b").write_text("")
    bodies: list[dict[str, Any]] = [{"json": {}}, {"body": ""}, {"body_file": "b"}, {}]
    probes = [{"name": str(n), "url": URL, **body} for n, body in enumerate(bodies)]

    settings = load_config(tmp_path, {"probes": probes})

    assert [probe.method for probe in settings.probes] == ["POST", "POST", "POST", "GET"]


def test_defaults_are_merged(tmp_path: Path) -> None:
    """tls, headers, labels and expect are merged key by key. Other keys are replaced."""
    settings = load_config(
        tmp_path,
        {
            "defaults": {
                "url": URL,
                "interval": "1s",
                "headers": {"Accept": "a", "X-Team": "ml"},
                "labels": {"team": "ml", "tier": "1"},
                "expect": {"status": [200], "body_matches": "a"},
                "tls": {"server_name": "a", "min_version": "TLS13"},
                "objectives": [{"name": "up", "target": "99%"}],
                "json": {"a": 1},
            },
            "probes": [
                {"name": "all"},
                {
                    "name": "own",
                    "interval": "2s",
                    "headers": {"accept": "b"},
                    "labels": {"tier": "2"},
                    "expect": {"body_matches": "b"},
                    "tls": {"server_name": "b"},
                    "objectives": [],
                    "body": "text",
                },
            ],
        },
    )

    inherited, own = settings.probes
    assert (inherited.interval, inherited.json_body, len(inherited.objectives)) == (1, {"a": 1}, 1)
    assert (own.interval, own.json_body, own.objectives) == (2, None, ())
    assert {name: own.headers[name].source for name in own.headers} == {
        "X-Team": "ml",
        "accept": "b",
    }
    assert own.labels == {"team": "ml", "tier": "2"}
    assert (own.expect.status, own.tls.min_version) == (inherited.expect.status, "TLS13")
    assert (own.tls.server_name, own.expect.body_matches != inherited.expect.body_matches) == (
        "b",
        True,
    )


def test_empty_defaults_and_networks(tmp_path: Path) -> None:
    """Keys whose content is commented out are ignored."""
    settings = load_config(tmp_path, f"defaults:\nnetworks:\nprobes: [{{name: a, url: '{URL}'}}]\n")

    assert len(settings.probes) == 1


@pytest.mark.parametrize("number", ["9" * 400, '"' + "9" * 400 + '"'], ids=["bare", "quoted"])
def test_numbers_too_large_for_a_float(tmp_path: Path, number: str) -> None:
    """They are reported at their location, also where the advice is computed from the number."""
    text = f"""probes:
  - name: a
    url: {URL}
    interval: {number}
    max_bytes: {number}
    buckets: [{number}]
    objectives:
      - {{name: a, target: {number}}}
      - {{name: b, target: 99%, latency: {number}}}
    expect: {{json: {{$.a: {{min: {number}}}}}}}
"""
    digits = "a number with too many digits; write a shorter one"
    with_unit = f"{digits}, with its unit"
    bound = "expected a number" if '"' in number else digits
    assert load_problems(tmp_path, text) == [
        f"probe.yml:4:15: probes[0].interval: {with_unit}",
        f"probe.yml:5:16: probes[0].max_bytes: {with_unit}",
        f"probe.yml:6:15: probes[0].buckets[0]: {with_unit}",
        f"probe.yml:8:27: probes[0].objectives[0].target: {with_unit}",
        f"probe.yml:9:41: probes[0].objectives[1].latency: {with_unit}",
        f'probe.yml:10:32: probes[0].expect.json["$.a"].min: {bound}',
    ]


@pytest.mark.parametrize(
    ("key", "written", "advice"),
    [
        ("interval", "0.0000001", "0.0000001s"),
        ("interval", "123456789012345", "123456789012345ms"),
        ("target", "0.0000001", "0.00001%"),
        ("target", '"0.5"', "50%"),
    ],
)
def test_advice_for_numbers_without_a_unit(
    tmp_path: Path, key: str, written: str, advice: str
) -> None:
    """The advice is valid for very large and very small numbers."""
    value = f"[{{name: a, target: {written}}}]" if key == "target" else written
    place = "objectives" if key == "target" else key
    text = f"probes:\n- {{name: a, url: '{URL}', {place}: {value}}}\n"

    (problem,) = load_problems(tmp_path, text)

    assert problem.endswith(f"; write {advice}")


def test_import_of_the_loader_is_cheap() -> None:
    """Modules that only some configs need are imported on first use."""
    optional = {"requests", "jsonpath", "regex"}
    script = f"import sys, probe.config.loader; print({optional} & set(sys.modules))"

    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert out.stdout == "set()\n"


def test_equality_of_regular_expressions(tmp_path: Path) -> None:
    """After a reload, a probe is unchanged if the text of its expression is."""
    regex.purge()
    config = {"probes": [{"name": "a", "url": URL, "expect": {"body_matches": "posi"}}]}
    before = load_config(tmp_path, config)
    regex.purge()

    assert load_config(tmp_path, config) == before


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Threads can share settings."""
    (probe,) = load_config(tmp_path, {"probes": [{"name": "a", "url": URL}]}).probes

    with pytest.raises(FrozenInstanceError):
        setattr(probe, "interval", 1)  # noqa: B010
