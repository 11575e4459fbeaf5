"""References in a config: when they are resolved, and that no message shows their values."""

from pathlib import Path
from typing import Any

import pytest

from probe.config.schema import ExpectModel
from probe.config.secrets import Secrets, resolve_json
from tests.config.loading import URL, load_config, load_problems


def test_references_per_request_and_at_load_time(tmp_path: Path) -> None:
    """url, headers, body, json and proxy keep their references. Other keys get the value."""
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

    (loaded,) = load_config(tmp_path, {"probes": [probe]}, **environ).probes

    secrets = Secrets({**environ, "HOST": "other", "NAME": "new"}, tmp_path)
    assert (type(loaded.name), loaded.name, loaded.interval, loaded.redirects) == (str, "n", 20, 2)
    assert loaded.tls.insecure_skip_verify
    assert loaded.expect.json_paths["$.a"].operators == {"equals": ["n"], "max": 2}
    assert loaded.url.resolve(secrets) == "http://other/"
    assert loaded.proxy is not None
    assert loaded.proxy.resolve(secrets) == "http://other:3128"
    assert loaded.headers["Authorization"].resolve(secrets) == "Bearer t0"
    assert resolve_json(loaded.json_body, secrets) == {"prompt": ["new", "${x}"]}


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
            "capacity": {"safe_rate": "1/s"},
            "objectives": [{"name": "a", "target": "99%", "latency": "1s", "alert": "page"}],
        }
    ],
}


def with_reference(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    """Return the config once per text in it, with the text replaced by a reference."""
    if isinstance(value, str):
        return [(path, "${env:SECRET}")]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    configs = []
    for key, item in items:
        for inner_path, inner in with_reference(item, (*path, key)):
            copy: Any = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = inner
            configs.append((inner_path, copy))
    return configs


SECRETS = [
    "hunter2",
    "hunter2\r\n",
    "(?P<hunter2!>",
    "http://hunter2:x",
    "2001:db8::1/48",
    "98765432",
    "98765432rps",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    ("path", "config"), with_reference(FULL), ids=lambda value: "-".join(map(str, value))[:60]
)
def test_no_message_contains_the_value_of_a_reference(
    tmp_path: Path, path: tuple[Any, ...], config: Any, secret: str
) -> None:
    """A secret at any path, valid there or not, is in no message."""
    del path

    messages = "\n".join(load_problems(tmp_path, config, SECRET=secret))

    assert "hunter2" not in messages
    assert "db8" not in messages
    assert "98765432" not in messages


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
def test_malformed_references_are_not_quoted(tmp_path: Path, written: str) -> None:
    """The text after `${` may be a part of a secret: at most a variable name is quoted."""
    probe = {"name": "a", "url": written, "headers": {"A": written}, "json": written}

    messages = load_problems(tmp_path, {"probes": [probe]})

    assert len(messages) == 3
    assert "hunter2" not in "".join(messages)


def test_repr_of_settings_contains_no_secret(tmp_path: Path) -> None:
    """`repr` and `str` contain neither values of references nor literal credentials."""
    probe = {
        "name": "a",
        "url": "http://user:hunter2@h/${env:SECRET}",
        "headers": {"Authorization": "hunter2", "B": "${env:SECRET}"},
        "json": {"a": "${env:SECRET}"},
        "proxy": "http://user:hunter2@proxy:1",
    }

    settings = load_config(tmp_path, {"probes": [probe]}, SECRET="hunter2")

    assert "hunter2" not in repr(settings) + str(settings)


def test_expect_keeps_its_secrets(tmp_path: Path) -> None:
    """Values of references in `expect` are known, so that messages about a response omit them."""
    (tmp_path / "token").write_text("from-a-file")
    expect = {
        "body_matches": "${env:A} ${env:B}",
        "headers": {"X": {"in": ["a", "${file:token}"]}},
        "json": {"$.a": {"equals": [{"b": "Bearer ${env:C}"}]}},
    }
    config = {"defaults": {"expect": expect}, "probes": [{"name": "a", "url": URL}]}

    (probe,) = load_config(tmp_path, config, A="a" * 9, B="b" * 9, C="c" * 9).probes

    assert set(probe.expect.secrets) == {"a" * 9, "b" * 9, "c" * 9, "from-a-file"}
    assert not ExpectModel.model_validate({}).secrets
