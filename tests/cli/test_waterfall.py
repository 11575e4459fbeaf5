"""The text that `once` prints."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probe.cli.waterfall import render_waterfall
from probe.config.settings import Objective, Tracing
from probe.result import Component, Excerpt, Phase, Reason, RedirectHop, Result, TokenCounts
from tests.builders import MEASURED_STREAM, make_probe, make_result

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400


def rendered(
    *results: Result,
    encoding: str = "utf-8",
    objectives: Sequence[Objective] = (),
    tracing: Tracing | None = None,
) -> str:
    return render_waterfall(
        results,
        objectives={"model": objectives},
        now=NOW,
        encoding=encoding,
        tracing=tracing or Tracing(),
    )


def phases(**milliseconds: float) -> dict[Phase, float]:
    return {Phase(name): time / 1000 for name, time in milliseconds.items()}


def success(**more: Any) -> Result:
    """Return the result of a probe of an https URL that took 100 ms."""
    defaults = {
        "phases": phases(dns=5, connect=10, tls=20, send=0, wait=60, receive=5),
        "status": 200,
        "clock": "kernel",
        "correction": 0.001234,
    }
    return make_result(**{**defaults, **more})


def test_success() -> None:
    """The bars of a result are 40 columns and follow each other; the server's times are below wait.

    A phase that took no time has no bar.
    """
    result = success(
        server={Component.COMPUTE: 0.0405, Component.QUEUE: 0.0101, Component.POSTPROCESS: 0.001},
        certificate_not_after=NOW.timestamp() + 41.5 * DAY,
    )

    assert (
        rendered(result)
        == """\
model: succeeded after 100.0 ms, status 200
    dns               5.000 ms  ██
    connect          10.000 ms    ████
    tls              20.000 ms        ████████
    send              0.000 ms
    wait             60.000 ms                ████████████████████████
      queue          10.100 ms
      compute        40.500 ms
      postprocess     1.000 ms
    receive           5.000 ms                                        ██
    correction        1.234 ms  delay of the interpreter, not in the latency
    certificate   expires 2026-04-12, in 41 days"""
    )


def test_stream() -> None:
    """Below the bars, each column in which a token arrived has a mark. A long gap is visible."""
    stream = replace(
        MEASURED_STREAM,
        tokens=TokenCounts(output=4),
        token_times=(0.05, 0.06, 0.07, 0.0975, 0.1),
    )
    result = success(phases=phases(wait=10, first_token=40, generate=50), stream=stream)

    assert (
        rendered(result)
        == """\
model: succeeded after 100.0 ms, status 200
    wait             10.000 ms  ████
    first_token      40.000 ms      ████████████████
    generate         50.000 ms                      ████████████████████
    tokens                                          |...|...|..........|
    stream        4 tokens in 5 chunks, 250.0 tokens/s, finish reason stop
                  first token after 30.000 ms, per token 4.000 ms, longest gap 8.000 ms
    correction        1.234 ms  delay of the interpreter, not in the latency"""
    )


@pytest.mark.parametrize(
    ("reason", "gap"),
    [
        (Reason.STALL_TIMEOUT, ", then no token for 940.000 ms"),
        (Reason.BODY_TIMEOUT, ", then no token for 940.000 ms"),
        (Reason.ASSERTION, ""),
    ],
)
def test_stalled_stream(reason: Reason, gap: str) -> None:
    """The time after the last token is no gap between tokens, so it is shown beside those."""
    stream = replace(MEASURED_STREAM, token_times=(0.05, 0.06))
    result = make_result(
        reason=reason,
        phases=phases(wait=10, first_token=40, generate=950),
        stream=stream,
    )
    assert f"longest gap 8.000 ms{gap}\n" in rendered(result)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (TokenCounts(input=2007, output=4, cached=1000), ", 1,000 of 2,007 prompt tokens cached,"),
        (TokenCounts(output=4, cached=3), ", 3 prompt tokens cached,"),
    ],
)
def test_cached_tokens_of_a_stream(tokens: TokenCounts, text: str) -> None:
    """A hit of the server's prompt cache is visible."""
    stream = replace(MEASURED_STREAM, tokens=tokens)
    assert text in rendered(success(phases=phases(wait=10), stream=stream))


def test_failure() -> None:
    """A failure has its reason, its detail and the phases that it reached."""
    result = make_result(
        reason=Reason.CONNECT_TIMEOUT, phases=phases(dns=100, connect=4900), correction=0.0
    )

    assert (
        rendered(result)
        == """\
model: failed (connect_timeout) after 5000.0 ms
    as the test says
    dns             100.000 ms  █
    connect        4900.000 ms   ███████████████████████████████████████
    correction        0.000 ms  delay of the interpreter, not in the latency
    clock         times of the process, not of the kernel"""
    )


