"""A simulated history of daemons, as Prometheus has scraped it, and what they really counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

THRESHOLD = 0.5
BOUNDS = ("0.1", "0.25", "0.5", "1.0", "+Inf")
OBJECTIVES = (("99% < 500ms", "0.5", 0.99), ("99.9%", "+Inf", 0.999))

FAST, SLOW = 0.08, 0.7
"""Latencies of successes (seconds)."""

REASONS = ("http_5xx", "refused", "startup", "internal")
SKIP_REASONS = ("overlap", "late", "paused", "budget", "shutdown")

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens. Times are seconds after the start of the history."""

    end: float
    interval: float = 10.0
    scrape_interval: float = 30.0
    outages: Sequence[tuple[float, float, str]] = ()
    """Times in which requests fail, with the reason."""
    slow: Sequence[Span] = ()
    pauses: Sequence[Span] = ()
    scrape_gaps: Sequence[Span] = ()
    """Times in which Prometheus does not scrape."""
    noise: int = 0
    """Number of requests of which one is slow. 0: none is."""
    new_version: float | None = None
    """When the version of the model changes from `1` to `2`; None: it is not exported."""
    probe: str = "chat"
    objectives: Sequence[tuple[str, str, float]] = OBJECTIVES
    """Name, threshold and target."""


@dataclass(slots=True)
class Life:
    """One process of a daemon."""

    start: float
    end: float
    values: Counter[str] = field(default_factory=Counter)
    scraped: list[tuple[float, Counter[str]]] = field(default_factory=list)
    """Times of scrapes and the values in them."""


@dataclass(slots=True)
class Replica:
    """A simulated replica with its processes, which end with the times of `lives`."""

    instance: str
    lives: list[Life]

    def run(self, script: Script, origin: float) -> None:
        """Run all processes. `origin` is the start of the history (Unix seconds)."""
        for number, life in enumerate(self.lives):
            scrape = life.start - life.start % script.scrape_interval + script.scrape_interval
            ticks = 0
            while True:
                tick = life.start + (ticks + 0.5) * script.interval
                if tick >= life.end:
                    break
                while scrape <= tick:
                    self._scrape(life, scrape, script, origin)
                    scrape += script.scrape_interval
                _tick(life.values, tick, ticks, script, is_first=number == 0)
                ticks += 1
            while scrape < life.end:
                self._scrape(life, scrape, script, origin)
                scrape += script.scrape_interval

    def _scrape(self, life: Life, time: float, script: Script, origin: float) -> None:
        if not _in(time, script.scrape_gaps):
            life.scraped.append((origin + time, life.values.copy()))

    def scraped_increase(self, name: str, start: float, end: float) -> int:
        """Return the sum of the increases of a counter after `start` until `end` (Unix seconds)."""
        total = 0
        for life in self.lives:
            before = [values[name] for time, values in life.scraped if time <= start]
            until = [values[name] for time, values in life.scraped if time <= end]
            if until:
                total += until[-1] - (before[-1] if before else 0)
        return total

    def lost(self, name: str) -> int:
        """Return what was counted after the last scrape of each process but the last."""
        return sum(
            life.values[name] - (life.scraped[-1][1][name] if life.scraped else 0)
            for life in self.lives[:-1]
        )


def _in(time: float, spans: Iterable[Span]) -> bool:
    return any(start <= time < end for start, end in spans)


def _tick(
    values: Counter[str], time: float, number: int, script: Script, *, is_first: bool
) -> None:
    """Count one due time. The first request after a restart fails, while the model starts."""
    values["ticks"] += 1
    if _in(time, script.pauses):
        values["skipped paused"] += 1
        return
    values["runs"] += 1
    for start, end, reason in script.outages:
        if start <= time < end:
            values[f"failures {reason}"] += 1
            _count(values, "failure", time, script)
            return
    if number == 0 and not is_first:
        values["failures startup"] += 1
        return
    is_slow = _in(time, script.slow) or bool(script.noise and number % script.noise == 7)
    _count(values, "slow" if is_slow else "fast", time, script)


