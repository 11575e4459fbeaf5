"""Run the daemon on a workload of the benchmark of scale, and measure what it does."""

import gzip
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench import start_delays
from bench.blackbox import Blackbox
from bench.cgroup import Cgroup, cpu_cgroup
from bench.cost import METRICS, PAGE, fetch
from bench.daemon import write_config
from bench.metrics_text import buckets, increase, quantile, sums
from bench.processes import (
    child_pids,
    cpu_seconds,
    ended_children_cpu_seconds,
    run_process,
    total_memory,
)
from bench.reference_server import Endpoint, ReferenceServer
from bench.scale_results import Peer, ScaleResult, ScaleWorkload, Span
from bench.start_delays import BareTimer
from tests.commands import Running, environment, port_of

# The wait for a line of the log.
POLL_SECONDS = 0.005
RELOAD_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured of each workload, after each probe has run once."""

    quiet_seconds: float = 8.0
    scraped_seconds: float = 15.0
    """The scrape interval of Prometheus."""
    requests: int = 3
    """Pages, and scrapes next to the one of the scrape interval."""
    pause_seconds: float = 0.5
    """Before each of them."""
    peer_seconds: float = 5.0


class ScaleBench:
    """Measures workloads with one reference server, next to blackbox_exporter if there is one."""

    def __init__(
        self, server: ReferenceServer, directory: Path, exporter: Blackbox | None, plan: Plan
    ) -> None:
        self._server = server
        self._directory = directory
        self._exporter = exporter
        self._plan = plan

    def measure(self, workload: ScaleWorkload) -> ScaleResult:
        config, delays = self._directory / "probe.yml", self._directory / "delays"
        with ExitStack() as stack:
            endpoint = stack.enter_context(self._server.run(tls=False))
            limit = cpu_cgroup(workload.cores) if workload.cores else nullcontext()
            cgroup = stack.enter_context(limit)
            timer = stack.enter_context(BareTimer(workload.due_times))
            self._write_config(config, workload, endpoint, timeout="2s")
            process_start = time.monotonic()
            daemon = stack.enter_context(_run_daemon(config, delays, cgroup))
            started = Span(start=process_start, end=time.monotonic(), cpu=_cpu(daemon))
            timer.start()
            time.sleep(workload.interval_seconds + self._plan.pause_seconds)
            warm = fetch(daemon.port, "/metrics", METRICS)
            quiet = _measure(daemon, lambda: time.sleep(self._plan.quiet_seconds))
            first, scraped = self._scrape_interval(daemon)
            pages, _ = self._request(daemon, "/", PAGE)
            self._write_config(config, workload, endpoint, timeout="3s")
            reload = _measure(daemon, lambda: _reload(daemon))
            scrapes, body = self._request(daemon, "/metrics", METRICS)
            memory = total_memory([daemon.process.pid])
            children = child_pids(daemon.process.pid)
            worker = total_memory(children) if children else None
            bare_delays = timer.stop()
            daemon.terminate()
        text = gzip.decompress(body).decode()
        lag = "schedule_lag_seconds"
        lags = increase(buckets(gzip.decompress(warm).decode(), lag), buckets(text, lag))
        runs = start_delays.read(delays)
        return ScaleResult(
            workload=workload,
            started=started,
            first_tick=min(delay.due + delay.seconds for delay in runs) - process_start,
            quiet=quiet,
            scraped=scraped,
            scrapes=[first, *scrapes],
            pages=pages,
            reload=reload,
            delays=runs,
            bare_delays=bare_delays,
            histogram_p99=quantile(lags, 0.99),
            skipped=sums(text, "skipped_total").total(),
            failed=sums(text, "failures_total").total(),
            memory=memory,
            worker=worker,
            peer=self._measure_peer(workload),
            is_limited=cgroup is not None,
        )

    def _write_config(
        self, config: Path, workload: ScaleWorkload, endpoint: Endpoint, *, timeout: str
    ) -> None:
        write_config(
            config,
            endpoint,
            self._server,
            probes=workload.probes,
            interval=workload.interval,
            timeout=timeout,
        )

    def _scrape_interval(self, daemon: Running) -> tuple[Span, Span]:
        """Return a scrape, and the interval that begins with it."""
        end = time.monotonic() + self._plan.scraped_seconds
        scrapes: list[Span] = []

        def scrape_and_wait() -> None:
            scrapes.append(_fetch(daemon, "/metrics", METRICS)[0])
            time.sleep(max(0.0, end - time.monotonic()))

        interval = _measure(daemon, scrape_and_wait)
        return scrapes[0], interval

    def _request(self, daemon: Running, path: str, accept: str) -> tuple[list[Span], bytes]:
        """Return the requests of a path, and the last body."""
        spans = []
        for _ in range(self._plan.requests):
            time.sleep(self._plan.pause_seconds)
            span, body = _fetch(daemon, path, accept)
            spans.append(span)
        return spans, body

    def _measure_peer(self, workload: ScaleWorkload) -> Peer | None:
        """Return blackbox_exporter at the same rate; none with a limit of the CPU time."""
        if not self._exporter or workload.cores:
            return None
        measurement = self._exporter.measure_schedule(
            workload.probes, workload.interval_seconds, self._plan.peer_seconds, tls=False
        )
        return Peer(
            cpu=measurement.run.cpu, failed=measurement.run.failed, memory=measurement.memory
        )


@contextmanager
def _run_daemon(config: Path, delays: Path, cgroup: Cgroup | None) -> Iterator[Running]:
    """Run the command until the end of the block, from the time when it serves."""
    log = config.with_name("daemon.log")
    command: tuple[str | Path, ...] = (
        *(sys.executable, "-m", "bench.start_delays", delays, "run"),
        *("--web.listen-address=127.0.0.1:0", f"--config.file={config}"),
    )
    if cgroup:
        command = cgroup.command(*command)
    with (
        log.open("w") as stderr,
        run_process(*command, stderr=stderr, env=environment()) as process,
    ):
        yield Running(process, port_of(process, log), log)


def _cpu(daemon: Running) -> float:
    """Return the CPU time of the daemon, and of its child processes that have ended."""
    pid = daemon.process.pid
    return cpu_seconds(pid) + ended_children_cpu_seconds(pid)


def _measure(daemon: Running, action: Callable[[], None]) -> Span:
    cpu, start = _cpu(daemon), time.monotonic()
    action()
    end = time.monotonic()
    return Span(start=start, end=end, cpu=_cpu(daemon) - cpu)


def _fetch(daemon: Running, path: str, accept: str) -> tuple[Span, bytes]:
    cpu, start = _cpu(daemon), time.monotonic()
    body = fetch(daemon.port, path, accept)
    end = time.monotonic()
    cpu = _cpu(daemon) - cpu
    size = len(gzip.decompress(body))
    return Span(start=start, end=end, cpu=cpu, size=size, compressed=len(body)), body


def _reload(daemon: Running) -> None:
    """Reload the config. Raises TimeoutError if that takes too long or fails."""
    deadline = time.monotonic() + RELOAD_TIMEOUT_SECONDS
    daemon.process.send_signal(signal.SIGHUP)
    while "config reloaded" not in daemon.log():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the config was not reloaded:\n{daemon.log()}")
        time.sleep(POLL_SECONDS)
