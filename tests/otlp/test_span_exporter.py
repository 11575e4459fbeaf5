"""The export of spans: sampling, batches, losses, and the end of the daemon."""

import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.config.choices import TraceSampling
from probe.config.settings import Tracing
from probe.daemon.prober_factory import ProberFactory
from probe.metrics.exposition import Exposition
from probe.otlp import client, span_exporter
from probe.otlp.client import OtlpClient
from probe.otlp.span_exporter import MAX_QUEUED_RESULTS, SpanExporter
from probe.remote_server import RemoteServer
from probe.result import FirstRequest, Reason, Result
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import ProbeRunner
from tests.builders import make_result, make_settings
from tests.fakes import FakeProber, ManualExecutor
from tests.http.conftest import Authority
from tests.otlp.collector import Collector, attributes, collecting
from tests.server.page_fixtures import wait_until

SPANS_OF_A_RESULT = 3
Start = Callable[..., SpanExporter]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def start(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start an exporter to the collector, or to another URL."""
    monkeypatch.setattr(span_exporter, "BATCH_SECONDS", 0.05)
    exporters = []

    def start(*, sample: str = "always", url: str | None = None, **how: Any) -> SpanExporter:
        url = url or f"{collector.url}/v1/traces"
        exporter = SpanExporter(OtlpClient(RemoteServer(url=url, **how)), "host:10115")
        settings = make_settings(
            tmp_path, {"name": "model", "url": "http://model/"}, tracing={"sample": sample}
        )
        exporter.apply_config(settings)
        exporter.start()
        exporters.append(exporter)
        return exporter

    yield start
    for exporter in exporters:
        exporter.close(5)


def traced(number: int = 1, **fields: Any) -> Result:
    request = FirstRequest(method="GET", url="http://model/", user_agent=None)
    return make_result(trace_id=f"{number:032x}", **{"request": request, **fields})


def lost(exporter: SpanExporter) -> int:
    exposition = Exposition(openmetrics=False)
    exporter.write_to(exposition)
    match = re.search(r"\ninference_probe_lost_traces_total (\d+)", exposition.text())
    assert match
    return int(match[1])


def test_spans_are_exported(start: Start, collector: Collector) -> None:
    """With the resource of the daemon, as JSON, and with the headers of the receiver."""
    exporter = start(authorization="Bearer token", headers={"X-Scope-OrgID": "team-a"})
    for number in (1, 2, 3):
        exporter.record(traced(number))
    spans = collector.wait_for_spans(3 * SPANS_OF_A_RESULT)
    assert {int(span["traceId"], 16) for span in spans} == {1, 2, 3}
    path, headers, document = collector.requests[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/json"
    assert (headers["authorization"], headers["x-scope-orgid"]) == ("Bearer token", "team-a")
    (resource_spans,) = document["resourceSpans"]
    resource = attributes(resource_spans["resource"])
    names = ("service.name", "service.instance.id")
    assert [resource[name] for name in names] == ["inference-probe", "host:10115"]
    assert lost(exporter) == 0


@pytest.mark.parametrize(
    ("sample", "exported"), [("never", set()), ("failures", {2}), ("always", {1, 2})]
)
def test_which_runs_are_exported(
    start: Start, collector: Collector, sample: str, exported: set[int]
) -> None:
    """Results without a trace id are never exported."""
    exporter = start(sample=sample)
    exporter.record(traced(1))
    exporter.record(traced(2, reason=Reason.HTTP_5XX))
    exporter.record(make_result(reason=Reason.HTTP_5XX))
    exporter.close(5)
    assert {int(span["traceId"], 16) for span in collector.spans} == exported
    assert lost(exporter) == 0


def test_a_slow_receiver_does_not_delay_a_run(start: Start, collector: Collector) -> None:
    """Results wait in a queue, and those that do not fit are lost and counted, logged once."""
    exporter = start()
    collector.paused.clear()
    exporter.record(traced())
    time.sleep(0.2)  # the first document is being sent now
    begin = time.monotonic()
    for _ in range(MAX_QUEUED_RESULTS + 50):
        exporter.record(traced())
    assert time.monotonic() - begin < 1
    assert lost(exporter) == 50
    collector.paused.set()
    collector.wait_for_spans((MAX_QUEUED_RESULTS + 1) * SPANS_OF_A_RESULT)


def test_losses_are_logged_once(
    start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the response of the receiver. After a success, a loss is logged again."""
    exporter = start()
    collector.status, collector.body = 400, b"no such tenant"
    with caplog.at_level(logging.WARNING, logger=span_exporter.__name__):
        exporter.record(traced())
        wait_until(lambda: lost(exporter) == 1)
        exporter.record(traced())
        wait_until(lambda: lost(exporter) == 2)
        collector.status = 200
        exporter.record(traced())
        wait_until(lambda: len(collector.requests) == 3)
        time.sleep(0.1)
        collector.status = 413
        exporter.record(traced())
        wait_until(lambda: lost(exporter) == 3)
    lines = [(record.getMessage(), vars(record)["fields"]["reason"]) for record in caplog.records]
    url = f"{collector.url}/v1/traces"
    assert lines == [
        ("traces are lost", f"{url}: status 400: no such tenant"),
        ("traces are lost", f"{url}: status 413: no such tenant"),
    ]


def test_spans_that_the_receiver_rejects_are_lost(start: Start, collector: Collector) -> None:
    """A response with the status 200 can have a partial success. Its numbers are text in JSON."""
    exporter = start()
    collector.body = b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}'
    exporter.record(traced())
    wait_until(lambda: lost(exporter) == 1)


