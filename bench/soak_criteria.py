"""Acceptance criteria of the soak test."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics_text import increase, quantile
from bench.soak_samples import Sample, count_ticks
from bench.soak_targets import HEALTHY_KINDS
from bench.verdict import Verdict
from bench.workload import HISTORY_SECONDS

# Growth is that of the minima of such windows: a burst uses threads and memory and returns them, a
# leak does not. Each window contains every config.
WINDOW_SECONDS = 120.0

# With fewer windows, growth cannot be distinguished from noise.
MIN_WINDOWS = 4

TEN_MINUTES = 600.0

# In ten minutes and in addition to noise: MB, threads, descriptors.
MAX_GROWTH = 1.0

# The memory limit of the container in the manifests: 128 MiB.
MAX_MEMORY_BYTES = 128 * 2**20

# A tick is counted at most this long after its due time: half of the shortest interval.
MAX_COUNT_DELAY_SECONDS = 0.5

# Between the median that a probe reports and the true one.
MAX_MEDIAN_ERROR_MS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """The results of a soak test."""

    samples: Sequence[Sample]
    true_medians: Mapping[str, float]
    """By healthy kind of probe: the true median latency of its endpoint, in seconds."""
    failed_pages: Sequence[str]
    """Pages that were not served, and the reasons."""
    exit_code: int
    """Of the daemon, after SIGTERM."""
    oom_kills: int | None
    """Processes that the kernel has ended because of the memory limit; None without a cgroup."""

    @property
    def seconds(self) -> float:
        return self.samples[-1].received - self.samples[0].received

    @property
    def warm_up_seconds(self) -> float:
        """The time after which memory has no more reason to grow."""
        return max(self.seconds / 4, HISTORY_SECONDS)

    @property
    def samples_after_warm_up(self) -> list[Sample]:
        end = self.samples[0].received + self.warm_up_seconds
        return [sample for sample in self.samples if sample.received >= end]

    @property
    def is_long_enough_for_growth(self) -> bool:
        samples = self.samples_after_warm_up
        return bool(samples) and (
            _windows(samples[0].received, samples[-1].received) >= MIN_WINDOWS
        )


def evaluate(soak: Soak) -> list[Verdict]:
    """Return a verdict for each criterion."""
    samples = soak.samples
    scrapes = f"{len(samples)} scrapes"
    unbalanced = sum(len(sample.metrics.unbalanced) for sample in samples)
    ticks = count_ticks(samples)
    failures = [
        count for (kind, _), count in samples[-1].metrics.failures.items() if kind in HEALTHY_KINDS
    ]
    return [
        Verdict(criterion="ticks not accounted for", where=scrapes, value=unbalanced, bound=0),
        Verdict(criterion="ticks lost", where=f"of {ticks}", value=lost_ticks(samples), bound=0),
        *_memory(soak, scrapes),
        *(_growths(soak.samples_after_warm_up) if soak.is_long_enough_for_growth else ()),
        *_medians(soak),
        Verdict(criterion="failures of healthy probes", where="", value=sum(failures), bound=0),
        Verdict(criterion="pages not served", where="", value=len(soak.failed_pages), bound=0),
        Verdict(criterion="exit code after SIGTERM", where="", value=abs(soak.exit_code), bound=0),
    ]


def _memory(soak: Soak, scrapes: str) -> Iterator[Verdict]:
    in_cgroup = soak.oom_kills is not None
    yield Verdict(
        criterion="highest memory",
        where=f"in a cgroup, {scrapes}" if in_cgroup else f"RSS and sockets, {scrapes}",
        value=max(sample.memory_megabytes for sample in soak.samples),
        unit="MB",
        bound=round(MAX_MEMORY_BYTES / 1e6, 1),
    )
    if soak.oom_kills is not None:
        yield Verdict(
            criterion="processes killed at the memory limit",
            where="limit of the cgroup: 128 MiB",
            value=soak.oom_kills,
            bound=0,
        )


def lost_ticks(samples: Sequence[Sample]) -> int:
    """Return the number of ticks that were due and not counted.

    Considers the probes that exist in all samples.
    """
    first, *others = samples
    missing = dict.fromkeys(first.metrics.ticks, 0)
    for sample in others:
        seconds = sample.requested - first.received - MAX_COUNT_DELAY_SECONDS
        ticks, intervals = sample.metrics.ticks, sample.metrics.intervals
        missing = {
            probe: max(
                highest,
                math.floor(seconds / intervals[probe]) - ticks[probe] + first.metrics.ticks[probe],
            )
            for probe, highest in missing.items()
            if probe in ticks
        }
    return sum(missing.values())


def growth(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the growth in ten minutes, and how much of it may be noise; `times` are seconds.

    The growth is the median of the slopes between any two samples (Theil and Sen). The noise is
    the slope of a line that rises from the first sample to the last by twice the standard deviation
    of the samples around their line. The deviation is estimated by the median distance.
    """
    x, y = np.array(times), np.array(values, float)
    first, second = np.triu_indices(len(x), 1)
    slope = float(np.median((y[second] - y[first]) / (x[second] - x[first])))
    residuals = y - slope * x
    deviation = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
    span = times[-1] - times[0]
    return slope * TEN_MINUTES, 2 * deviation / span * TEN_MINUTES


def window_minima(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Return the minimum of each complete window, in the order of time."""
    minima: dict[int, float] = {}
    for time, value in zip(times, values, strict=True):
        window = int((time - times[0]) // WINDOW_SECONDS)
        minima[window] = min(value, minima.get(window, math.inf))
    return list(minima.values())[: _windows(times[0], times[-1])]


def _windows(first: float, last: float) -> int:
    return int((last - first) // WINDOW_SECONDS)


def _growths(samples: Sequence[Sample]) -> Iterator[Verdict]:
    times = [sample.received for sample in samples]
    for name, unit, values in (
        ("RSS", "MB", [sample.rss_megabytes for sample in samples]),
        ("threads", "", [float(sample.threads) for sample in samples]),
        ("descriptors", "", [float(sample.descriptors) for sample in samples]),
    ):
        minima = window_minima(times, values)
        slope, noise = growth([WINDOW_SECONDS * n for n in range(len(minima))], minima)
        yield Verdict(
            criterion=f"growth of {name} in 10 min",
            where=f"minima of 2 min, {min(minima):.4g} to {max(minima):.4g}",
            value=slope,
            unit=unit,
            bound=round(MAX_GROWTH + noise, 2),
        )


def _medians(soak: Soak) -> Iterator[Verdict]:
    first, last = soak.samples[0].metrics.latency, soak.samples[-1].metrics.latency
    for kind in HEALTHY_KINDS:
        reported, true = quantile(increase(first[kind], last[kind]), 0.5), soak.true_medians[kind]
        yield Verdict(
            criterion="error of the median latency",
            where=f"{kind}, true median {true * 1e3:.2f} ms",
            value=abs(reported - true) * 1e3,
            unit="ms",
            bound=MAX_MEDIAN_ERROR_MS,
        )