def _count(values: Counter[str], result: str, time: float, script: Script) -> None:
    values[result] += 1
    if script.new_version is not None:
        values[f"version {1 if time < script.new_version else 2} {result}"] += 1


def lines(replicas: Sequence[Replica], script: Script, origin: float) -> Iterator[str]:
    """Yield the samples of all series in the OpenMetrics format."""
    for replica in replicas:
        target = f'job="probes",instance="{replica.instance}"'
        samples: dict[str, list[str]] = defaultdict(list)
        for life in replica.lives:
            for time, values in life.scraped:
                for series, value in _series(values, target, script):
                    samples[series].append(f"{series} {value} {time:.3f}")
                version = f'{target},version="1.0",python_version="3.13"'
                for series, sample in (
                    (f"process_start_time_seconds{{{target}}}", f"{origin + life.start:.2f}"),
                    (f"inference_probe_build_info{{{version}}}", "1"),
                ):
                    samples[series].append(f"{series} {sample} {time:.3f}")
        for series_lines in samples.values():
            yield from series_lines


def _series(values: Counter[str], target: str, script: Script) -> Iterator[tuple[str, float]]:
    labels = f'{target},probe="{script.probe}"'
    yield f"inference_probe_ticks_total{{{labels}}}", values["ticks"]
    yield f"inference_probe_runs_total{{{labels}}}", values["runs"]
    yield f"inference_probe_interval_seconds{{{labels}}}", script.interval
    for reason in SKIP_REASONS:
        name = f'inference_probe_skipped_total{{{labels},reason="{reason}"}}'
        yield name, values[f"skipped {reason}"]
    for reason in REASONS:
        name = f'inference_probe_failures_total{{{labels},reason="{reason}"}}'
        yield name, values[f"failures {reason}"]
    for bound in BOUNDS:
        successes = values["fast"] + (values["slow"] if float(bound) >= SLOW else 0)
        bucket = f'{labels},le="{bound}",outcome'
        yield f'inference_probe_latency_seconds_bucket{{{bucket}="success"}}', successes
        failures = values["failure"]
        yield f'inference_probe_latency_seconds_bucket{{{bucket}="failure"}}', failures
        yield from _version_series(values, labels, bound)
        phase = f'{labels},le="{bound}",phase="wait"'
        yield f"inference_probe_phase_seconds_bucket{{{phase}}}", successes
    successes = values["fast"] + values["slow"]
    phase_sum = FAST * values["fast"] + SLOW * values["slow"]
    yield f'inference_probe_phase_seconds_count{{{labels},phase="wait"}}', successes
    yield f'inference_probe_phase_seconds_sum{{{labels},phase="wait"}}', phase_sum
    for slo, threshold, target_ratio in script.objectives:
        objective = f'{labels},slo="{slo}",signal="latency",threshold="{threshold}",alert="page"'
        yield f"inference_probe_slo_objective_ratio{{{objective}}}", target_ratio


def _version_series(values: Counter[str], labels: str, bound: str) -> Iterator[tuple[str, float]]:
    """Yield a bucket of each version that has been seen, as the daemon exports it."""
    for version in ("1", "2"):
        counts = {name: values[f"version {version} {name}"] for name in ("fast", "slow", "failure")}
        if not any(counts.values()):
            continue
        bucket = f'{labels},dimension="version",value="{version}",le="{bound}",outcome'
        successes = counts["fast"] + (counts["slow"] if float(bound) >= SLOW else 0)
        for outcome, count in (("success", successes), ("failure", counts["failure"])):
            name = "inference_probe_dimension_duration_seconds_bucket"
            yield f'{name}{{{bucket}="{outcome}"}}', count


def alert_lines(
    alert: str, start: float, end: float, *, slo: str = "", severity: str = "page"
) -> Iterator[str]:
    """Yield the samples of an alert that fires from `start` to `end` (Unix seconds)."""
    labels = f'alertname="{alert}",alertstate="firing",job="probes",probe="chat"'
    labels += f',slo="{slo}"' if slo else ""
    time = start
    while time <= end:
        yield f'ALERTS{{{labels},slo_severity="{severity}"}} 1 {time:.3f}'
        time += 30