@pytest.mark.parametrize(
    ("number", "expected"), [(b"1", 1), (b'"2"', 2), (b"4", 3), (b'"many"', 3), (b"null", 0)]
)
def test_rejected_spans_of_a_batch(
    start: Start, collector: Collector, number: bytes, expected: int
) -> None:
    """Each span may belong to another trace. An invalid number means all, and is no bug."""
    exporter = start()
    collector.body = b'{"partialSuccess": {"rejectedSpans": %s}}' % number
    collector.paused.clear()
    exporter.record(traced(9))
    time.sleep(0.2)  # the first document is being sent now
    for run in (1, 2, 3):
        exporter.record(traced(run))
    collector.paused.set()
    collector.wait_for_spans(4 * SPANS_OF_A_RESULT)
    assert [len(batch) for batch in collector.batches] == [
        SPANS_OF_A_RESULT,
        3 * SPANS_OF_A_RESULT,
    ]
    collector.body = b"{}"
    exporter.record(traced(4))
    collector.wait_for_spans(5 * SPANS_OF_A_RESULT)
    assert lost(exporter) == min(expected, 1) + expected


def test_a_bug_loses_traces(
    start: Start,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are counted, and the next ones are exported."""
    exporter = start()

    def fail(*_: object) -> None:
        raise RuntimeError("bug")

    with monkeypatch.context() as context:
        context.setattr(span_exporter, "result_spans", fail)
        exporter.record(traced(1))
        wait_until(lambda: lost(exporter) == 1)
    exporter.record(traced(2))
    spans = collector.wait_for_spans(SPANS_OF_A_RESULT)
    assert {int(span["traceId"], 16) for span in spans} == {2}
    assert caplog.messages == ["bug: traces could not be exported"]


def test_a_reload_during_a_run(start: Start, collector: Collector, tmp_path: Path) -> None:
    """The span of a scheduled run has the method and the URL that it requested."""
    exporter = start()
    before, after = (
        make_settings(tmp_path, {"name": "model", "url": url, "method": method})
        for url, method in (("http://127.0.0.1:1/a", "PUT"), ("http://127.0.0.1:1/b", "GET"))
    )
    clock, accounting, executor = Clock(), TickAccounting(), ManualExecutor()
    factory = ProberFactory(environ={}, base=tmp_path, clock=clock)
    old, new = (factory.build(settings, {"model"})["model"] for settings in (before, after))

    class ReloadingProber(FakeProber):
        """Runs the old probe. Meanwhile, the runner gets the new config."""

        def __init__(self) -> None:
            super().__init__(self._run_during_reload)

        def _run_during_reload(self) -> Result:
            runner.update(new)
            exporter.apply_config(after)
            return old.prober.run()

    runner = ProbeRunner(
        replace(old, prober=ReloadingProber()),
        ticks=accounting.add_probe("model"),
        sinks=[exporter],
        observe_lag=lambda _: None,
        run_state=RunState(),
        executor=executor,
        clock=clock,
    )
    after = replace(after, tracing=Tracing(sample=TraceSampling.ALWAYS))
    runner.on_due(clock.monotonic(), 0)
    executor.tasks.pop()()
    spans = collector.wait_for_spans(SPANS_OF_A_RESULT)
    (request,) = (span for span in spans if span["kind"] == 3)
    assert request["name"] == "PUT"
    assert attributes(request)["url.full"] == "http://127.0.0.1:1/a"


WARNING = b'{"partialSuccess": {"errorMessage": "old version"}}'


def test_a_warning_of_the_receiver(
    start: Start, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, also if the next documents have one. No trace is lost."""
    exporter = start()
    for number, body in enumerate((WARNING, WARNING, b"{}", WARNING), start=1):
        collector.body = body
        exporter.record(traced(number))
        collector.wait_for_spans(number * SPANS_OF_A_RESULT)
        time.sleep(0.1)  # the response follows
    assert caplog.messages == ["the receiver of traces has a warning"] * 2
    reason = vars(caplog.records[0])["fields"]["reason"]
    assert reason == f"{collector.url}/v1/traces: accepted with a warning: old version"
    assert lost(exporter) == 0


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(429, "1"), (503, "1"), (503, "3600")],
)
def test_the_receiver_can_ask_for_a_pause(
    start: Start,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    retry_after: str,
) -> None:
    """In seconds, up to a limit, here 1 s."""
    monkeypatch.setattr(client, "MAX_RETRY_AFTER_SECONDS", 1)
    monkeypatch.setattr(span_exporter, "RETRY_PAUSES_SECONDS", (0.1,))
    exporter = start()
    collector.status, collector.headers = status, {"Retry-After": retry_after}
    exporter.record(traced())
    assert 0.8 < _pause(collector) < 2


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(502, "5"), (503, "-5"), (503, "Sun, 06 Nov 2044 08:49:37 GMT")],
)
def test_other_pauses_are_those_of_the_exporter(
    start: Start,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    retry_after: str,
) -> None:
    """If the response has no valid number of seconds, or another status."""
    monkeypatch.setattr(span_exporter, "RETRY_PAUSES_SECONDS", (0.1,))
    exporter = start()
    collector.status, collector.headers = status, {"Retry-After": retry_after}
    exporter.record(traced())
    assert _pause(collector) < 0.8


