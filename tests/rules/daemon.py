"""What a scripted daemon would export at each scrape. Times are seconds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import inf

from tests.rules.scripted_counters import LAGS, SKIPS, Life
from tests.rules.scripted_probe import PAUSED, Probe

Exposition = dict[str, float]  # series, as promtool writes them, to their values


@dataclass(frozen=True)
class Target:
    """A daemon as Prometheus scrapes it.

    It starts at each of `starts` and is gone from `gone` on: with `up` 0, or `deleted` in order,
    which leaves no `up`. The scrapes at `failed` fail. From each time in `reloads` on, the last
    reload was a success (1) or not (0).
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
    reloads: Mapping[float, float] = field(default_factory=lambda: {-inf: 1})

    def scrapes(self, times: Sequence[float]) -> list[Exposition]:
        """What Prometheus gets at each of these times; nothing where there is nothing to scrape."""
        lives = list(self._lives(times[-1] + 1))
        return [self._scrape(time, lives) for time in times]

    def _scrape(self, time: float, lives: list[Life]) -> Exposition:
        if time < self.starts[0] or (self.deleted and time >= self.gone):
            return {}
        if time in self.failed or time >= self.gone:
            return {self._series("up"): 0}
        living = [life for life in lives if life.start <= time < life.end]
        return {
            self._series("up"): 1,
            self._series("inference_probe_build_info", version="1"): 1,
            self._series("inference_probe_config_last_reload_successful"): _at(self.reloads, time),
            **{
                self._series("inference_probe_schedule_lag_seconds_bucket", le=le): sum(
                    life.started(time, le) for life in living
                )
                for le in LAGS
            },
            **{series: value for life in living for series, value in self._probe(life, time)},
        }

    def _lives(self, horizon: float) -> Iterator[Life]:
        for probe in self.probes:
            starts = sorted({*self.starts, probe.rebuilt, horizon} - {inf})
            for start, end in pairwise(starts):
                yield Life(probe, start, end, 0 if start == probe.rebuilt else self.grace)

    def _probe(self, life: Life, time: float) -> Iterator[tuple[str, float]]:
        for name, labels, value in (
            *_pace(life.probe),
            *_accounts(life, time),
            *_state(life, time),
            *_objectives(life.probe, time),
            *_histograms(life, time),
        ):
            yield self._series(f"inference_probe_{name}", probe=life.probe.name, **labels), value

    def _series(self, name: str, **labels: str) -> str:
        pairs = sorted({**self.labels, **labels}.items())
        return name + "{" + ", ".join(f'{key}="{value}"' for key, value in pairs) + "}"


Sample = tuple[str, dict[str, str], float]


def _pace(probe: Probe) -> Iterator[Sample]:
    yield "interval_seconds", {}, probe.interval
    yield "timeout_seconds", {}, probe.timeout


def _accounts(life: Life, time: float) -> Iterator[Sample]:
    yield "ticks_total", {}, life.ticks(time)
    for reason in SKIPS:
        yield "skipped_total", {"reason": reason}, life.skipped(time, reason)


def _state(life: Life, time: float) -> Iterator[Sample]:
    paused = life.probe.outcome(time) is PAUSED
    yield "suspended", {"reason": "startup"}, float(time < life.suspended_until)
    yield "suspended", {"reason": "paused"}, float(paused)
    last_success = life.last_success(time)
    if last_success is not None:
        yield "last_success_timestamp_seconds", {}, last_success
    if life.probe.certificates:
        expires = _at(life.probe.certificates, time)
        yield "tls_certificate_not_after_timestamp_seconds", {}, expires


def _objectives(probe: Probe, time: float) -> Iterator[Sample]:
    for it in probe.objectives:
        if it.since <= time < it.until:
            labels = {"slo": it.slo, "threshold": it.threshold, "alert": it.alert}
            yield "slo_objective_ratio", {**labels, "signal": "latency"}, it.target


def _histograms(life: Life, time: float) -> Iterator[Sample]:
    for outcome, success in (("success", True), ("failure", False)):
        for le in life.probe.buckets:
            labels = {"outcome": outcome, "le": le}
            yield "latency_seconds_bucket", labels, life.answers(time, success, le)
        yield "latency_seconds_count", {"outcome": outcome}, life.answers(time, success)
    for phase, le in product(life.probe.phases, life.probe.buckets):
        yield "phase_seconds_bucket", {"phase": phase, "le": le}, life.answers(time, True, le)


def _at(values: Mapping[float, float], time: float) -> float:
    """The value that holds at that time, of those that each hold from a time on."""
    return values[max(start for start in values if start <= time)]
