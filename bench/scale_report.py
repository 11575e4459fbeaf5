"""The results of the benchmark of scale as Markdown and as JSON."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from bench.accuracy_report import render_verdicts
from bench.accuracy_results import percentiles
from bench.markdown import aligned_table, format_number
from bench.scale_results import ScaleResult, Span
from bench.verdict import Verdict


def render_markdown(
    results: Sequence[ScaleResult], verdicts: Iterable[Verdict], conditions: str
) -> str:
    """Return the conditions, the verdicts, and the tables behind them."""
    return "\n\n".join(
        (
            conditions,
            "**Bounds.** With a baseline, the bound applies to the ratio:",
            render_verdicts(verdicts),
            "**Probes.** CPU in ms per probe, p99 of the start lag in ms:",
            _probes(results),
            "**Requests and reloads.** Seconds, CPU seconds and MB:",
            _requests(results),
            "**Memory** in MB, RSS / PSS:",
            _memory(results),
        )
    )


def _probes(results: Iterable[ScaleResult]) -> str:
    head = (
        *("workload", "CPU", "blackbox_exporter", "lag, quiet", "bare timer"),
        *("lag, scraped", "bare timer", "lag, histogram", "skipped", "failed"),
    )
    rows = (
        (
            str(result.workload),
            format_number(result.cpu * 1e3),
            format_number(result.peer.cpu * 1e3) if result.peer else "",
            *(
                format_number(seconds * 1e3)
                for span in (result.quiet, result.scraped)
                for seconds in (result.p99(span), result.bare_p99(span))
            ),
            format_number(result.histogram_p99 * 1e3),
            str(result.skipped),
            str(result.failed),
        )
        for result in results
    )
    return aligned_table(head, rows)


def _requests(results: Iterable[ScaleResult]) -> str:
    head = (
        *("workload", "start", "CPU", "first tick", "scrape", "CPU", "size", "gzipped"),
        *("added delay", "page `/`", "CPU", "size", "reload", "CPU"),
    )
    rows = (
        (
            str(result.workload),
            format_number(result.started.seconds),
            format_number(result.started.cpu),
            format_number(result.first_tick),
            _median_seconds(result.scrapes),
            format_number(result.cpu_of(result.scrapes)),
            f"{result.scrapes[-1].size / 1e6:.2f}",
            f"{result.scrapes[-1].compressed / 1e6:.2f}",
            f"{result.added_delay(result.scrapes) * 1e3:.2f} ms",
            _median_seconds(result.pages),
            format_number(result.cpu_of(result.pages)),
            f"{result.pages[-1].size / 1e6:.2f}",
            format_number(result.reload.seconds),
            format_number(result.cpu_of([result.reload])),
        )
        for result in results
    )
    return aligned_table(head, rows)


def _median_seconds(spans: Iterable[Span]) -> str:
    return format_number(statistics.median(span.seconds for span in spans))


def _memory(results: Iterable[ScaleResult]) -> str:
    head = ("workload", "inference-probe", "its child processes", "blackbox_exporter")
    rows = (
        (
            str(result.workload),
            str(result.memory),
            str(result.worker or "none"),
            str(result.peer.memory) if result.peer else "",
        )
        for result in results
    )
    return aligned_table(head, rows)


def render_json(
    results: Iterable[ScaleResult], verdicts: Iterable[Verdict], conditions: str
) -> dict[str, Any]:
    """Return all results: delays as percentiles 0 to 100, times in seconds except in verdicts."""
    return {
        "conditions": conditions,
        "verdicts": [
            dataclasses.asdict(verdict) | {"compared": verdict.compared, "met": verdict.met}
            for verdict in verdicts
        ],
        "results": [
            dataclasses.asdict(dataclasses.replace(result, delays=(), bare_delays=()))
            | {
                "delays": percentiles(delay.seconds for delay in result.delays),
                "bare_delays": percentiles(delay.seconds for delay in result.bare_delays),
            }
            for result in results
        ],
    }