def _pause(collector: Collector) -> float:
    """Return the time between the first two requests (seconds)."""
    wait_until(lambda: len(collector.requests) == 1)
    begin = time.monotonic()
    wait_until(lambda: len(collector.requests) == 2)
    return time.monotonic() - begin


def test_a_receiver_that_is_not_available_is_asked_again(
    start: Start, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traces are in the next attempt. After the last one they are lost."""
    monkeypatch.setattr(span_exporter, "RETRY_PAUSES_SECONDS", (0.5, 0.5))
    exporter = start()
    collector.status = 503
    exporter.record(traced(1))
    wait_until(lambda: len(collector.requests) == 2)
    collector.status = 200
    wait_until(lambda: len(collector.requests) == 3)
    collector.status = 503
    exporter.record(traced(2))
    wait_until(lambda: lost(exporter) == 1)
    traces = [int(span["traceId"], 16) for span in collector.spans]
    assert sorted(traces) == sorted([*[1] * 3 * SPANS_OF_A_RESULT, *[2] * 3 * SPANS_OF_A_RESULT])


def test_the_end_does_not_wait_for_the_receiver(start: Start) -> None:
    """Traces are lost if there is no receiver: the daemon stops at once."""
    exporter = start(url="http://127.0.0.1:1/v1/traces")
    exporter.record(traced())
    begin = time.monotonic()
    exporter.close(5)
    assert time.monotonic() - begin < 2
    assert lost(exporter) == 1


@pytest.mark.parametrize("is_trusted", [True, False])
def test_tls(
    start: Start, authority: Authority, caplog: pytest.LogCaptureFixture, is_trusted: bool
) -> None:
    """The certificate must be valid for the name of the server; otherwise traces are lost."""
    context = ssl.create_default_context(cafile=authority.file if is_trusted else None)
    with collecting(authority.context("collector.test")) as collector:
        url = f"{collector.url}/v1/traces"
        exporter = start(url=url, tls=context, server_name="collector.test")
        exporter.record(traced())
        if is_trusted:
            collector.wait_for_spans(SPANS_OF_A_RESULT)
        else:
            exporter.close(5)
            (record,) = caplog.records
            assert "its certificate is not accepted" in vars(record)["fields"]["reason"]


def test_a_page_instead_of_a_receiver(collector: Collector) -> None:
    """A proxy that shows a login page accepts nothing, although its status is 200."""
    collector.body, collector.headers = b"<html>Log in</html>", {"Content-Type": "text/html"}
    client = OtlpClient(RemoteServer(url=f"{collector.url}/v1/traces"))

    warning = client.send([b"{}"])

    assert warning == (
        f"{collector.url}/v1/traces: the response is a page, so this is no OTLP receiver"
    )
