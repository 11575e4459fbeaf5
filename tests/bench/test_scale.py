"""Arithmetic and bounds of the benchmark of scale, and the processes that it measures."""

import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path

import pytest

from bench import start_delays
from bench.processes import ProcessMemory, run_process
from bench.scale_criteria import (
    ADDED_DELAY,
    CPU,
    CPU_SPREAD,
    LAG,
    RELOAD,
    SCRAPE_CPU,
    SKIPPED,
    START,
    evaluate,
)
from bench.scale_report import render_json, render_markdown
from bench.scale_results import (
    CONSTANT,
    LIMITED,
    Peer,
    ScaleResult,
    ScaleWorkload,
    Span,
)
from bench.start_delays import BareTimer, StartDelay
from tests.commands import environment, port_of
from tests.servers import respond_with, serve

MEMORY = ProcessMemory(resident=40.0, proportional=30.0)
LARGE = ScaleWorkload(probes=5000, rate=250)


def _span(start: float, end: float, cpu: float = 0.0) -> Span:
    return Span(start=start, end=end, cpu=cpu)


def _result(
    workload: ScaleWorkload = CONSTANT[0],
    *,
    delays: Sequence[StartDelay] = (StartDelay(0.0, 0.001),),
    bare_delays: Sequence[StartDelay] = (StartDelay(0.0, 0.001),),
    cpu: float = 0.001,
    peer_cpu: float = 0.002,
) -> ScaleResult:
    """Return a result: 10 s quiet, then a scrape, a page and a reload of a second each."""
    scrape = _span(10, 11, 0.1)
    return ScaleResult(
        workload=workload,
        started=_span(-20, -19.6, 0.4),
        first_tick=0.5,
        quiet=_span(0, 10, cpu),
        scraped=_span(10, 25),
        scrapes=[scrape],
        pages=[_span(25, 26, 0.1)],
        reload=_span(26, 27, 0.1),
        delays=delays,
        bare_delays=bare_delays,
        histogram_p99=0.001,
        skipped=0,
        failed=0,
        memory=MEMORY,
        worker=None,
        peer=Peer(cpu=peer_cpu, failed=0, memory=MEMORY),
        is_limited=True,
    )


def _missed(*results: ScaleResult) -> set[str]:
    return {verdict.criterion for verdict in evaluate(results) if not verdict.met}


def test_cpu_of_a_span_is_without_the_probes_in_it() -> None:
    """Four runs in the quiet time cost 2 ms each; two runs are in the scrape, one after it."""
    starts = [1, 2, 3, 9.999, 10.0, 10.5, 11.0]
    result = _result(delays=[StartDelay(start - 0.25, 0.25) for start in starts], cpu=0.008)
    assert result.cpu == pytest.approx(0.002)
    assert result.cpu_of(result.scrapes) == pytest.approx(0.1 - 2 * 0.002)


def test_delays_in_a_span() -> None:
    """A run belongs to a span if it waited for its start in it."""
    delays = [StartDelay(9.9, 0.05), StartDelay(9.9, 0.2), StartDelay(10.9, 0.4)]
    result = _result(delays=delays, bare_delays=[StartDelay(10.5, 0.1), StartDelay(12.0, 9.0)])
    assert result.p99(*result.scrapes) == 0.4
    assert result.bare_p99(*result.scrapes) == 0.1
    assert result.added_delay(result.scrapes) == pytest.approx(0.3)
    assert result.added_delay([result.reload]) == 0
    assert math.isnan(result.p99(result.reload))


def test_due_times_are_those_of_the_daemon() -> None:
    """Each probe is due once per interval, at an offset by its name."""
    workload = ScaleWorkload(probes=10, rate=20)
    due_times = list(takewhile(lambda due: due < 1.0, workload.due_times()))
    assert workload.interval == "500ms"
    assert len(due_times) == 20
    assert due_times[10:] == pytest.approx([due + 0.5 for due in due_times[:10]])


def test_cpu_is_compared_with_blackbox_and_between_numbers_of_probes() -> None:
    """The lowest and the highest CPU at the constant rate may differ by a factor of 1.3."""
    results = [_result(workload) for workload in CONSTANT[:-1]]
    assert CPU_SPREAD not in {verdict.criterion for verdict in evaluate(results)}
    assert not _missed(*results, _result(CONSTANT[-1], cpu=0.00129, peer_cpu=0.0026)) & {
        CPU,
        CPU_SPREAD,
    }
    assert _missed(*results, _result(CONSTANT[-1], cpu=0.00131)) >= {CPU, CPU_SPREAD}


