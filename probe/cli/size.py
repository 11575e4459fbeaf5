"""`inference-probe size`: instances and batches for a request rate, from formulas."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from probe.cli.command import EXIT_OK, UsageError, usage_error
from probe.cli.flags import FlagAdder, add_output_flag
from probe.config.units import (
    format_duration,
    parse_count,
    parse_duration,
    parse_percentage,
    parse_rate,
)
from probe.formatting import align, format_rate
from probe.load.sizing import (
    MAX_BATCH_SIZE,
    BatchPlan,
    InstanceDemand,
    plan_batches,
    size_instances,
)

# Values of the flags that have a default.
DEFAULTS = {"concurrency": "1", "utilization": "70%", "headroom": "20%"}

# Of any flag: a rate per second, seconds, requests.
MAX_VALUE = 1e9

_EPILOG = f"""\
Instances: an instance with CONCURRENCY requests at a time, each of which takes SERVICE-TIME,
serves CONCURRENCY / SERVICE-TIME x UTILIZATION requests per second. The instances together
serve RATE / (1 - HEADROOM).

Batches: a batch of n requests takes BATCH-OVERHEAD + n x BATCH-ITEM, and its first request waits
until n have arrived. The table has a lower bound of the 95th percentile of the latency, because
uneven arrivals and queues add to it. Batches have up to {MAX_BATCH_SIZE} requests.

Examples:
  inference-probe size --service-time=12ms --concurrency=2 --rate=600
  inference-probe size --batch-overhead=6ms --batch-item=4ms --rate=200 --slo=120ms
Exit code: 0 printed, 2 bad usage."""

_INSTANCE_FLAGS = ("service_time", "concurrency", "utilization", "headroom")
_BATCH_FLAGS = ("batch_overhead", "batch_item", "slo")


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags. Only the output format has a variable, in `environ`."""
    parser.epilog = _EPILOG

    def add(group: argparse._ActionsContainer, flag: str, description: str) -> None:
        default = DEFAULTS.get(flag.strip("-"))
        note = f"; default {default}" if default else ""
        group.add_argument(flag, help=(description + note).replace("%", "%%"))

    add(parser, "--rate", "requests per second to serve, such as 600/s (required)")
    add_output_flag(FlagAdder(parser, environ))
    instances = parser.add_argument_group("number of instances")
    add(instances, "--service-time", "time of one request in an idle instance, such as 12ms")
    add(instances, "--concurrency", "requests that an instance processes at a time")
    add(instances, "--utilization", "utilization at which an instance keeps its latency")
    add(instances, "--headroom", "share of the capacity that is free for peaks and failures")
    batches = parser.add_argument_group("batches of one instance")
    add(batches, "--batch-overhead", "time of a batch in addition to its requests, such as 6ms")
    add(batches, "--batch-item", "time that each request adds to its batch, such as 4ms")
    add(batches, "--slo", "95th percentile of the latency to keep, such as 120ms")


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:  # noqa: ARG001  (as others)
    """Print the number of instances, or the table of batches."""
    try:
        rate = _positive(args, "rate", parse_rate)
        if _is_about_batches(args):
            report: _InstanceReport | _BatchReport = _batch_report(args, rate)
        else:
            report = _instance_report(args, rate)
    except UsageError as error:
        return usage_error(error)
    print(json.dumps(report.document(), indent=2) if args.output == "json" else report.text())
    return EXIT_OK


@dataclass(frozen=True, slots=True)
class _InstanceReport:
    demand: InstanceDemand
    args: argparse.Namespace

    def text(self) -> str:
        demand, args = self.demand, self.args
        capacity, planned = format_rate(demand.instance_capacity), format_rate(demand.planned_rate)
        concurrency, utilization, headroom = (
            _text(args, name) for name in ("concurrency", "utilization", "headroom")
        )
        lines = align(
            [
                (
                    "capacity of an instance",
                    capacity,
                    f"{concurrency} / {args.service_time} x {utilization}",
                ),
                ("capacity to provide", planned, f"{format_rate(demand.rate)} / (1 - {headroom})"),
                ("instances", str(demand.instances), f"{planned} / {capacity}, rounded up"),
            ]
        )
        used = f"{float(demand.utilization):.0%}"
        return "\n".join(
            [*lines, f"At {format_rate(demand.rate)} they use {used} of their capacity."]
        )

    def document(self) -> dict[str, Any]:
        return {
            "rate": float(self.demand.rate),
            "instance_capacity": float(self.demand.instance_capacity),
            "planned_rate": float(self.demand.planned_rate),
            "instances": self.demand.instances,
        }