def test_failure_before_the_first_phase() -> None:
    """Without phases there are no bars, no correction and no clock."""
    result = make_result(reason=Reason.INTERNAL, phases={})

    assert (
        rendered(result)
        == """\
model: failed (internal) after 0.0 ms
    as the test says"""
    )


def test_redirects() -> None:
    """Each request is below its URL, on one scale; the server's times belong to the last one."""
    first, last = phases(connect=10, wait=20), phases(connect=10, wait=60)
    result = success(
        phases=phases(connect=20, wait=80),
        hops=(RedirectHop(url="http://a/", status=302, phases=first),),
        final_hop=RedirectHop(url="http://b/on", status=200, phases=last),
        server={Component.TOTAL: 0.055},
    )

    assert (
        rendered(result)
        == """\
model: succeeded after 100.0 ms, status 200
    http://a/: status 302
    connect          10.000 ms  ████
    wait             20.000 ms      ████████
    http://b/on: status 200
    connect          10.000 ms              ████
    wait             60.000 ms                  ████████████████████████
      total          55.000 ms
    correction        1.234 ms  delay of the interpreter, not in the latency"""
    )


def test_redirect_without_response() -> None:
    """A request without a response says so."""
    result = make_result(
        reason=Reason.REFUSED,
        phases=phases(connect=1, wait=3),
        hops=(RedirectHop(url="http://a/", status=302, phases=phases(wait=3)),),
        final_hop=RedirectHop(url="http://b/", status=None, phases=phases(connect=1)),
    )

    assert "    http://b/: no response\n    connect           1.000 ms" in rendered(result)


def test_short_phases() -> None:
    """A short phase has one column, also at the end; no bar exceeds 40 columns."""
    lines = rendered(success(phases=phases(connect=0.001, wait=500, receive=0.001))).splitlines()

    bars = [line[32:] for line in lines[1:4]]
    assert bars == ["█", "█" * 40, " " * 39 + "█"]


def test_phases_of_zero_seconds() -> None:
    """A coarse clock may report 0 for all phases."""
    assert "connect           0.000 ms\n" in rendered(success(phases=phases(connect=0)))


@pytest.mark.parametrize(
    ("ignored", "line"),
    [
        (1, "    server        1 impossible time ignored\n"),
        (2, "    server        2 impossible times ignored\n"),
    ],
)
def test_impossible_server_times(ignored: int, line: str) -> None:
    """Server times that cannot be true are counted, for example with a wrong unit."""
    assert line in rendered(success(server_ignored=ignored))


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (30, "expires 2026-03-31, in 30 days"),
        (1.9, "expires 2026-03-03, in 1 day"),
        (0.4, "expires 2026-03-01, in 0 days"),
        (0, "expired 2026-03-01, 0 days ago"),
        (-3.5, "expired 2026-02-26, 3 days ago"),
    ],
)
def test_certificate(days: float, text: str) -> None:
    """The expiry of the certificate is in whole days, also in the past."""
    result = success(certificate_not_after=NOW.timestamp() + days * DAY)

    assert rendered(result).endswith(f"    certificate   {text}")


def test_several_results() -> None:
    """An empty line separates results."""
    single = rendered(success())

    assert rendered(success(), success()) == f"{single}\n\n{single}"


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("cp437", "█"), ("latin-1", "#")])
def test_bar_characters(encoding: str, bar: str) -> None:
    """Bars are blocks where the encoding has them, else number signs."""
    assert f"{bar * 24}\n" in rendered(success(), encoding=encoding)


def test_characters_outside_the_encoding() -> None:
    """Characters that the encoding lacks are escaped."""
    landing = RedirectHop(url="http://é€/", status=200, phases={})
    result = success(hops=(landing,), final_hop=landing)

    assert "http://é\\u20ac/" in rendered(result, encoding="latin-1")
    assert rendered(result, encoding="ascii").isascii()


@pytest.fixture(scope="module")
def objectives(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Objective]:
    fast = {"name": "fast", "target": "99%", "latency": "100ms"}
    up = {"name": "up", "target": "99.9%"}
    directory: Path = tmp_path_factory.mktemp("objectives")
    return make_probe(directory, objectives=[fast, up]).objectives


@pytest.mark.parametrize(
    ("result", "fast", "up"),
    [
        (make_result(latency=0.0213), "met, 21.3 ms <= 100 ms", "met"),
        (make_result(latency=0.1), "met, 100.000000 ms <= 100 ms", "met"),
        (make_result(latency=0.10000001), "missed, 100.000010 ms > 100 ms", "met"),
        (make_result(latency=0.231), "missed, 231.0 ms > 100 ms", "met"),
        (
            make_result(reason=Reason.HTTP_5XX),
            "missed, the request failed",
            "missed, the request failed",
        ),
        (make_result(reason=Reason.INTERNAL), "not counted", "not counted"),
    ],
)
def test_objectives(result: Result, fast: str, up: str, objectives: Sequence[Objective]) -> None:
    """Each objective is met or missed, with both latencies; failures of the daemon do not count."""
    lines = rendered(result, objectives=objectives).splitlines()[-2:]
    assert lines == [f"    objective     fast: {fast}", f"    objective     up: {up}"]


