"""The results of the accuracy benchmark as Markdown and as JSON."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.accuracy_results import DAEMON, Accuracy, Results, percentiles, quantile
from bench.markdown import aligned_table, format_number
from bench.verdict import Verdict

QUANTILES = (0.5, 0.9, 0.99)
BOUNDS = (
    "**Bounds.** With a baseline (blackbox_exporter, the daemon without the held GIL, or the "
    "probes outside of scrapes), the bound applies to the ratio:"
)


def render_markdown(
    results: Results, verdicts: Sequence[Verdict], machine: Mapping[str, str]
) -> str:
    """Return the machine, the verdicts, and the errors behind them."""
    return "\n\n".join(
        (
            "; ".join(f"{name}: {value}" for name, value in machine.items()) + ".",
            BOUNDS,
            render_verdicts(verdicts),
            "**Errors** in ms (p50 / p90 / p99 over all rounds), CPU in ms per probe:",
            _accuracies(results.accuracies),
            *_scrapes(results),
        )
    )


def render_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Return a table of verdicts."""
    head = ("bound", "where", DAEMON, "baseline", "ratio", "at most", "met")
    return aligned_table(head, (_row(verdict) for verdict in verdicts))


def _row(verdict: Verdict) -> tuple[str, ...]:
    unit = f" {verdict.unit}" if verdict.unit else ""
    is_ratio = verdict.baseline is not None
    at_most = f"{verdict.bound:g}" + ("" if is_ratio else unit)
    return (
        verdict.criterion,
        verdict.where,
        format_number(verdict.value) + unit,
        format_number(verdict.baseline) + unit if verdict.baseline is not None else "",
        f"{verdict.compared:.2f}" if is_ratio else "",
        at_most if verdict.goal is None else f"{at_most} (goal {verdict.goal:g})",
        "yes" if verdict.met else "**no**",
    )


def _accuracies(accuracies: Iterable[Accuracy]) -> str:
    head = ("prober", "work", "`wait` error", "total error", "CPU", "probes", "failed")
    rows = (
        (
            accuracy.prober,
            str(accuracy.workload),
            _quantiles(accuracy.wait_errors),
            _quantiles(accuracy.total_errors),
            format_number(accuracy.cpu * 1e3),
            str(len(accuracy.errors)),
            str(accuracy.failed),
        )
        for accuracy in accuracies
    )
    return aligned_table(head, rows)


def _scrapes(results: Results) -> list[str]:
    scrapes = results.scrapes
    if not scrapes:
        return []
    during, other = (
        _quantiles(error.total for error in errors) for errors in (scrapes.during, scrapes.other)
    )
    median, slowest = quantile(scrapes.durations, 0.5), max(scrapes.durations)
    text = (
        f"**Scrapes**: {len(scrapes.durations)} scrapes of {scrapes.probes} probes: "
        f"{scrapes.size / 1e6:.1f} MB, gzipped {scrapes.compressed / 1e6:.1f} MB; median "
        f"{format_number(median)} s, maximum {format_number(slowest)} s; "
        f"{format_number(scrapes.cpu)} s of CPU per scrape. Total error of the "
        f"{len(scrapes.during)} probes during scrapes {during} ms, of the {len(scrapes.other)} "
        f"others {other} ms."
    )
    return [text]


def _quantiles(seconds: Iterable[float]) -> str:
    values = list(seconds)
    return " / ".join(format_number(quantile(values, ratio) * 1e3) for ratio in QUANTILES)


def render_json(
    results: Results, verdicts: Iterable[Verdict], machine: Mapping[str, str]
) -> dict[str, Any]:
    """Return all results: errors as percentiles 0 to 100, times in seconds except in verdicts."""
    scrapes = results.scrapes
    return {
        "machine": dict(machine),
        "verdicts": [
            {**dataclasses.asdict(verdict), "compared": verdict.compared, "met": verdict.met}
            for verdict in verdicts
        ],
        "accuracy": [_accuracy(accuracy) for accuracy in results.accuracies],
        "memory_megabytes": {
            scheme: dataclasses.asdict(memory) for scheme, memory in results.memory.items()
        },
        "scrapes": scrapes
        and {
            "probes": scrapes.probes,
            "durations": scrapes.durations,
            "bytes": scrapes.size,
            "bytes_compressed": scrapes.compressed,
            "cpu": scrapes.cpu,
            "total_error_during_scrapes": percentiles(error.total for error in scrapes.during),
            "total_error_other": percentiles(error.total for error in scrapes.other),
        },
        "schedule": results.schedule and dataclasses.asdict(results.schedule),
    }


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    rounds = [
        {
            "probes": len(run.errors),
            "wait_error_p50": quantile([error.wait for error in run.errors], 0.5),
            "total_error_p50": quantile([error.total for error in run.errors], 0.5),
            "cpu": run.cpu,
        }
        for run in accuracy.runs
    ]
    return {
        "prober": accuracy.prober,
        **dataclasses.asdict(accuracy.workload),
        "probes": len(accuracy.errors),
        "failed": accuracy.failed,
        "cpu": accuracy.cpu,
        "wait_error": percentiles(accuracy.wait_errors),
        "total_error": percentiles(accuracy.total_errors),
        "rounds": rounds,
    }
