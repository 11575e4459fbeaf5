"""Scripts of Locust, with its modules replaced: their requests, results and verdicts.

tests/e2e/test_locust.py runs them with Locust.
"""

import json
import math
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import trustme
import urllib3

from probe.load.export_plan import ExportPlan
from probe.load.locust_script import render_locust
from probe.result import Signal
from tests.load.export_cases import make_plan, objective
from tests.load.recording_server import (
    LAST_CHUNK,
    STREAM_HEAD,
    Parts,
    RecordedRequest,
    record_requests,
    sse,
)
from tests.probing import run as run_probe
from tests.servers import OK


class FakeTimeout(BaseException):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def load_script(
    plan: ExportPlan, monkeypatch: pytest.MonkeyPatch, directory: Path = Path()
) -> dict[str, Any]:
    """Run the script of `plan` and return its globals. Locust and gevent are replaced."""

    def module(name: str, **attributes: Any) -> None:
        fake = ModuleType(name)
        vars(fake).update(attributes)
        monkeypatch.setitem(sys.modules, name, fake)

    class Events:
        """Accepts all listeners and returns them."""

        def __getattr__(self, _: str) -> Any:
            return SimpleNamespace(add_listener=lambda function: function)

    module("gevent", Timeout=FakeTimeout, sleep=time.sleep)
    module("gevent.pool", Group=list)
    module("locust", LoadTestShape=object, User=object, events=Events(), task=lambda f: f)
    module("locust.exception", StopUser=Exception)
    module("locust.runners", MasterRunner=type("M", (), {}), WorkerRunner=type("W", (), {}))
    script: dict[str, Any] = {"__file__": str(directory / "locustfile.py")}
    exec(compile(render_locust(plan), "locustfile.py", "exec"), script)
    script["share"].update(index=0, workers=1)
    return script


def sent_alike(request: RecordedRequest) -> Any:
    """Return what two requests must have in common. The order of headers is free."""
    headers = sorted(
        (name.lower(), value) for name, value in request.headers if name.lower() != "traceparent"
    )
    return request.line, headers, re.sub(rb"\d{12}|\d{4}-\d\d-\d\dT[\d:]+Z", b"(new)", request.body)


