"""`inference-probe compare --now`: send requests to both sides, and compare their results."""

import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from probe.cli.compare_options import CompareOptions
from probe.cli.compare_sides import SideArgument
from probe.cli.compare_target import CompareTarget
from probe.cli.permission import require_permission
from probe.cli.progress_line import ProgressLine, bar
from probe.clock import Clock
from probe.compare.comparison import Comparison, compare_results
from probe.compare.interleaved import (
    MIN_INTERVAL_SECONDS,
    InterleavedRun,
    MeasurementProgress,
    default_interval,
    warm_up,
)
from probe.compare.side_results import SideResults
from probe.config.units import format_duration
from probe.daemon.prober_factory import ProberFactory
from probe.formatting import format_rate
from probe.result import Result, RunProbe, Signal
from probe.threads import ThreadCache


class NoResponses(Exception):
    """All of the first requests failed. The message says why."""


def compare_now(
    target: CompareTarget,
    options: CompareOptions,
    environ: Mapping[str, str],
    *,
    is_allowed: bool,
) -> Comparison:
    """Send the requests, and return the comparison of what was received.

    Raises UsageError without permission, NoResponses, and TlsError and OSError for files.
    """
    rate = options.rate or 1 / MIN_INTERVAL_SECONDS
    require_permission(
        target.probes,
        f"{2 * options.requests} requests at up to {rate:g} per second",
        warning="--requests and --rate limit the load.",
        is_allowed=is_allowed,
    )
    stopped = _stop_on_signals()
    clock = Clock()
    factory = ProberFactory(environ=environ, base=target.config.base, clock=clock)
    names = [probe.name for probe in target.probes]
    compiled = factory.build(target.config.settings, names)
    runners = [compiled[name].prober.run for name in names]
    progress = ProgressLine(sys.stderr)
    interval = _prepare(runners, options, progress, stopped, clock)
    # The same requests are good on both sides.
    results = ResultsBySide(options.sides, target.a.strictest_thresholds)

    def show(state: MeasurementProgress) -> None:
        progress.show(
            f"{bar(state.sent / state.planned)} {state.sent} of {state.planned} requests,"
            f" {state.in_flight} in flight"
        )

    run = InterleavedRun(
        runners,
        rounds=2 * options.requests // len(runners),
        interval_seconds=interval,
        record=results.add,
        on_progress=show,
        stopped=stopped,
        executor=ThreadCache("compare"),
        clock=clock,
        rng=random.Random(),
    )
    run.run()
    progress.show("")
    factory.close()
    return compare_results(
        *results.sides, margins=options.margins, notes=results.notes(is_stopped=stopped.is_set())
    )


class ResultsBySide:
    """The results of both sides, and the results that belong to neither side."""

    def __init__(
        self, arguments: tuple[SideArgument, SideArgument], thresholds: Mapping[Signal, float]
    ) -> None:
        self._arguments = arguments
        self.sides = [
            SideResults(name=argument.text, thresholds=thresholds) for argument in arguments
        ]
        # Of one dimension, by value; None: results without one.
        self._others: Counter[str | None] = Counter()
        # The values of the dimension of each side in the responses of its probe.
        self._seen: tuple[set[str], set[str]] = (set(), set())

    def add(self, result: Result) -> None:
        """Count `result` for its side."""
        for argument, seen in zip(self._arguments, self._seen, strict=True):
            if result.probe == argument.probe and (value := argument.value_of(result)):
                seen.add(value)
        for argument, side in zip(self._arguments, self.sides, strict=True):
            if argument.matches(result):
                side.add(result)
                return
        argument = next(item for item in self._arguments if item.probe == result.probe)
        self._others[argument.value_of(result)] += 1

    def notes(self, *, is_stopped: bool) -> list[str]:
        """Return sentences about the results that are missing."""
        notes = []
        if is_stopped:
            notes.append("Interrupted: this is the comparison of the requests until then.")
        notes += [
            _not_seen(argument, seen)
            for argument, seen in zip(self._arguments, self._seen, strict=True)
            if argument.value is not None and argument.value not in seen
        ]
        notes += [
            f"{side.not_counted} requests of {side.name} are not counted, because this machine"
            " failed or was too busy."
            for side in self.sides
            if side.not_counted
        ]
        notes += [
            f"{side.cold} requests of {side.name} are not counted, because they were cold starts."
            for side in self.sides
            if side.cold
        ]
        if self._others:
            values = ", ".join(
                f"{count} without a value" if value is None else f"{count} with {value}"
                for value, count in self._others.most_common()
            )
            notes.append(f"Requests of neither side: {values}.")
        return notes


def _not_seen(argument: SideArgument, seen: Set[str]) -> str:
    """Return that no response had the value of a side, with the values that there were."""
    values = (
        f"seen: {', '.join(sorted(seen))}" if seen else f"no response had a {argument.dimension}"
    )
    return f"{argument.text}: {argument.dimension} {argument.value} was not seen; {values}."


def _stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set. A second signal ends the process."""
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopped


def _prepare(
    runners: Sequence[RunProbe],
    options: CompareOptions,
    progress: ProgressLine,
    stopped: threading.Event,
    clock: Clock,
) -> float:
    """Send the first requests, and return the interval between two requests (seconds).

    Raises NoResponses if all of them fail, unless `stopped` is set.
    """
    results = warm_up(runners, stopped, clock)
    if not stopped.is_set() and all(result.failure for result in results):
        raise NoResponses(f"all of the first requests failed: {_failures(results)}")
    groups = _results_by_side(results, options.sides)
    interval = 1 / options.rate if options.rate else default_interval(groups)
    total = 2 * options.requests
    progress.note(
        f"{total} requests at {format_rate(1 / interval)}, in"
        f" {format_duration(float(round(total * interval)))}"
    )
    return interval


def _results_by_side(
    results: Sequence[Result], sides: Sequence[SideArgument]
) -> Iterable[list[Result]]:
    """Return the results of each side, and those that belong to neither side."""
    groups: dict[str | None, list[Result]] = {}
    for result in results:
        name = next((side.text for side in sides if side.matches(result)), None)
        groups.setdefault(name, []).append(result)
    return groups.values()


def _failures(results: Sequence[Result]) -> str:
    """Return the last failure of each probe."""
    details = {
        result.probe: f"{result.probe}: {result.failure.reason}, {result.failure.detail}"
        for result in results
        if result.failure
    }
    return "; ".join(details.values())
