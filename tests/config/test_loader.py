"""From files to settings."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import regex
import yaml

from probe.config.loader import ConfigError, load
from probe.config.schema import AlertLevel, ConnectionMode, Expect, IpFamily, Settings, TlsVersion
from probe.config.secrets import Secrets, resolve_json
from probe.config.yaml import YamlDocument
from probe.result import Component

URL = "http://localhost:5000/predict"


def read(tmp_path: Path, config: Any, **environ: str) -> Settings:
    """The settings of a config, given as YAML text or as values."""
    file = tmp_path / "probe.yml"
    file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return load(file, environ=environ)


def problems(tmp_path: Path, config: Any, **environ: str) -> list[str]:
    """What is wrong with a config, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, config, **environ)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_a_probe_with_nothing_but_name_and_url_has_all_defaults(tmp_path: Path) -> None:
    """What is left out has the documented value."""
    settings = read(tmp_path, {"probes": [{"name": "a", "url": URL}]})

    (probe,) = settings.probes
    assert (probe.method, probe.interval, probe.timeout) == ("GET", 10, 5)
    assert (probe.connection, probe.startup_grace) == (ConnectionMode.NEW, 300)
    assert (probe.ip_family, probe.redirects, probe.max_bytes) == (IpFamily.ANY, 0, 2**20)
    assert (probe.proxy, probe.json_body, probe.body, probe.body_file) == (None,) * 4
    assert (probe.headers, probe.labels, probe.objectives, probe.server_timing) == ({}, {}, (), ())
    assert (probe.buckets, probe.phase_buckets) == (None, None)
    assert probe.tls.min_version is TlsVersion.TLS12
    assert [status for status in (199, 200, 299, 300) if probe.expect.allows(status)] == [200, 299]
    assert settings.networks.deny == (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
    assert settings.networks.allow == ()


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    """Each key arrives in the unit and type that the program uses."""
    (tmp_path / "request.json").write_text("{}")
    settings = read(
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
            labels: {{model: sentiment}}
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
    assert [(o.target, o.latency, o.alert) for o in probe.objectives] == [
        (0.9995, 0.5, AlertLevel.TICKET),
        (0.999, None, AlertLevel.PAGE),
    ]


def test_the_method_follows_the_body(tmp_path: Path) -> None:
    """A probe with a body posts it, whichever way the body is given; any other one gets."""
    (tmp_path / "b").write_text("")
    bodies: list[dict[str, Any]] = [{"json": {}}, {"body": ""}, {"body_file": "b"}, {}]
    probes = [{"name": str(n), "url": URL, **body} for n, body in enumerate(bodies)]

    settings = read(tmp_path, {"probes": probes})

    assert [probe.method for probe in settings.probes] == ["POST", "POST", "POST", "GET"]


def test_defaults_are_put_under_each_probe(tmp_path: Path) -> None:
    """tls, headers, labels and expect merge key by key; anything else is replaced as a whole."""
    settings = read(
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


def test_nothing_under_defaults_or_networks_is_nothing(tmp_path: Path) -> None:
    """A key of which all content is commented out does no harm."""
    settings = read(tmp_path, f"defaults:\nnetworks:\nprobes: [{{name: a, url: '{URL}'}}]\n")

    assert len(settings.probes) == 1


def test_aliases_are_allowed(tmp_path: Path) -> None:
    """An anchor may be used again; what is wrong in it is said for each use."""
    text = f"""
probes:
  - {{name: a, url: '{URL}', tls: &tls {{server_name: a, min: 1}}}}
  - {{name: b, url: '{URL}', tls: *tls}}
"""
    assert [problem.split(": ", 2)[1] for problem in problems(tmp_path, text)] == [
        "probes[0].tls.min",
        "probes[1].tls.min",
    ]
    assert len(read(tmp_path, text.replace(", min: 1", "")).probes) == 2


def test_references_are_kept_where_they_may_change(tmp_path: Path) -> None:
    """url, headers, body, json and proxy keep them; the rest has its value when it is loaded."""
    (tmp_path / "token").write_text("t0\n")
    probe = {
        "name": "${env:NAME}",
        "url": "http://${env:HOST}/",
        "headers": {"Authorization": "Bearer ${file:token}"},
        "json": {"prompt": ["${env:NAME}", "$${x}"]},
        "proxy": "http://${env:HOST}:3128",
        "interval": "${env:PACE}",
        "redirects": "${env:HOPS}",
        "tls": {"insecure_skip_verify": "${env:SKIP}"},
        "expect": {"json": {"$.a": {"equals": ["${env:NAME}"], "max": "${env:HOPS}"}}},
    }
    environ = {"NAME": "n", "HOST": "h", "PACE": "20s", "HOPS": "2", "SKIP": "true"}

    (found,) = read(tmp_path, {"probes": [probe]}, **environ).probes

    secrets = Secrets({**environ, "HOST": "other", "NAME": "new"}, tmp_path)
    assert (type(found.name), found.name, found.interval, found.redirects) == (str, "n", 20, 2)
    assert found.tls.insecure_skip_verify
    assert found.expect.json_paths["$.a"].operators == {"equals": ["n"], "max": 2}
    assert found.url.resolve(secrets) == "http://other/"
    assert found.proxy is not None
    assert found.proxy.resolve(secrets) == "http://other:3128"
    assert found.headers["Authorization"].resolve(secrets) == "Bearer t0"
    assert resolve_json(found.json_body, secrets) == {"prompt": ["new", "${x}"]}


FULL: dict[str, Any] = {
    "networks": {"deny": ["10.0.0.0/8"], "allow": ["fd00::/8"]},
    "defaults": {"timeout": "5s", "headers": {"A": "a"}},
    "probes": [
        {
            "name": "a",
            "url": "https://localhost:5000/",
            "method": "POST",
            "interval": "10s",
            "connection": "new",
            "startup_grace": "5m",
            "tls": {
                "ca_file": "a",
                "cert_file": "a",
                "key_file": "a",
                "server_name": "a",
                "insecure_skip_verify": "true",
                "min_version": "TLS12",
            },
            "proxy": "http://proxy:1",
            "ip_family": "any",
            "redirects": "1",
            "max_bytes": "1MiB",
            "headers": {"B": "b"},
            "json": {"a": ["b"]},
            "body": "text",
            "body_file": "a",
            "expect": {
                "status": ["2xx"],
                "body_matches": "a",
                "headers": {"A": {"matches": "a", "equals": "a"}},
                "json": {"$.a": {"in": ["a"], "exists": "true", "min": "1", "max": "2"}},
            },
            "buckets": ["1s"],
            "phase_buckets": ["1s"],
            "server_timing": [{"from": "json", "key": "$.a", "unit": "ms", "component": "total"}],
            "labels": {"a": "b"},
            "objectives": [{"name": "a", "target": "99%", "latency": "1s", "alert": "page"}],
        }
    ],
}


def planted(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    """The config once per text in it, each time with a reference in that place."""
    if isinstance(value, str):
        return [(path, "${env:SECRET}")]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        for where, inner in planted(item, (*path, key)):
            copy: Any = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = inner
            found.append((where, copy))
    return found


SECRETS = ["hunter2", "hunter2\r\n", "(?P<hunter2!>", "http://hunter2:x", "2001:db8::1/48"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    ("where", "config"), planted(FULL), ids=lambda value: "-".join(map(str, value))[:60]
)
def test_no_message_shows_what_a_reference_stands_for(
    tmp_path: Path, where: tuple[Any, ...], config: Any, secret: str
) -> None:
    """A secret in any place, valid there or not, gets into no problem."""
    del where

    said = "\n".join(problems(tmp_path, config, SECRET=secret))

    assert "hunter2" not in said
    assert "db8" not in said


@pytest.mark.parametrize(
    "written",
    [
        "http://u:${env:PW@h/?api_key=hunter2",
        "Bearer ab${hunter2",
        "ab${hunter2}cd",
        "${env:PW-hunter2}",
        "${file:pw/hunter2",
        "a${env:PW, hunter2}",
    ],
)
def test_a_reference_gone_wrong_shows_no_more_than_a_name(tmp_path: Path, written: str) -> None:
    """After an unclosed one comes the rest of a secret, and what looks like one may be a part."""
    probe = {"name": "a", "url": written, "headers": {"A": written}, "json": written}

    said = problems(tmp_path, {"probes": [probe]})

    assert len(said) == 3
    assert "hunter2" not in "".join(said)


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """Settings in a log give away neither a reference's value nor a literal credential."""
    probe = {
        "name": "a",
        "url": "http://user:hunter2@h/${env:SECRET}",
        "headers": {"Authorization": "hunter2", "B": "${env:SECRET}"},
        "json": {"a": "${env:SECRET}"},
        "proxy": "http://user:hunter2@proxy:1",
    }

    settings = read(tmp_path, {"probes": [probe]}, SECRET="hunter2")

    assert "hunter2" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"probes:\n  - \xff", "probe.yml:2:5: not UTF-8 text; save the file with that encoding"),
        (b"a: \0", "probe.yml:1:4: a character that YAML does not allow; remove it"),
        (
            b'a: "\\ud800"',
            "probe.yml:1:4: a: half of a character (a lone surrogate); write the whole of it",
        ),
        (b'a: "\\UFFFFFFFF"', "probe.yml:1:7: an escape that is no character"),
        (b"", "probe.yml:1:1: the file is empty; write at least one probe under `probes`"),
        (b"a: " + b"[" * 60, "probe.yml:1:53: nested more than 50 levels deep"),
        (b"a: " + b"9" * 5000, "probe.yml:1:4: a: a number with too many digits"),
        (b"a: 0x" + b"9" * 5000, "probe.yml:1:4: a: a number with too many digits"),
        (b"!!int a: 1", "probe.yml:1:1: a: a key must be text; put it into quotes"),
    ],
)
def test_files_that_are_no_yaml(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever is in a file, it gets a sentence."""
    (tmp_path / "probe.yml").write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "probe.yml", environ={})

    assert f"{tmp_path}/{said}" in [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("number", ["9" * 400, '"' + "9" * 400 + '"'], ids=["bare", "quoted"])
def test_a_number_that_no_float_can_hold(tmp_path: Path, number: str) -> None:
    """It is a problem where it stands, also where advice would begin with arithmetic."""
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
    assert problems(tmp_path, text) == [
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
def test_a_number_without_its_unit_is_told_with_one(
    tmp_path: Path, key: str, written: str, advice: str
) -> None:
    """What the advice says is understood, however large or small the number is."""
    value = f"[{{name: a, target: {written}}}]" if key == "target" else written
    place = "objectives" if key == "target" else key
    text = f"probes:\n- {{name: a, url: '{URL}', {place}: {value}}}\n"

    (problem,) = problems(tmp_path, text)

    assert problem.endswith(f"; write {advice}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("on", "Off", "yes", "no", "y", "=", "<<", "null-ish")),
        *((word, word) for word in ("12:30", "2026-01-01", "1_000", "0b11", "-0x1F", "1.2.3")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, 31) for word in ("31", "+31", "0x1F", "0o37")),
        *((word, 1000.0) for word in ("1e3", "1E+3", "1000.", "1000.0")),
        *((word, -0.5) for word in ("-.5", "-0.5", "-5e-1")),
        ("0", 0),
        ("-17", -17),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    """Words such as `on`, times, dates and numbers with underscores are text; 1e3 is a number."""
    document = YamlDocument(f"a: {text}".encode(), file="probe.yml")

    assert (document.value, document.problems) == ({"a": value}, ())
    assert type(document.value["a"]) is type(value)


@pytest.mark.parametrize("key", ["on", "no", "y", "2026-01-01", "12:30"])
def test_keys_that_only_yaml_1_1_converts_are_text(key: str) -> None:
    """A JSON body may have the key `on` or `y`."""
    assert YamlDocument(f"{{{key}: 1}}".encode(), file="probe.yml").value == {key: 1}


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    """A few lines cannot become a billion values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]

    (problem,) = problems(tmp_path, "\n".join(lines))

    assert problem.endswith("aliases repeat this too often; use fewer")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    (tmp_path / "probe.yml").write_text(f"probes: [{{name: a, url: '{URL}'}}]", "utf-8-sig")

    assert len(load(tmp_path / "probe.yml", environ={}).probes) == 1


@pytest.mark.parametrize(
    ("name", "reason"), [("none.yml", "no such file or directory"), (".", "is a directory")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    """The config itself missing is a problem like any other, without a line."""
    file = tmp_path / name

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert str(caught.value) == f"{file}: cannot read the config: {reason}"


def test_a_file_that_might_never_end(tmp_path: Path) -> None:
    """A pipe instead of the config is refused, not waited for."""
    file = tmp_path / "probe.yml"
    os.mkfifo(file)

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert str(caught.value) == f"{file}: cannot read the config: not a regular file"


def test_a_config_that_is_too_large(tmp_path: Path) -> None:
    """It is refused before it is parsed, and no more of it is read than the limit."""
    file = tmp_path / "probe.yml"
    config = f"probes: [{{name: a, url: '{URL}'}}]\n#"
    file.write_text(config)
    os.truncate(file, 2**40)
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert str(caught.value) == f"{file}: cannot read the config: larger than 4 MiB"

    file.write_text(config.ljust(4 * 2**20, "#"))
    assert len(load(file, environ={}).probes) == 1


def test_named_files_that_are_too_large(tmp_path: Path) -> None:
    """Whoever names a log for a body, or a disk for a certificate, hears of it."""
    for name, size in (("body", 64), ("most", 4)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size * 2**20)
        (tmp_path / f"{name}+").touch()
        os.truncate(tmp_path / f"{name}+", size * 2**20 + 1)
    text = f"""probes:
  - {{name: a, url: '{URL}', body_file: body, tls: {{ca_file: most}}}}
  - {{name: b, url: '{URL}', body_file: body+, tls: {{ca_file: most+, cert_file: most+}}}}
"""
    assert problems(tmp_path, text) == [
        'probe.yml:3:64: probes[1].body_file: larger than 64 MiB: "body+"',
        'probe.yml:3:86: probes[1].tls.ca_file: larger than 4 MiB: "most+"',
        'probe.yml:3:104: probes[1].tls.cert_file: larger than 4 MiB: "most+"',
    ]


def test_settings_are_cheap_to_import() -> None:
    """What only some configs need is not loaded with the module."""
    few = {"requests", "jsonpath", "regex"}
    script = f"import sys, probe.config.loader; print({few} & set(sys.modules))"

    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert out.stdout == "set()\n"


def test_what_is_expected_keeps_its_secrets(tmp_path: Path) -> None:
    """Whoever holds an answer against it knows what must not be said, wherever in it that is."""
    (tmp_path / "token").write_text("from-a-file")
    expect = {
        "body_matches": "${env:A} ${env:B}",
        "headers": {"X": {"in": ["a", "${file:token}"]}},
        "json": {"$.a": {"equals": [{"b": "Bearer ${env:C}"}]}},
    }
    config = {"defaults": {"expect": expect}, "probes": [{"name": "a", "url": URL}]}

    (probe,) = read(tmp_path, config, A="a" * 9, B="b" * 9, C="c" * 9).probes

    assert probe.expect.secrets == {"a" * 9, "b" * 9, "c" * 9, "from-a-file"}
    assert not Expect.model_validate({}).secrets


def test_patterns_are_the_same_if_they_are_written_alike(tmp_path: Path) -> None:
    """A reload takes a probe with a pattern for changed when it is, whatever else was compiled."""
    regex.purge()
    config = {"probes": [{"name": "a", "url": URL, "expect": {"body_matches": "posi"}}]}
    before = read(tmp_path, config)
    regex.purge()

    assert read(tmp_path, config) == before


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes a probe under the threads that use it."""
    (probe,) = read(tmp_path, {"probes": [{"name": "a", "url": URL}]}).probes

    with pytest.raises(ValueError, match="frozen"):
        setattr(probe, "interval", 1)  # noqa: B010
