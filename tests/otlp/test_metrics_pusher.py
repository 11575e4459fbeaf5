"""Pushes of metrics: their interval, failures, and the last one."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from probe.clock import Clock
from probe.metrics.exposition import Exposition
from probe.otlp import metrics_pusher
from probe.otlp.client import OtlpClient
from probe.otlp.metrics_pusher import MetricsPusher
from probe.remote_server import RemoteServer
from tests.otlp.collector import Collector, collecting
from tests.server.page_fixtures import wait_until

PAGE = ["# HELP up Up.\n# TYPE up gauge\nup 1\n"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def pusher_to(
    url: str,
    interval_seconds: float = 0.2,
    render: Callable[[], Iterable[str]] = lambda: PAGE,
) -> MetricsPusher:
    client = OtlpClient(RemoteServer(url=f"{url}/v1/metrics"))
    return MetricsPusher(client, "host:1", Clock(), render, interval_seconds=interval_seconds)


def failures(pusher: MetricsPusher) -> int:
    exposition = Exposition(openmetrics=False)
    pusher.write_to(exposition)
    match = re.search(r"\ninference_probe_failed_pushes_total (\d+)", exposition.text())
    assert match
    return int(match[1])


def test_metrics_are_pushed_at_intervals(collector: Collector) -> None:
    """The path and the format are those of OTLP/HTTP with JSON."""
    pusher = pusher_to(collector.url)
    pusher.start()
    wait_until(lambda: len(collector.requests) >= 3)
    pusher.close(5)
    path, headers, document = collector.requests[0]
    assert (path, headers["content-type"]) == ("/v1/metrics", "application/json")
    (metric,) = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert metric["name"] == "up"
    assert failures(pusher) == 0


def test_the_last_values_are_pushed(collector: Collector) -> None:
    """When the daemon stops, also if the interval is long."""
    pusher = pusher_to(collector.url, interval_seconds=3600)
    pusher.start()
    pusher.close(5)
    assert len(collector.requests) == 1


def test_failures_are_counted_and_logged_once(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed push is not repeated. The line has the response of the receiver."""
    collector.status, collector.body = 429, b"too many"
    pusher = pusher_to(collector.url)
    with caplog.at_level(logging.WARNING, logger=metrics_pusher.__name__):
        pusher.start()
        wait_until(lambda: failures(pusher) >= 2)
        pusher.close(5)
    (record,) = caplog.records
    reason = vars(record)["fields"]["reason"]
    assert reason == f"{collector.url}/v1/metrics: status 429: too many"


def test_rejected_data_points_are_a_failure(collector: Collector) -> None:
    """A response with the status 200 can have a partial success."""
    collector.body = b'{"partialSuccess": {"rejectedDataPoints": "1"}}'
    pusher = pusher_to(collector.url)
    pusher.start()
    wait_until(lambda: failures(pusher) >= 1)
    pusher.close(5)


@pytest.mark.parametrize("number", [b'"many"', b"-1", b"[]", b"Infinity"])
def test_an_invalid_number_of_rejected_data_points_is_a_failure(
    collector: Collector, number: bytes
) -> None:
    """The next push follows."""
    collector.body = b'{"partialSuccess": {"rejectedDataPoints": %s}}' % number
    pusher = pusher_to(collector.url)
    pusher.start()
    wait_until(lambda: failures(pusher) >= 1)
    collector.body = b"{}"
    requests = len(collector.requests)
    wait_until(lambda: len(collector.requests) >= requests + 3)
    failed = failures(pusher)
    pusher.close(5)
    assert failures(pusher) == failed


def test_a_bug_is_a_failure(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    """The next push follows."""
    bugs = [RuntimeError("bug")]

    def render() -> Iterable[str]:
        if bugs:
            raise bugs.pop()
        return PAGE

    pusher = pusher_to(collector.url, render=render)
    pusher.start()
    wait_until(lambda: len(collector.requests) >= 1)
    pusher.close(5)
    assert failures(pusher) == 1
    assert caplog.messages == ["bug: metrics could not be pushed"]


def test_the_receiver_can_ask_for_a_pause(collector: Collector) -> None:
    """No push follows until then, except the last one."""
    collector.status, collector.headers = 429, {"Retry-After": "60"}
    pusher = pusher_to(collector.url)
    pusher.start()
    wait_until(lambda: failures(pusher) == 1)
    time.sleep(0.5)
    assert len(collector.requests) == 1
    pusher.close(5)
    assert len(collector.requests) == 2


def test_the_end_does_not_wait_for_the_receiver(collector: Collector) -> None:
    """A receiver that does not respond delays the end by the timeout of `close` only."""
    collector.paused.clear()
    pusher = pusher_to(collector.url)
    pusher.start()
    begin = time.monotonic()
    pusher.close(0.3)
    assert time.monotonic() - begin < 1