@dataclass(frozen=True, slots=True)
class _BatchReport:
    plans: Sequence[BatchPlan]
    rate: Fraction
    slo_seconds: Fraction

    def text(self) -> str:
        rows = [("batch", "max wait", "service", "p95 at least", "capacity", "")]
        rows += [
            (
                str(plan.size),
                _milliseconds(plan.wait_seconds),
                _milliseconds(plan.service_seconds),
                "-" if plan.is_saturated else _milliseconds(plan.min_p95_seconds),
                format_rate(plan.capacity),
                self._remark(plan),
            )
            for plan in self.plans
        ]
        return "\n".join([*align(rows), "", self._conclusion()])

    def _remark(self, plan: BatchPlan) -> str:
        if plan.is_saturated:
            return f"saturated at {format_rate(self.rate)}"
        if plan.min_p95_seconds > self.slo_seconds:
            return f"over {format_duration(float(self.slo_seconds))}"
        return ""

    def _usable(self) -> list[BatchPlan]:
        return [
            plan
            for plan in self.plans
            if not plan.is_saturated and plan.min_p95_seconds <= self.slo_seconds
        ]

    def _conclusion(self) -> str:
        slo, rate = format_duration(float(self.slo_seconds)), format_rate(self.rate)
        if sizes := [str(plan.size) for plan in self._usable()]:
            return (
                f"Batches of {' or '.join(sizes)} can keep a p95 of {slo} at {rate}."
                " The p95 is a lower bound: uneven arrivals and queues add to it, so measure it."
            )
        return (
            f"No batch size keeps a p95 of {slo} at {rate} with one instance: divide the rate among"
            " several, or make batches faster."
        )

    def document(self) -> dict[str, Any]:
        return {
            "rate": float(self.rate),
            "slo_seconds": float(self.slo_seconds),
            "batches": [
                {
                    "size": plan.size,
                    "wait_seconds": float(plan.wait_seconds),
                    "service_seconds": float(plan.service_seconds),
                    "min_p95_seconds": float(plan.min_p95_seconds),
                    "capacity": float(plan.capacity),
                    "saturated": plan.is_saturated,
                }
                for plan in self.plans
            ],
        }


def _is_about_batches(args: argparse.Namespace) -> bool:
    """Return whether the flags are those of batches. Raises UsageError for flags of both."""
    instance_flags = [_flag(name) for name in _INSTANCE_FLAGS if getattr(args, name)]
    batch_flags = [_flag(name) for name in _BATCH_FLAGS if getattr(args, name)]
    if instance_flags and batch_flags:
        raise UsageError(
            f"{instance_flags[0]} is about the number of instances, and {batch_flags[0]} about"
            " batches: give the flags of one of them"
        )
    return bool(batch_flags)


def _instance_report(args: argparse.Namespace, rate: Fraction) -> _InstanceReport:
    if args.service_time is None:
        raise UsageError(
            "write --service-time for the number of instances, or --batch-overhead, --batch-item"
            " and --slo for batches"
        )
    utilization = _positive(args, "utilization", parse_percentage)
    if utilization > 1:
        raise UsageError("--utilization is more than 100%; write at most 100%")
    headroom = _parsed(args, "headroom", parse_percentage)
    if headroom >= 1:
        raise UsageError("--headroom is 100% or more; write less, such as 20%")
    demand = size_instances(
        service_seconds=_positive(args, "service_time", parse_duration),
        concurrency=int(_positive(args, "concurrency", parse_count)),
        utilization=utilization,
        rate=rate,
        headroom=headroom,
    )
    return _InstanceReport(demand, args)


def _batch_report(args: argparse.Namespace, rate: Fraction) -> _BatchReport:
    slo_seconds = _positive(args, "slo", parse_duration)
    plans = plan_batches(
        overhead_seconds=_parsed(args, "batch_overhead", parse_duration),
        item_seconds=_positive(args, "batch_item", parse_duration),
        rate=rate,
        slo_seconds=slo_seconds,
    )
    return _BatchReport(tuple(plans), rate, slo_seconds)


def _parsed(args: argparse.Namespace, name: str, parse: Callable[[str], float]) -> Fraction:
    """Return the value of a flag as the decimal number that was written. Raises UsageError."""
    text = _text(args, name)
    if text is None:
        raise UsageError(f"{_flag(name)} is missing")
    try:
        value = parse(text)
    except ValueError as error:
        raise UsageError(f"{_flag(name)}: {error}") from None
    if value > MAX_VALUE:
        raise UsageError(f"{_flag(name)} is more than {MAX_VALUE:g}; write less")
    return Fraction(repr(value))


def _positive(args: argparse.Namespace, name: str, parse: Callable[[str], float]) -> Fraction:
    value = _parsed(args, name, parse)
    if value <= 0:
        raise UsageError(f"{_flag(name)} is 0; write more")
    return value


def _text(args: argparse.Namespace, name: str) -> str | None:
    """Return the value of a flag as it was written, or its default."""
    text: str | None = getattr(args, name)
    return DEFAULTS.get(name) if text is None else text


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _milliseconds(seconds: Fraction) -> str:
    return f"{float(seconds * 1000):.4g} ms"
