"""Server times: the grammar of Server-Timing, the mapping of the config, and invalid times."""

import gzip
import itertools
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from probe.config.schema import ServerTimingModel
from probe.prober.cpu_budget import CpuBudget
from probe.prober.response import ProbeResponse
from probe.prober.server_timing import (
    COMPONENT_NAMES,
    MAX_PARSED_HEADER_CHARS,
    ServerTimes,
    ServerTimingParser,
)
from probe.result import Component, Reason
from tests.demo.test_model import running
from tests.http.conftest import Serve
from tests.probing import reason, run
from tests.raw_servers import Peer, Script, always, http_response

MAPPINGS = TypeAdapter(tuple[ServerTimingModel, ...])
OLLAMA = [
    {"from": "json", "key": f"$.{key}", "unit": "ns", "component": component}
    for key, component in (
        ("total_duration", "total"),
        ("load_duration", "load"),
        ("prompt_eval_duration", "compute"),
        ("eval_duration", "compute"),
    )
]


def parse_response(
    headers: Mapping[str, str] | None = None,
    body: Any = b"",
    *,
    mapping: Iterable[Mapping[str, str]] = (),
    wall: float = 10.0,
    budget: CpuBudget | None = None,
) -> ServerTimes:
    """Parse a response: a body of bytes is sent as it is, any other value as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lower_case = {name.lower(): value for name, value in (headers or {}).items()}
    response = ProbeResponse(headers=lower_case, body=sent, max_bytes=1_000_000)
    return ServerTimingParser(
        model.to_settings() for model in MAPPINGS.validate_python(tuple(mapping))
    ).parse(response, budget or CpuBudget(), wall_seconds=wall)


def parse_milliseconds(header: str) -> tuple[dict[str, float], int]:
    """Return the times of a Server-Timing header in ms, and the number of ignored times."""
    reported = parse_response({"Server-Timing": header})
    return {str(one): round(s * 1000, 6) for one, s in reported.times.items()}, reported.ignored


@pytest.mark.parametrize(
    ("header", "times"),
    [
        ("total;dur=12", {"total": 12}),
        ("queue;dur=18.1, compute;dur=163.9", {"queue": 18.1, "compute": 163.9}),
        ("queue ; dur = 1 ,\tcompute\t;\tdur\t=\t2", {"queue": 1, "compute": 2}),
        ('total;dur="12.5"', {"total": 12.5}),
        (r'total;dur="1\2"', {"total": 12}),
        ("TOTAL;DUR=3", {"total": 3}),
        ("total;dur=0", {"total": 0}),
        ("total;dur=.5", {"total": 0.5}),
        ("total;dur=5.", {"total": 5}),
        ("total;dur=1e3", {"total": 1000}),
        ('total;desc="a, queue;dur=7; b";dur=5', {"total": 5}),
        (r'total;desc="a \" , queue;dur=7";dur=5', {"total": 5}),
        ("total;dur=5;desc=all;colour=red;shiny", {"total": 5}),
        ("total;desc=all;dur=5", {"total": 5}),
        ("total;dur=5;dur=6", {"total": 5}),
        ("total;duration=9;dur=5", {"total": 5}),
        (",, total;dur=5 ,;,", {"total": 5}),
        ("total;;dur=5;", {"total": 5}),
        ('total;dur="5', {"total": 5}),
        ('total;dur=5, db;desc="never closed, queue;dur=3', {"total": 5}),
        ("", {}),
    ],
)
def test_the_grammar(header: str, times: Mapping[str, float]) -> None:
    """Metrics, parameters, quotes and whitespace as specified by W3C and HTTP."""
    assert parse_milliseconds(header) == (times, 0)


@pytest.mark.parametrize(
    "metric",
    [
        "total",
        "total;desc=fast",
        "total;dur",
        "total;dur=",
        'total;dur=""',
        "total;dur=fast",
        "total;dur=5ms",
        "total;dur=1_0",
        "total;dur=٣",
        "total;dur=-1",
        "total;dur=NaN",
        "total;dur=Infinity",
        "total;dur=1e999",
        "total;dur=-1;dur=5",
    ],
)
def test_invalid_times_are_counted(metric: str) -> None:
    """Other times of the header are still read."""
    assert parse_milliseconds(f"queue;dur=1, {metric}, compute;dur=2") == (
        {"queue": 1, "compute": 2},
        1,
    )


def test_a_sum_that_is_longer_than_the_probe_is_ignored() -> None:
    """Each of its times counts as ignored; other components and the rounding of 1 ms do not."""
    header = ", ".join(["queue;dur=1"] * 500 + ["compute;dur=6", "compute;dur=4.9", "total;dur=9"])

    reported = parse_response({"Server-Timing": header}, wall=0.010)

    assert reported.ignored == 500
    assert reported.times == pytest.approx({Component.COMPUTE: 0.0109, Component.TOTAL: 0.009})


@pytest.mark.parametrize("metric", ["db;dur=5", "cache;desc=hit", "cdn", "dur=5", "totals;dur=x"])
def test_unknown_metrics_are_skipped(metric: str) -> None:
    """They do not count as ignored."""
    assert parse_milliseconds(f"{metric}, queue;dur=1") == ({"queue": 1}, 0)


def test_a_long_header_is_truncated() -> None:
    """A metric that is cut off is not read as a shorter time."""
    padding = "x" * (MAX_PARSED_HEADER_CHARS - len("queue;dur=1,") - len(",total;dur=12"))

    for more in ("34", "34,load;dur=5,compute;dur=6"):
        assert parse_milliseconds(f"queue;dur=1,{padding},total;dur=12{more}") == ({"queue": 1}, 0)
    assert parse_milliseconds(f"queue;dur=1,{padding},total;dur=12") == (
        {"queue": 1, "total": 12},
        0,
    )


def test_a_number_with_many_digits_is_invalid() -> None:
    """It is rejected fast: parsing it would hold the interpreter lock."""
    began = time.thread_time()
    digits = "1" * 8000 + "x"
    mapping = [{"from": "header", "key": "X-Time", "unit": "ms", "component": "compute"}]

    read_of_it = parse_response(
        {"Server-Timing": f"total;dur={digits}", "X-Time": digits}, mapping=mapping
    )

    assert read_of_it == ServerTimes(ignored=2)
    assert time.thread_time() - began < 0.2


@pytest.mark.parametrize(("name", "component"), COMPONENT_NAMES.items())
def test_component_names(name: str, component: Component) -> None:
    """Each name of the table, in any case."""
    assert parse_milliseconds(f"{name.title()};dur=4") == ({str(component): 4}, 0)


def test_each_component_has_its_own_name() -> None:
    """The label values of the metrics are valid names in the header."""
    assert {name: COMPONENT_NAMES[name] for name in Component} == {
        one.value: one for one in Component
    }


def test_several_times_of_one_component() -> None:
    """Stages add up. Totals include the others, so the longest counts."""
    header = "compute;dur=3, infer;dur=4, total;dur=8, app;dur=9, total;dur=7"

    assert parse_milliseconds(header) == ({"compute": 7, "total": 9}, 0)


def test_impossible_times_are_counted() -> None:
    """No time is longer than the client has waited, plus 1 ms for rounding."""
    header = {"Server-Timing": "queue;dur=101, compute;dur=102"}

    assert parse_response(header, wall=0.1) == ServerTimes(
        times={Component.QUEUE: 0.101}, ignored=1
    )


def test_a_wrong_unit_is_detected() -> None:
    """Milliseconds that are mapped as seconds are ignored."""
    mapping = [{"from": "header", "key": "X-Time", "unit": "s", "component": "total"}]

    assert parse_response({"x-time": "250"}, mapping=mapping, wall=0.3) == ServerTimes(
        times={}, ignored=1
    )


@pytest.mark.parametrize(
    ("unit", "value"), [("s", "0.25"), ("ms", " 250 "), ("us", "250000"), ("ns", "2.5e8")]
)
def test_units_of_headers(unit: str, value: str) -> None:
    """All are a quarter of a second. The header's name is case-insensitive."""
    mapping = [{"from": "header", "key": "X-Time", "unit": unit, "component": "total"}]

    assert parse_response({"x-tIME": value}, mapping=mapping) == ServerTimes(
        times={Component.TOTAL: 0.25}
    )


