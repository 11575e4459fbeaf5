"""What a daemon would export at each scrape, for a scripted course of events. Times are seconds."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product
from math import inf

Exposition = dict[str, float]  # series, as promtool writes them, to their values


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a probe ends. `charged` is false for what reaches no histogram."""

    latency: float
    success: bool = False
    charged: bool = True


GOOD = Outcome(latency=0.1, success=True)
SLOW = Outcome(latency=0.8, success=True)
REFUSED = Outcome(latency=0.001)
TIMEOUT = Outcome(latency=5)
INTERNAL = Outcome(latency=0, charged=False)
PAUSED = Outcome(latency=inf, charged=False)
HUNG = Outcome(latency=inf)


Script = Mapping[float, tuple[Outcome, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An objective that the config holds from `since` to `until`."""

    slo: str = "fast"
    target: float = 0.99
    threshold: str = "0.5"
    alert: str = "page"
    since: float = -inf
    until: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe and its fate: from each time in `script` on, its runs end so, in turns."""

    script: Script
    name: str = "sentiment"
    interval: float = 5
    timeout: float = 5
    objectives: tuple[Objective, ...] = (Objective(),)
    buckets: tuple[str, ...] = ("0.25", "0.5", "1.0", "+Inf")
    phases: tuple[str, ...] = ()  # that a success consists of, each as long as the whole
    rebuilt: float = inf  # when a reload starts its histograms anew

    def outcome(self, due: float) -> Outcome:
        start = max((time for time in self.script if time <= due), default=min(self.script))
        turns = self.script[start]
        return turns[int((due - start) // self.interval) % len(turns)]


@dataclass(frozen=True)
class Life:
    """One probe in one life of its histograms: from `start` to `end`."""

    probe: Probe
    start: float
    end: float
    grace: float

    @cached_property
    def counted(self) -> list[tuple[float, Outcome]]:
        """(time, outcome) of what reached the histograms, by time."""
        return [run for run in self._runs if run[1].charged and run[0] >= self.suspended_until]

    @cached_property
    def suspended_until(self) -> float:
        successes = [time for time, outcome in self._runs if outcome.success]
        return min([self.start + self.grace, *successes])

    @cached_property
    def _runs(self) -> list[tuple[float, Outcome]]:
        return sorted(self._finished(), key=lambda run: run[0])

    def _finished(self) -> Iterator[tuple[float, Outcome]]:
        due = -(-self.start // self.probe.interval) * self.probe.interval
        while due < self.end:
            outcome = self.probe.outcome(due)
            if due + outcome.latency < self.end:
                yield due + outcome.latency, outcome
            due += self.probe.interval


@dataclass(frozen=True)
class Target:
    """A daemon as Prometheus scrapes it.

    It starts at each of `starts` and is gone from `gone` on: with `up` 0, or `deleted` in order,
    which leaves no `up`. The scrapes at `failed` fail.
    """

    probes: tuple[Probe, ...]
    labels: Mapping[str, str] = field(
        default_factory=lambda: {"job": "inference-probe", "instance": "probe:10115"}
    )
    starts: tuple[float, ...] = (0,)
    gone: float = inf
    deleted: bool = False
    failed: tuple[float, ...] = ()
    grace: float = 300

    def scrapes(self, times: Sequence[float]) -> list[Exposition]:
        """What Prometheus gets at each of these times; nothing where there is nothing to scrape."""
        lives = list(self._lives(times[-1] + 1))
        return [self._scrape(time, lives) for time in times]

    def _scrape(self, time: float, lives: list[Life]) -> Exposition:
        if time < self.starts[0] or (self.deleted and time >= self.gone):
            return {}
        if time in self.failed or time >= self.gone:
            return {self._series("up"): 0}
        return {
            self._series("up"): 1,
            self._series("inference_probe_build_info", version="1"): 1,
            **{
                series: value
                for life in lives
                if life.start <= time < life.end
                for series, value in self._probe(life, time)
            },
        }

    def _lives(self, horizon: float) -> Iterator[Life]:
        for probe in self.probes:
            starts = sorted({*self.starts, probe.rebuilt, horizon} - {inf})
            for start, end in pairwise(starts):
                yield Life(probe, start, end, 0 if start == probe.rebuilt else self.grace)

    def _probe(self, life: Life, time: float) -> Iterator[tuple[str, float]]:
        yield from self._gauges(life, time)
        yield from self._histograms(life, time)

    def _gauges(self, life: Life, time: float) -> Iterator[tuple[str, float]]:
        probe = life.probe
        labels = {"probe": probe.name}
        yield self._series("inference_probe_interval_seconds", **labels), probe.interval
        yield self._series("inference_probe_timeout_seconds", **labels), probe.timeout
        suspended = {
            "startup": time < life.suspended_until,
            "paused": probe.outcome(time) is PAUSED,
        }
        for reason, value in suspended.items():
            yield self._series("inference_probe_suspended", **labels, reason=reason), float(value)
        successes = [at for at, outcome in life.counted if outcome.success and at <= time]
        if successes:
            name = "inference_probe_last_success_timestamp_seconds"
            yield self._series(name, **labels), successes[-1]
        for it in probe.objectives:
            if it.since <= time < it.until:
                name = "inference_probe_slo_objective_ratio"
                more = {"slo": it.slo, "threshold": it.threshold, "alert": it.alert}
                yield self._series(name, **labels, **more, signal="latency"), it.target

    def _histograms(self, life: Life, time: float) -> Iterator[tuple[str, float]]:
        seen = life.counted[: bisect_right(life.counted, time, key=lambda run: run[0])]
        for name, success in (("success", True), ("failure", False)):
            labels = {"probe": life.probe.name, "outcome": name}
            latencies = [outcome.latency for _, outcome in seen if outcome.success is success]
            for le in life.probe.buckets:
                count = sum(latency <= float(le) for latency in latencies)
                yield self._series("inference_probe_latency_seconds_bucket", **labels, le=le), count
            yield self._series("inference_probe_latency_seconds_count", **labels), len(latencies)
        latencies = [outcome.latency for _, outcome in seen if outcome.success]
        for phase, le in product(life.probe.phases, life.probe.buckets):
            labels = {"probe": life.probe.name, "phase": phase, "le": le}
            count = sum(latency <= float(le) for latency in latencies)
            yield self._series("inference_probe_phase_seconds_bucket", **labels), count

    def _series(self, name: str, **labels: str) -> str:
        pairs = sorted({**self.labels, **labels}.items())
        return name + "{" + ", ".join(f'{key}="{value}"' for key, value in pairs) + "}"
