"""One share of a load test that several machines run together."""

import math
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from probe.cli.command import UsageError
from probe.cli.load_options import LoadOptions
from probe.cli.load_progress import Progress
from probe.clock import Clock, rfc3339
from probe.load.exporter import ExportedGenerator, LoadExporter, Run
from probe.load.measurement import LoadGenerator
from probe.load.objective import LoadObjective
from probe.load.report import StepReport
from probe.load.search import SearchResult
from probe.load.shared_steps import SharedSchedule, run_shared_steps
from probe.load.step import MIN_WARM_UP_SECONDS
from probe.load.stop import StopReason

# After the last step a share waits for scrapes: two, because several Prometheus may scrape it.
FINAL_SCRAPES = 2
MAX_FINAL_SCRAPE_SECONDS = 120.0


def run_share(
    generator: LoadGenerator,
    options: LoadOptions,
    *,
    probe_name: str,
    timeout_seconds: float,
    objectives: Sequence[LoadObjective],
    progress: Progress,
    clock: Clock,
) -> SearchResult:
    """Run the steps at their times, and serve the metrics until they were scraped.

    Raises UsageError if the start is over.
    """
    assert options.share
    assert options.start
    assert options.step_seconds
    start = rfc3339(options.start)
    if options.start < clock.unix_seconds():
        raise UsageError(
            f"--start-at={start} is over; write a time at which all shares will have started"
        )
    counted_seconds = math.floor(options.step_seconds)
    if counted_seconds < 1:
        raise UsageError("--step-duration of a share is less than 1s; write more, such as 150s")
    exporter = LoadExporter(
        Run(
            probe=probe_name,
            start=start,
            share=options.share,
            objectives=tuple(objectives),
            warm_up_seconds=math.ceil(MIN_WARM_UP_SECONDS),
            counted_seconds=counted_seconds,
        )
    )
    schedule = SharedSchedule(
        start=options.start,
        rates=options.rates,
        step_seconds=MIN_WARM_UP_SECONDS + counted_seconds,
        warm_up_seconds=MIN_WARM_UP_SECONDS,
        timeout_seconds=timeout_seconds,
    )
    with _serve(exporter, options.listen_address):
        result = run_shared_steps(
            ExportedGenerator(generator, exporter),
            schedule,
            objectives,
            now=clock.unix_seconds,
            sleep=time.sleep,
            on_progress=progress.show_step,
            on_end=lambda step: progress.end_step(StepReport.of(step)),
        )
        if options.listen_address and result.reason is StopReason.ONE_SHARE:
            _wait_for_scrapes(exporter, progress)
    return result


@contextmanager
def _serve(exporter: LoadExporter, address: tuple[str, int] | None) -> Iterator[None]:
    """Serve the metrics on `address`, if there is one. Raises OSError."""
    if address is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(exporter)
    host, port = address
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    server, thread = start_http_server(port, host or everywhere, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _wait_for_scrapes(exporter: LoadExporter, progress: Progress) -> None:
    progress.note("all steps have ended; the metrics are served until they were scraped twice")
    try:
        if not exporter.wait_for_scrapes(FINAL_SCRAPES, MAX_FINAL_SCRAPE_SECONDS):
            progress.note(
                f"there were no {FINAL_SCRAPES} scrapes in {MAX_FINAL_SCRAPE_SECONDS:.0f} s, so"
                " Prometheus may not have the end of the last step"
            )
    except KeyboardInterrupt:
        progress.note("interrupted; Prometheus may not have the end of the last step")