def test_nanoseconds_of_json() -> None:
    """As reported by Ollama. Values mapped to one component add up."""
    body = {
        "total_duration": 3_000_000_000,
        "load_duration": 500_000_000,
        "prompt_eval_duration": 250_000_000,
        "eval_duration": 2_000_000_000,
    }
    times = {Component.TOTAL: 3.0, Component.LOAD: 0.5, Component.COMPUTE: 2.25}

    assert parse_response(body=body, mapping=OLLAMA) == ServerTimes(times=times)


@pytest.mark.parametrize(
    ("value", "ignored"),
    [
        ('"5"', 1),
        ("true", 1),
        ("[5]", 1),
        ("{}", 1),
        ("-5", 1),
        ("1" + "0" * 400, 1),
        ("null", 0),
    ],
)
def test_invalid_json_values(value: str, ignored: int) -> None:
    """A value that is not a number is counted, null is not."""
    body = f'{{"total_duration": {value}, "load_duration": 1e9}}'.encode()

    expected = ServerTimes(times={Component.LOAD: 1.0}, ignored=ignored)
    assert parse_response(body=body, mapping=OLLAMA) == expected


@pytest.mark.parametrize("value", ["", "12ms", "1, 2", "NaN", "-3", "inf", "1e999", '"5"'])
def test_invalid_header_values(value: str) -> None:
    """Also a header that is sent twice: either value may be wrong."""
    mapping = [{"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}]

    assert parse_response({"X-Time": value}, mapping=mapping) == ServerTimes(ignored=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"\xff",
        b"[" * 100_000,
        b'{"load": 1}',
    ],
)
def test_missing_values_are_not_counted(body: bytes) -> None:
    """A header or path that does not exist, and a body that is not JSON."""
    header = {"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}

    assert parse_response(body=body, mapping=[header, *OLLAMA]) == ServerTimes()


@pytest.mark.parametrize("value", ["7", "many"])
def test_the_mapping_overrides_server_timing(value: str) -> None:
    """Unless the mapped value is invalid, which is counted."""
    mapping = [{"from": "header", "key": "X-Time", "unit": "ms", "component": "total"}]
    headers = {"X-Time": value, "Server-Timing": "total;dur=9, queue;dur=1"}

    total, ignored = (0.007, 0) if value == "7" else (0.009, 1)
    times = {Component.TOTAL: total, Component.QUEUE: 0.001}
    assert parse_response(headers, mapping=mapping) == ServerTimes(times=times, ignored=ignored)


def test_compressed_json_is_decompressed() -> None:
    """As for assertions."""
    body = gzip.compress(b'{"load_duration": 1000000000}')

    reported = parse_response({"Content-Encoding": "gzip"}, body, mapping=OLLAMA)

    assert reported == ServerTimes(times={Component.LOAD: 1.0})


LIKELY = st.lists(
    st.sampled_from([*'";,=\\ \t', "total", "queue", "dur", "DUR", "1", "-", "e9", ".", "é", "nan"])
).map("".join)


@given(st.one_of(st.text(), LIKELY))
@example('"' * 5000)
@example('total;dur="' + "\\" * 5001)
@example(";" * 5000 + "," * 5000)
def test_any_header_is_read(header: str) -> None:
    """No header causes an error or an impossible time."""
    mapping = [{"from": "header", "key": "X-Time", "unit": "ms", "component": "load"}]

    reported = parse_response(
        {"Server-Timing": header, "X-Time": header}, mapping=mapping, wall=1.0
    )

    for component, seconds in reported.times.items():
        assert component in Component
        assert seconds >= 0
    assert reported.ignored >= 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
)


PATHS = ("$.a", "$..a", "$.a[0:9:2]", "$..[?@.a > 1].b", "$..[?search(@.a, 'x')].b", "$.a[?@ < 2]")


@given(JSON, st.sampled_from(PATHS))
def test_any_json_is_read(value: Any, path: str) -> None:
    """No JSON value causes an error or an impossible time."""
    mapping = [{"from": "json", "key": path, "unit": "ms", "component": "total"}]

    reported = parse_response(body={"a": value}, mapping=mapping, wall=1.0)

    assert all(0 <= seconds <= 1.001 for seconds in reported.times.values())


def test_the_times_of_the_toy_model() -> None:
    """End to end: queue and compute take as long as the model says."""
    with running() as model:
        result = run(model.url, json={"data": "x"})

    assert reason(result) is None
    assert set(result.server) == {Component.QUEUE, Component.COMPUTE}
    assert 0.049 <= sum(result.server.values()) <= result.latency + 0.001
    assert result.server_ignored == 0


def test_several_headers_are_one_list(serve: Serve) -> None:
    """A gateway may add a header to the model's."""
    headers = ("Server-Timing: queue;dur=0.2", "server-timing: compute;dur=0.1, total")

    result = run(serve(always(http_response(b"ok", *headers))).url())

    assert result.server == {Component.QUEUE: 0.0002, Component.COMPUTE: 0.0001}
    assert (reason(result), result.server_ignored) == (None, 1)


def test_json_of_a_real_response(serve: Serve) -> None:
    """In nanoseconds, next to an assertion about the same body."""
    server = serve(always(http_response(b'{"done": true, "total_duration": 20000}')))

    result = run(server.url(), expect={"json": {"$.done": {"equals": True}}}, server_timing=OLLAMA)

    assert reason(result) is None
    assert result.server == {Component.TOTAL: 0.00002}


def test_failures_have_server_times(serve: Serve) -> None:
    """Also a response that does not meet `expect` reports its times."""
    reply = http_response(b"", "Server-Timing: queue;dur=0.1", status="503 Busy")

    result = run(serve(always(reply)).url())

    assert reason(result) is Reason.OVERLOADED
    assert result.server == {Component.QUEUE: 0.0001}


def test_a_slow_query_is_ignored() -> None:
    """A large body costs no more than the CPU budget."""
    mapping = [{"from": "json", "key": "$..took", "unit": "ms", "component": "total"}]

    reported = parse_response(body=[[]] * 3000, mapping=mapping, budget=CpuBudget(0.001))

    assert reported == ServerTimes(ignored=1)


def test_all_queries_share_one_budget() -> None:
    """Many mappings of a large body cost no more than one that is aborted.

    The clock advances with each look at it, so other work does not count.
    """
    mapping = [
        {"from": "json", "key": f"$..took{n}", "unit": "ms", "component": "total"} for n in range(4)
    ]
    looks = itertools.count()
    budget = CpuBudget(100, lambda: next(looks))

    reported = parse_response(body=[[]] * 3000, mapping=mapping, budget=budget)

    assert reported == ServerTimes(ignored=4)
    assert 100 <= next(looks) < 100 + 2 * len(mapping)


def _cut_off(peer: Peer) -> None:
    peer.request()
    peer.send(http_response(b"never whole", "Server-Timing: queue;dur=0.1")[:-1])


def _moved(peer: Peer) -> None:
    while received := peer.request():
        on = ("Location: /on", "Server-Timing: total;dur=0.1")
        here = received.line.split()[1] == "/"
        peer.send(http_response(b"", *on, status="302 Found") if here else http_response())


@pytest.mark.parametrize("script", [_cut_off, _moved])
def test_only_the_complete_final_response_is_read(serve: Serve, script: Script) -> None:
    """Neither an incomplete response nor a redirect."""
    result = run(serve(script).url(), redirects=1)

    assert (result.server, result.server_ignored) == ({}, 0)