@pytest.mark.parametrize("milliseconds", [4.1, 8.2, 16.4, 33.3, 1.005])
def test_a_latency_that_rounds_to_the_threshold(milliseconds: float, tmp_path: Path) -> None:
    """It has enough digits to differ from the threshold."""
    fast = {"name": "fast", "target": "99%", "latency": f"{milliseconds}ms"}
    objectives = make_probe(tmp_path, objectives=[fast]).objectives
    result = make_result(latency=milliseconds / 1000 + 1e-8)
    line = rendered(result, objectives=objectives).splitlines()[-1]
    assert line.endswith(f"missed, {milliseconds + 1e-5:.6f} ms > {milliseconds:g} ms")


def failure(body: str, size: int | None = None, media_type: str | None = None) -> Result:
    """Return a failed result with the beginning of a body of `size` bytes."""
    headers = {"Content-Type": media_type} if media_type else {}
    excerpt = Excerpt(headers=headers, body=body, is_truncated=size is not None)
    size = len(body.encode()) if size is None else size
    return make_result(reason=Reason.HTTP_4XX, excerpt=excerpt, size=size)


def body_lines(result: Result, encoding: str = "utf-8") -> list[str]:
    return rendered(result, encoding=encoding).partition("    body          ")[2].splitlines()


def test_body() -> None:
    """The body of a failed response is below its size and type, with escaped characters."""
    result = failure('{"detail":\r\n "Feld \x1b[2Jfehlt: ä\u202e"}', media_type="a/b\t")
    assert body_lines(result) == [
        "37 bytes, a/b\\t",
        '      {"detail":',
        '       "Feld \\x1b[2Jfehlt: ä\\u202e"}',
    ]
    assert body_lines(result, "ascii")[2].endswith('fehlt: \\xe4\\u202e"}')


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (failure("\x89PNG\ufffd\x00\x00", 7000), "7000 bytes, no Content-Type, not text"),
        (failure("", 20), "20 bytes, no Content-Type, cannot be decoded"),
        (failure(""), "0 bytes, no Content-Type"),
    ],
)
def test_body_that_is_not_text(result: Result, line: str) -> None:
    """A binary body is summarised in one line."""
    assert body_lines(result) == [line]


def test_long_body() -> None:
    """The first line says that it is only the beginning."""
    for shown in (1024, 900):  # fewer characters if a secret at the end is cut off
        first, *rest = body_lines(failure("x" * shown, 5000))
        assert first == "5000 bytes, no Content-Type, the beginning:"
        assert rest == ["      " + "x" * shown]


def test_body_of_a_success() -> None:
    """It is not printed."""
    assert "body" not in rendered(make_result(excerpt=Excerpt(headers={}, body="x")))


def test_objectives_on_signals_of_streams(tmp_path: Path) -> None:
    """The verdict names the time. Without a value, the request is neither good nor bad."""
    objectives = make_probe(
        tmp_path,
        stream={"content": "$.text", "usage": {"output": "$.usage"}},
        objectives=[
            {"name": "first", "target": "95%", "time_to_first_token": "20ms"},
            {"name": "each", "target": "95%", "time_per_output_token": "40ms"},
        ],
    ).objectives
    text = rendered(make_result(stream=MEASURED_STREAM), objectives=objectives)
    assert "first: missed, time to first token 30.0 ms > 20 ms" in text
    assert "each: met, time per output token 4.0 ms <= 40 ms" in text
    unknown = replace(MEASURED_STREAM, time_per_output_token=None)
    text = rendered(make_result(stream=unknown), objectives=objectives)
    assert "each: not counted, time per output token unknown" in text


def test_the_trace() -> None:
    """The last line of a result has its trace id, or the link to it."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    result = success(trace_id=trace_id)
    link = Tracing(link="https://grafana.example/trace/{trace_id}")
    assert rendered(result).splitlines()[-1] == f"    trace         {trace_id}"
    last_line = rendered(result, tracing=link).splitlines()[-1]
    assert last_line == f"    trace         https://grafana.example/trace/{trace_id}"


def test_variant() -> None:
    """Payload, version and segment, without the control characters of the server."""
    text = rendered(success(payload="long", version="1.4", segment="blue\u202e"))
    assert "\n    variant       payload long, version 1.4, segment blue\\u202e\n" in text
    assert "variant" not in rendered(success())
