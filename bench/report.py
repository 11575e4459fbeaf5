"""Figures for people (Markdown) and for programs (JSON)."""

import dataclasses
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.figures import OURS, Accuracy, Figures, quantile
from bench.soak_verdict import Verdict

SHARES = (0.5, 0.9, 0.99)
BOUNDS = (
    "**Bounds.** Beside blackbox_exporter, the idle daemon (GIL held) or the quiet one (scrapes), "
    "the ratio counts:"
)


def markdown(figures: Figures, verdicts: Sequence[Verdict], machine: Mapping[str, str]) -> str:
    """Where it ran, the verdicts, and the errors that they were made from."""
    return "\n\n".join(
        (
            "; ".join(f"{name}: {value}" for name, value in machine.items()) + ".",
            BOUNDS,
            _verdicts(verdicts),
            "**Errors** in ms (p50 / p90 / p99 of all rounds together), CPU in ms per probe:",
            _accuracies(figures.accuracies),
            *_scrapes(figures),
        )
    )


def _verdicts(verdicts: Iterable[Verdict]) -> str:
    head = ("bound", "where", OURS, "measure", "ratio", "at most", "met")
    return table(head, (_row(verdict) for verdict in verdicts))


def _row(verdict: Verdict) -> tuple[str, ...]:
    unit = f" {verdict.unit}" if verdict.unit else ""
    compared = verdict.base is not None
    at_most = f"{verdict.bound:g}" + ("" if compared else unit)
    return (
        verdict.claim,
        verdict.where,
        number(verdict.value) + unit,
        number(verdict.base) + unit if verdict.base is not None else "",
        f"{verdict.judged:.2f}" if compared else "",
        at_most if verdict.aim is None else f"{at_most} (aim {verdict.aim:g})",
        "yes" if verdict.met else "**no**",
    )


def _accuracies(accuracies: Iterable[Accuracy]) -> str:
    head = ("prober", "work", "`wait` error", "total error", "CPU", "probes", "failed")
    rows = (
        (
            one.prober,
            str(one.workload),
            _quantiles(one.waits),
            _quantiles(one.totals),
            number(one.cpu * 1e3),
            str(len(one.errors)),
            str(one.failed),
        )
        for one in accuracies
    )
    return table(head, rows)


def _scrapes(figures: Figures) -> list[str]:
    scrapes = figures.scrapes
    if not scrapes:
        return []
    totals = ((error.total for error in some) for some in (scrapes.quiet, scrapes.scraped))
    quiet, during = map(_quantiles, totals)
    median, slowest = quantile(scrapes.durations, 0.5), max(scrapes.durations)
    text = (
        f"**Scrapes** of {scrapes.probes} probes, {len(scrapes.durations)} of them: "
        f"{scrapes.size / 1e6:.1f} MB, gzipped {scrapes.compressed / 1e6:.1f} MB; "
        f"{number(median)} s each, the slowest {number(slowest)} s; {number(scrapes.cpu)} s of "
        f"CPU. Total error of the {len(scrapes.scraped)} probes during scrapes {during} ms, of the "
        f"{len(scrapes.quiet)} others {quiet} ms."
    )
    return [text]


def _quantiles(seconds: Iterable[float]) -> str:
    values = list(seconds)
    return " / ".join(number(quantile(values, share) * 1e3) for share in SHARES)


def where() -> str:
    """The day and the machine."""
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"date: {datetime.now(UTC).date()}; machine: {os.cpu_count()} cores, {system}"


def number(value: float) -> str:
    """Three decimals for what is small, fewer for what is not, none for whole numbers."""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.{3 if abs(value) < 10 else 1}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown that is also aligned for who reads it as text."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join(
        [aligned[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *aligned[1:]]
    )


def document(
    figures: Figures, verdicts: Iterable[Verdict], machine: Mapping[str, str]
) -> dict[str, Any]:
    """Everything; errors as percentiles 0 to 100; seconds, but for the verdicts' own units."""
    scrapes = figures.scrapes
    return {
        "machine": dict(machine),
        "verdicts": [
            {**dataclasses.asdict(one), "judged": one.judged, "met": one.met} for one in verdicts
        ],
        "accuracy": [_accuracy(one) for one in figures.accuracies],
        "memory_megabytes": {
            scheme: dataclasses.asdict(one) for scheme, one in figures.memory.items()
        },
        "scrapes": scrapes
        and {
            "probes": scrapes.probes,
            "durations": scrapes.durations,
            "bytes": scrapes.size,
            "bytes_compressed": scrapes.compressed,
            "cpu": scrapes.cpu,
            "total_error_quiet": percentiles(error.total for error in scrapes.quiet),
            "total_error_scraped": percentiles(error.total for error in scrapes.scraped),
        },
        "schedule": figures.schedule and dataclasses.asdict(figures.schedule),
    }


def _accuracy(one: Accuracy) -> dict[str, Any]:
    rounds = [
        {
            "probes": len(run.errors),
            "wait_error_p50": quantile([error.wait for error in run.errors], 0.5),
            "total_error_p50": quantile([error.total for error in run.errors], 0.5),
            "cpu": run.cpu,
        }
        for run in one.runs
    ]
    return {
        "prober": one.prober,
        **dataclasses.asdict(one.workload),
        "probes": len(one.errors),
        "failed": one.failed,
        "cpu": one.cpu,
        "wait_error": percentiles(one.waits),
        "total_error": percentiles(one.totals),
        "rounds": rounds,
    }


def percentiles(values: Iterable[float]) -> list[float]:
    """From the least to the greatest, 101 of them, to the nanosecond; none of nothing."""
    ordered = sorted(values)
    return [round(quantile(ordered, percent / 100), 9) for percent in range(101)] if ordered else []