@pytest.mark.parametrize(
    ("seconds", "bare_seconds", "is_met"),
    [(0.02, 0.001, True), (0.021, 0.001, False), (0.039, 0.02, True), (0.041, 0.02, False)],
)
@pytest.mark.parametrize("due", [10.5, 20.0, 25.5, 26.5])
def test_lag(due: float, seconds: float, bare_seconds: float, is_met: bool) -> None:
    """20 ms, or twice that of the bare timer: also during scrapes, pages and reloads."""
    result = _result(
        LARGE,
        delays=[StartDelay(due, seconds)],
        bare_delays=[StartDelay(due, bare_seconds)],
    )
    verdicts = [verdict for verdict in evaluate([result]) if verdict.criterion == LAG]
    measured = [verdict for verdict in verdicts if not math.isnan(verdict.value)]
    assert len(verdicts) == 4
    assert [verdict.met for verdict in measured] == [is_met] * len(measured)
    assert len(measured) == (2 if due == 10.5 else 1)


def test_other_bounds() -> None:
    """Skipped ticks, CPU and delays of a scrape, start and reload have bounds."""
    assert not _missed(_result(LIMITED)) & {SKIPPED}
    assert _missed(dataclasses.replace(_result(LIMITED), skipped=1)) >= {SKIPPED}

    good = _result(CONSTANT[2])
    assert not _missed(good) & {SCRAPE_CPU, ADDED_DELAY, START}
    slow = dataclasses.replace(
        good,
        started=_span(0, 0.91),
        scrapes=[_span(10, 11, 0.13)],
        delays=[StartDelay(0.0, 0.001), StartDelay(10.5, 0.0031)],
        bare_delays=[StartDelay(10.5, 0.001)],
    )
    assert _missed(slow) >= {SCRAPE_CPU, ADDED_DELAY, START}

    assert RELOAD not in _missed(_result(CONSTANT[-1]))
    assert RELOAD in _missed(dataclasses.replace(_result(CONSTANT[-1]), reload=_span(0, 2.1)))


def test_report() -> None:
    """Each workload is in each table, also without blackbox_exporter."""
    results = [_result(), dataclasses.replace(_result(LARGE), peer=None, worker=MEMORY)]
    verdicts = evaluate(results)
    text = render_markdown(results, verdicts, "conditions")
    _, _, tables = text.partition("**Probes.**")
    assert tables.count("| 5,000 probes, 250/s") == 3
    assert "40.0 / 30.0" in tables
    document = render_json(results, verdicts, "conditions")
    assert len(document["results"][0]["delays"]) == 101


@pytest.mark.timing
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_bare_timer_records_its_delays() -> None:
    """It has one delay for each due time until it is stopped."""
    with BareTimer(lambda: (number / 200 for number in range(1, 1000))) as timer:
        start = timer.start()
        time.sleep(0.5)
        delays = timer.stop()
    assert 50 < len(delays) < 110
    assert delays[0].due == pytest.approx(start + 0.005)
    assert sorted(delay.seconds for delay in delays)[len(delays) // 2] < 0.05


def test_the_daemon_records_the_delays_of_its_runs(tmp_path: Path) -> None:
    """A file has the due time and the delay of each run."""
    log, config, delays = tmp_path / "log", tmp_path / "probe.yml", tmp_path / "delays"
    with serve(respond_with()) as url:
        config.write_text(f"probes: [{{name: model, url: '{url}', interval: 100ms, timeout: 1s}}]")
        arguments = ("run", "--web.listen-address=127.0.0.1:0", f"--config.file={config}")
        command = (sys.executable, "-m", "bench.start_delays", delays, *arguments)
        with (
            log.open("w") as stderr,
            run_process(*command, stderr=stderr, env=environment()) as run,
        ):
            port_of(run, log)
            time.sleep(0.5)
            end = time.monotonic()
    runs = start_delays.read(delays)
    assert len(runs) >= 3
    for earlier, later in pairwise(runs):
        intervals = (later.due - earlier.due) / 0.1
        assert intervals == pytest.approx(round(intervals), abs=0.05)
    assert all(0 <= run.seconds < 1 and run.due < end + 5 for run in runs)
