"""What `check` says of a config that is valid: what will run, what it costs, what to think over."""

from collections.abc import Iterator
from dataclasses import dataclass

from probe.record.exposition import Exposition
from probe.record.recorder import Recorder, shown_url
from probe.schedule.ledger import Ledger
from probe.settings.schema import Objective, Probe, Settings
from probe.settings.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The daemon as it would run."""

    settings: Settings
    series: int
    advice: tuple[str, ...]


def plan(settings: Settings) -> Plan:
    """`series` are those that Prometheus would store of all probes together."""
    return Plan(settings=settings, series=_series(settings), advice=tuple(_advice(settings)))


def _series(settings: Settings) -> int:
    recorder = Recorder(Ledger(probe.name for probe in settings.probes))
    for probe in settings.probes:
        recorder.watch(probe, {"startup": lambda: True})
    page = Exposition(openmetrics=False)
    recorder.expose(page)
    return sum(not line.startswith("#") for line in page.text().splitlines())


def _advice(settings: Settings) -> Iterator[str]:
    for probe in settings.probes:
        if not probe.objectives:
            yield f"{probe.name}: no objectives, so only ModelDown can fire for it"
        for objective in probe.objectives:
            if objective.latency is not None and objective.latency >= probe.timeout:
                yield (
                    f"{probe.name}, {objective.name}: the threshold "
                    f"{format_duration(objective.latency)} is not below the timeout "
                    f"{format_duration(probe.timeout)}; every probe that succeeds is good"
                )


def text(plan: Plan, source: str) -> str:
    """For people."""
    lines = []
    for probe in plan.settings.probes:
        pace = f"every {format_duration(probe.interval)}, timeout {format_duration(probe.timeout)}"
        lines.append(f"{probe.name}: {probe.method} {shown_url(probe)} {pace}")
        lines += [f"    {one.name}: {promise(one)}" for one in probe.objectives]
    count = len(plan.settings.probes)
    probes = "1 probe" if count == 1 else f"{count} probes"
    lines += [f"advice: {advice}" for advice in plan.advice]
    return "\n".join([*lines, f"{source} is valid: {probes}, {plan.series} series"])


def promise(objective: Objective) -> str:
    """An objective in one line: `99% under 500ms (page)`."""
    share = f"{objective.target * 100:.10g}%"
    within = f"under {format_duration(objective.latency)}" if objective.latency else "succeed"
    return f"{share} {within} ({objective.alert})"


def document(plan: Plan) -> dict[str, object]:
    """For machines."""
    return {
        "valid": True,
        "problems": [],
        "probes": [_probe(probe) for probe in plan.settings.probes],
        "series": plan.series,
        "advice": list(plan.advice),
    }


def _probe(probe: Probe) -> dict[str, object]:
    return {
        "name": probe.name,
        "method": probe.method,
        "url": shown_url(probe),
        "interval_seconds": probe.interval,
        "timeout_seconds": probe.timeout,
        "objectives": [
            {
                "name": one.name,
                "target": one.target,
                "latency_seconds": one.latency,
                "alert": one.alert,
            }
            for one in probe.objectives
        ],
    }
