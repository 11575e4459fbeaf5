"""Several payloads that a probe sends in turn."""

import json
from pathlib import Path
from typing import Any

import pytest

from probe.check.request import request_json, request_lines
from probe.result import Reason
from tests.builders import lint_settings, make_probe, make_settings
from tests.commands import invoke
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason
from tests.raw_servers import always, http_response

CHAT = {"openai-chat": {"model": "m", "prompt": "hi", "max_tokens": 8}}


def test_in_turn(serve: Serve) -> None:
    """Each run sends the next payload, and its result has the name."""
    server = serve(always(http_response()))
    payloads = [{"name": "short", "json": {"n": 1}}, {"name": "text", "body": "n=2"}]
    prober = make_prober(server.url(), payloads=payloads)
    results = [prober.run() for _ in range(3)]
    assert [result.payload for result in results] == ["short", "text", "short"]
    assert [request.body for request in server.requests] == [b'{"n": 1}', b"n=2", b'{"n": 1}']
    types = [dict(request.headers).get("content-type") for request in server.requests]
    assert types == ["application/json", None, "application/json"]


def test_a_failure_has_its_payload() -> None:
    """Also without a response."""
    prober = make_prober("http://127.0.0.1:1/", payloads=[{"name": "a", "json": 1}])
    result = prober.run()
    assert (reason(result), result.payload) == (Reason.REFUSED, "a")


def test_variables(serve: Serve) -> None:
    """The sequence counts the requests of the probe, and not those of a payload."""
    server = serve(always(http_response()))
    payloads = [{"name": name, "body": f"{name} {{{{sequence}}}}"} for name in "ab"]
    prober = make_prober(server.url(), payloads=payloads)
    for _ in range(3):
        prober.run()
    assert [request.body for request in server.requests] == [b"a 1", b"b 2", b"a 3"]


def test_references(serve: Serve) -> None:
    """Secrets of a payload are masked in what its response says."""
    server = serve(always(http_response(b'{"error": "bad key s3cr3t-key"}', status="400 Bad")))
    payloads = [{"name": "a", "json": {"key": "${env:KEY}"}}]
    result = make_prober(server.url(), payloads=payloads, environ={"KEY": "s3cr3t-key"}).run()
    (request,) = server.requests
    assert json.loads(request.body) == {"key": "s3cr3t-key"}
    assert result.excerpt
    assert "s3cr3t" not in result.excerpt.body + detail(result)


def test_a_protocol(tmp_path: Path) -> None:
    """A payload has only the keys that differ."""
    payloads = [{"name": "short", "json": {}}, {"name": "long", "json": {"max_tokens": 200}}]
    probe = make_probe(tmp_path, url="http://model", protocol=CHAT, payloads=payloads)
    bodies = request_json(probe)["body"]
    assert bodies["long"] == {**bodies["short"], "max_tokens": 200}
    assert bodies["short"]["messages"] == [{"role": "user", "content": "hi"}]
    assert [line.partition(":")[0] for line in request_lines(probe)][1:3] == ["short", "long"]
    assert probe.json_body is None


def test_advice_names_the_payload(tmp_path: Path) -> None:
    """Advice about a body is about one of them."""
    payloads = [{"name": "short", "json": {}}, {"name": "long", "json": {"max_tokens": 2}}]
    expect = {"tokens": {"min": 4}}
    probe = {"name": "p", "url": "http://m", "protocol": CHAT, "payloads": payloads}
    advice = lint_settings(make_settings(tmp_path, {**probe, "expect": expect}))
    (about_tokens,) = [text for text in advice if "expect.tokens" in text]
    assert about_tokens.startswith("p, payload long: ")


def test_once(serve: Serve, tmp_path: Path) -> None:
    """It sends each payload, in their order."""
    url = serve(always(http_response())).url()
    payloads: Any = [{"name": "short", "json": 1}, {"name": "long", "json": 2}]
    make_settings(tmp_path, {"name": "p", "url": url, "payloads": payloads})
    done = invoke("once", "--config.file=probe.yml", "--output=json", cwd=tmp_path)
    assert [result["payload"] for result in json.loads(done.stdout)] == ["short", "long"]


def test_no_exported_script(tmp_path: Path) -> None:
    """A script would send only one of them."""
    payloads = [{"name": "short", "json": 1}, {"name": "long", "json": 2}]
    slo = {"name": "up", "target": "99%"}
    keys = {"name": "p", "url": "http://m", "payloads": payloads, "objectives": [slo]}
    make_settings(tmp_path, keys)
    flags = ("--config.file=probe.yml", "--rates=1", "--export=k6")
    done = invoke("load", "p", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert "has `payloads`, which exported scripts do not send in turn" in done.stderr


@pytest.mark.parametrize("name", ["json", "body"])
def test_defaults(tmp_path: Path, name: str) -> None:
    """The body of a probe replaces the payloads of the defaults."""
    defaults = {"payloads": [{"name": "a", "json": 1}]}
    probes = [{"name": "a", "url": "http://m"}, {"name": "b", "url": "http://m", name: "x"}]
    first, second = make_settings(tmp_path, *probes, defaults=defaults).probes
    assert ([item.name for item in first.payloads], first.method) == (["a"], "POST")
    assert (second.payloads, second.method) == ((), "POST")