REQUESTS: Mapping[str, dict[str, Any]] = {
    "json": {
        "headers": {"Authorization": "Bearer ${env:TOKEN}", "x-é".encode().hex(): "ü"},
        "json": {"text": 'é "😀" ${env:TOKEN}', "numbers": [1.0, 2**60, None, True]},
    },
    "variables": {"body": "{{nonce}} {{now}} {{sequence}} {{other}}", "method": "PUT"},
    "file": {"body_file": "body.bin", "headers": {"content-type": "application/x-tensor"}},
    "get": {"headers": {"accept-encoding": "gzip", "user-agent": "mine", "X-F": "${file:secret}"}},
    "empty post": {"method": "POST", "connection": "reuse"},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("user", ["", "me:p%40ss@"])
def test_request_is_that_of_the_probe(
    name: str, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script sends the request line, the headers and the body that the probe sends."""
    monkeypatch.setenv("TOKEN", 'se"cret')
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "body.bin").write_bytes(bytes(range(256)) + b"{{nonce}}")
    with record_requests() as server:
        url = server.url.replace("//", f"//{user}") + "a%20b?c=d"
        keys = REQUESTS[name]
        result = run_probe(url, environ={"TOKEN": 'se"cret'}, base=tmp_path, **keys)
        assert result.reason is None, result.failure
        plan = make_plan(tmp_path, environ={"TOKEN": 'se"cret'}, url=url, **keys)
        script = load_script(plan, monkeypatch, tmp_path)
        script["exchange"](time.monotonic())
    probe_request, script_request = server.requests
    assert sent_alike(script_request) == sent_alike(probe_request)


def test_request_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script sends to the proxy what the probe sends, with its user and password."""
    with record_requests() as server:
        keys: dict[str, Any] = {
            "proxy": server.url.replace("//", "//me:p%40ss@").rstrip("/"),
            "json": {},
        }
        url = "http://model.internal/predict"
        assert run_probe(url, **keys).reason is None
        load_script(make_plan(tmp_path, url=url, **keys), monkeypatch)["exchange"](0)
    probe_request, script_request = map(sent_alike, server.requests)
    assert script_request == probe_request
    assert probe_request[0] == "POST http://model.internal/predict HTTP/1.1"


def test_redirects_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many redirects are followed as the config allows, and no error repeats the URL."""
    redirect = response(307, location="/predict?key=hidden", connection="close")
    with record_requests(lambda number: [(0, redirect if number % 4 < 2 else OK)]) as server:
        for redirects, count in ((2, 3), (1, 2)):
            plan = make_plan(tmp_path, url=server.url, json={}, redirects=redirects)
            script = load_script(plan, monkeypatch)
            server.requests.clear()
            locust = MagicMock()
            script["run_request"](locust, "step_1_at_50_per_s", time.monotonic(), False)
            error = locust.events.request.fire.call_args.kwargs["exception"]
            assert len(server.requests) == count, error
            assert error is None if redirects == 2 else str(error) == "too many redirects"


def response(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("expect", "good", "bad"),
    [
        ({"status": [200, "4xx"]}, response(404), response(201)),
        ({}, response(204, b""), response(301, location="/")),
        (
            {"headers": {"X-Version": {"in": ["1", "2"]}}},
            response(X_version="2"),
            response(X_version="3"),
        ),
        ({"headers": {"X-Id": {"exists": True}}}, response(x_id=""), response()),
        ({"body_matches": r"^\s*\d+$"}, response(body=b" 12"), response(body=b"x12")),
    ],
)
def test_conditions(
    expect: Any, good: bytes, bad: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that the probe counts as a failure is one in the script, too."""
    with record_requests(lambda number: [(0, [good, bad][number])]) as server:
        script = load_script(
            make_plan(tmp_path, url=server.url, expect=expect, timeout="3s"), monkeypatch
        )
        seconds, _ = script["exchange"](time.monotonic() - 1)
        assert 1 < seconds["latency"] < 2, "the latency does not begin when the request was due"
        with pytest.raises(RuntimeError):
            script["exchange"](time.monotonic())


def test_tls_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CA, client certificate and server name are those of the config, in files of their names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "client.pem"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("model.internal").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = {"ca_file": "ca.pem", "cert_file": "client.pem", "server_name": "model.internal"}
    with record_requests(tls=context) as server:

        def exchange(**options: Any) -> None:
            plan = make_plan(tmp_path, url=server.url, tls=options)
            load_script(plan, monkeypatch, tmp_path)["exchange"](time.monotonic())

        exchange(**tls, min_version="TLS13")
        exchange(cert_file="client.pem", insecure_skip_verify=True)
        for missing in tls:
            with pytest.raises(urllib3.exceptions.HTTPError):
                exchange(**{key: tls[key] for key in tls if key != missing})


def chunk(content: str | None = None, **more: Any) -> str:
    return json.dumps({"choices": [{"delta": {"content": content}, **more}]})


FINISH = chunk(finish_reason="stop")
USAGE = json.dumps({"choices": [], "usage": {"completion_tokens": 3}})


def stream(*parts: tuple[float, str]) -> Parts:
    events: Parts = [(delay, sse(event)) for delay, event in parts]
    return [(0, STREAM_HEAD), *events, (0, LAST_CHUNK)]


CHAT: dict[str, Any] = {"protocol": {"openai-chat": {"model": "m", "prompt": "p"}}}
TOKENS = [(0.05, chunk("")), (0.05, chunk("a")), (0.1, chunk("b")), (0.1, chunk("c"))]


def test_times_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of the tokens: empty text, the usage and the end of the body are none."""
    parts = stream(*TOKENS, (0, FINISH), (0.2, USAGE), (0, "[DONE]"))
    with record_requests(lambda _: parts) as server:
        script = load_script(make_plan(tmp_path, url=f"{server.url}v1", **CHAT), monkeypatch)
        seconds, length = script["exchange"](time.monotonic())
    assert 0.1 <= seconds["time_to_first_token"] < 0.2
    assert 0.3 <= seconds["latency"] < 0.45
    assert seconds["time_per_output_token"] == pytest.approx(0.1, abs=0.05)
    assert length > 100


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (TOKENS, "truncated"),
        ([*TOKENS, (0, "[DONE]")], "truncated"),
        ([(0, FINISH)], "no token"),
        ([*TOKENS, (0, '{"error": {"message": "out of memory"}}')], "reports an error"),
        ([*TOKENS, (0, "{")], "Expecting"),
        ([*TOKENS, (0, chunk(finish_reason="length"))], "the finish reason is length"),
        ([(0, chunk("a")), (0, FINISH), (0, USAGE)], "3 tokens, less than 4"),
    ],
)
def test_failures_of_a_stream(
    parts: list[tuple[float, str]], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream with the status 200 is a failure if it reports one or is not complete."""
    expect = {"finish": ["stop"], "tokens": {"min": 4}}
    parts = [(0, event) for _, event in parts]
    with record_requests(lambda _: stream(*parts)) as server:
        plan = make_plan(tmp_path, url=server.url, expect=expect, **CHAT)
        with pytest.raises((RuntimeError, ValueError), match=problem):
            load_script(plan, monkeypatch)["exchange"](time.monotonic())


def test_stream_of_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of JSON lines needs no empty line after its last event."""
    body = b'{"response": "a"}\n{"response": "b", "done_reason": "stop", "eval_count": 2}'
    keys: dict[str, Any] = {"protocol": {"ollama-generate": {"model": "m", "prompt": "p"}}}
    with record_requests(lambda _: [(0, response(body=body))]) as server:
        script = load_script(make_plan(tmp_path, url=server.url, **keys), monkeypatch)
        seconds, _ = script["exchange"](time.monotonic())
    assert seconds["time_to_first_token"] <= seconds["latency"]


def test_workers_share_uniform_arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests of all workers together are due at regular intervals."""
    script = load_script(make_plan(tmp_path, arrivals="uniform", step_seconds=2), monkeypatch)
    due = []
    for index in range(3):
        script["share"].update(index=index, workers=3)
        due += script["arrivals"](50)
    assert sorted(due) == [number / 50 for number in range(100)]


def test_workers_share_poisson_arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate of a worker is its share, and the variation of its gaps is that of Poisson."""
    script = load_script(make_plan(tmp_path, step_seconds=1000), monkeypatch)
    script["random"].seed(1)
    script["share"].update(index=1, workers=4)
    due = list(script["arrivals"](40))
    gaps = [after - before for before, after in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert len(due) == pytest.approx(10_000, rel=0.05)
    assert deviation / mean == pytest.approx(1, rel=0.05)


OBJECTIVES = [objective(0.95), objective(0.99, threshold_seconds=None)]
GOOD, GOOD_ALL = "95% < 120ms: good", "99%: good"


@pytest.mark.parametrize(
    ("count", "verdict"),
    [
        ({"requests": 600, GOOD: 570, "95% < 120ms: bad": 30, GOOD_ALL: 600}, "met"),
        (
            {"requests": 600, GOOD: 569, "95% < 120ms: bad": 31, GOOD_ALL: 600},
            "missed: 95% < 120ms",
        ),
        ({"requests": 600, GOOD: 600, GOOD_ALL: 600, "failed": 1}, "missed: 1 of 600 have failed"),
        ({"requests": 400, GOOD: 400, GOOD_ALL: 400}, "void: only 400 of 600"),
        ({"requests": 600, GOOD: 600, GOOD_ALL: 600, "late": 7}, "void: 7 requests started more"),
        ({"requests": 600, GOOD: 600}, "void: no request has a value for 99%"),
        ({}, "void: only 0 of 600"),
        ({"requests": 600, "55% < 120ms: good": 330, "55% < 120ms: bad": 270}, "met"),
    ],
)
def test_verdict(
    count: dict[str, int],
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 0 only if each step has met all objectives with enough requests."""
    objectives = [objective(0.55)] if "55% < 120ms: good" in count else OBJECTIVES
    plan = make_plan(tmp_path, objectives=objectives, rates=[30], warm_up_seconds=10)
    script = load_script(plan, monkeypatch)
    script["counts"]["step_1_at_30_per_s"].update(count)
    locust = SimpleNamespace(runner=None, process_exit_code=None)
    script["judge"](locust)
    assert capsys.readouterr().out.startswith(f"step_1_at_30_per_s: {verdict}")
    assert locust.process_exit_code == (0 if verdict == "met" else 1)


def test_step_without_requests_is_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is no success, not even if only a few were expected."""
    script = load_script(make_plan(tmp_path, objectives=[], rates=[0.1]), monkeypatch)
    assert script["void_reason"]("step_1_at_0_1_per_s", 0.1) == "void: only 0 of 3 requests"


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (lambda _: ({"latency": 0.1}, 2), {"requests": 1, "failed": 0, "late": 0, GOOD: 1}),
        (lambda _: ({"latency": 0.2}, 2), {"requests": 1, "failed": 0, "late": 0}),
        (lambda _: 1 / 0, {"requests": 1, "failed": 1, "late": 0}),
        (lambda _: _raise(FakeTimeout(1)), {"requests": 1, "failed": 1, "late": 0}),
    ],
)
def test_request_is_counted(
    outcome: Callable[[float], Any],
    counted: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failure and a timeout are bad, and requests of the warm-up do not count."""
    script = load_script(make_plan(tmp_path), monkeypatch)
    script["exchange"] = outcome
    locust = MagicMock()
    step = "step_1_at_50_per_s"
    script["run_request"](locust, step, time.monotonic(), True)
    assert script["counts"][step] == {}
    script["run_request"](locust, step, time.monotonic(), False)
    bad = {} if GOOD in counted else {"95% < 120ms: bad": 1}
    assert script["counts"][step] == {**counted, **bad}
    assert locust.events.request.fire.call_count == 1


def test_request_over_the_limit_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that cannot be sent because too many are in flight counts as a failure."""
    script = load_script(make_plan(tmp_path, max_in_flight=4), monkeypatch)
    script["share"].update(index=0, workers=2)
    script["in_flight"].extend([None] * 3)
    script["exchange"] = lambda _: pytest.fail("it was sent")
    script["run_request"](MagicMock(), "step_1_at_50_per_s", time.monotonic(), False)
    assert script["counts"]["step_1_at_50_per_s"]["failed"] == 1


def test_request_that_starts_late_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of the smallest limit is late; that of the time per token does not matter."""
    objectives = [objective(), objective(0.9, Signal.TIME_PER_OUTPUT_TOKEN, 0.01)]
    script = load_script(make_plan(tmp_path, objectives=objectives, **CHAT), monkeypatch)
    assert script["LATE_SECONDS"] == 0.012
    script["exchange"] = lambda _: ({}, 0)
    script["run_request"](MagicMock(), "step_1_at_50_per_s", time.monotonic() - 0.013, False)
    assert script["counts"]["step_1_at_50_per_s"]["late"] == 1


def _raise(error: BaseException) -> Any:
    raise error
