"""A soak for people (Markdown) and for programs (JSON)."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.report import number, table, where
from bench.soak_plot import Soak
from bench.soak_targets import FAULTS, slug
from bench.soak_verdict import Verdict
from bench.timeline import Row

UNTOLD = ("growth in 10 min", "", "", "", "not judged: too short")
"""The row of a soak of less than some eleven minutes."""


def markdown(soak: Soak, verdicts: Iterable[Verdict], levels: Iterable[str], *, rate: int) -> str:
    """Where it ran, the verdicts, and how the faults were reported."""
    minutes = soak.seconds / 60
    skipped = {why: n for why, n in soak.samples[-1].told.skipped.items() if n}
    log = Counter(levels)
    return "\n\n".join(
        (
            f"{where()}; {minutes:.1f} minutes at {rate} probes/s.",
            table(
                ("bound", "where", "found", "at most", "met"),
                [*map(_verdict, verdicts), *([] if soak.tells_growth else [UNTOLD])],
            ),
            f"Ticks skipped: {_counts(skipped)}. Lines of the log: {_counts(log)}.",
            table(("the endpoint ...", "failures", "known for"), _faults(soak)),
        )
    )


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    unit = f" {verdict.unit}" if verdict.unit else ""
    return (
        verdict.claim,
        verdict.where,
        number(verdict.value) + unit,
        f"{verdict.bound:g}{unit}",
        "yes" if verdict.met else "**no**",
    )


def _faults(soak: Soak) -> Iterable[tuple[str, ...]]:
    for fault in FAULTS:
        failures = {
            reason: n
            for (kind, reason), n in soak.samples[-1].told.failures.items()
            if kind == slug(fault.name)
        }
        name = fault.name.removeprefix("the endpoint ")
        yield name, _counts(failures), ", ".join(sorted(fault.reasons)) or "none"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"


def document(soak: Soak, verdicts: Iterable[Verdict], rows: Sequence[Row]) -> str:
    """JSON of the verdicts, and of what happened from sample to sample."""
    written = {
        "verdicts": [{**dataclasses.asdict(one), "met": one.met} for one in verdicts],
        "took_median_seconds": soak.took,
        "unread": soak.unread,
        "samples": rows,
    }
    return json.dumps(written, indent=1) + "\n"
