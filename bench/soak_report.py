"""The results of a soak test as Markdown and as JSON."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.markdown import aligned_table, environment, format_number
from bench.soak_criteria import Soak
from bench.soak_plot import Row
from bench.soak_targets import FAULTS, kind_of_fault
from bench.verdict import Verdict

# For a test of less than about eleven minutes.
GROWTH_NOT_EVALUATED = ("growth in 10 min", "", "", "", "not evaluated: too short")


def render_markdown(
    soak: Soak, verdicts: Iterable[Verdict], log_levels: Iterable[str], *, rate: int
) -> str:
    """Return the environment, the verdicts, and the reported failures of the faulty endpoints."""
    minutes = soak.seconds / 60
    skipped = {reason: n for reason, n in soak.samples[-1].metrics.skipped.items() if n}
    rows = [_row(verdict) for verdict in verdicts]
    if not soak.is_long_enough_for_growth:
        rows.append(GROWTH_NOT_EVALUATED)
    return "\n\n".join(
        (
            f"{environment()}; {minutes:.1f} minutes at {rate} probes/s.",
            aligned_table(("bound", "where", "result", "at most", "met"), rows),
            f"Skipped ticks: {_counts(skipped)}. Log lines: {_counts(Counter(log_levels))}.",
            aligned_table(("the endpoint ...", "failures", "expected"), _faults(soak)),
        )
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    unit = f" {verdict.unit}" if verdict.unit else ""
    return (
        verdict.criterion,
        verdict.where,
        format_number(verdict.value) + unit,
        f"{verdict.bound:g}{unit}",
        "yes" if verdict.met else "**no**",
    )


def _faults(soak: Soak) -> Iterable[tuple[str, ...]]:
    for fault in FAULTS:
        failures = {
            reason: n
            for (kind, reason), n in soak.samples[-1].metrics.failures.items()
            if kind == kind_of_fault(fault.name)
        }
        name = fault.name.removeprefix("the endpoint ")
        yield name, _counts(failures), ", ".join(sorted(fault.reasons)) or "none"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"


def render_json(soak: Soak, verdicts: Iterable[Verdict], rows: Sequence[Row]) -> str:
    """Return the verdicts and the course of the test as JSON."""
    document = {
        "verdicts": [{**dataclasses.asdict(verdict), "met": verdict.met} for verdict in verdicts],
        "true_median_seconds": soak.true_medians,
        "failed_pages": soak.failed_pages,
        "samples": rows,
    }
    return json.dumps(document, indent=1) + "\n"
