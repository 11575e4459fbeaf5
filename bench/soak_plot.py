"""What a soak has to show, held against what was found."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.samples import Sample, counted, quantile, since
from bench.soak_targets import KINDS
from bench.soak_verdict import Verdict
from bench.workload import HISTORY

WINDOW = 120.0
"""Seconds, of each of which the least counts: a burst takes threads and memory and gives them back,
a leak does not. All configs have their turn in it.
"""

WINDOWS = 4
"""With fewer of them growth is not told from noise."""

TEN_MINUTES = 600.0

MOST_GROWTH = 1.0
"""In ten minutes beyond noise: MB, threads, descriptors."""

LATE = 0.5
"""Seconds after its due time in which a tick is counted: half the interval."""

MOST_OFF = 1.0
"""Milliseconds between the median that a probe reports and what the endpoint really took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """All that a soak has found."""

    samples: Sequence[Sample]
    took: Mapping[str, float]
    """By healthy kind of probe: the median of what its answers really took, in seconds."""
    unread: Sequence[str]
    """Pages that a reader asked for and did not get, and what came instead."""
    code: int
    """The daemon's exit code after SIGTERM."""

    @property
    def seconds(self) -> float:
        return self.samples[-1].answered - self.samples[0].answered

    @property
    def warm_up(self) -> float:
        """Seconds after which memory has no more reason to grow."""
        return max(self.seconds / 4, HISTORY)

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        warm = self.samples[0].answered + self.warm_up
        return [sample for sample in self.samples if sample.answered >= warm]

    @property
    def tells_growth(self) -> bool:
        """Whether there are enough samples to tell it from noise."""
        settled = self.settled
        return bool(settled) and _windows(settled[0].answered, settled[-1].answered) >= WINDOWS


def judge(soak: Soak) -> list[Verdict]:
    """A verdict for each promise."""
    samples = soak.samples
    scrapes = f"{len(samples)} scrapes"
    unbalanced = sum(len(sample.told.unbalanced) for sample in samples)
    ticks = counted(samples)
    healthy = [n for (kind, _), n in samples[-1].told.failures.items() if kind in KINDS]
    return [
        Verdict(claim="ledgers that do not balance", where=scrapes, value=unbalanced, bound=0),
        Verdict(claim="ticks lost", where=f"of {ticks}", value=lost(samples), bound=0),
        *(_growths(soak.settled) if soak.tells_growth else ()),
        *_medians(soak),
        Verdict(claim="failures of healthy probes", where="", value=sum(healthy), bound=0),
        Verdict(claim="pages that a reader did not get", where="", value=len(soak.unread), bound=0),
        Verdict(claim="exit code after SIGTERM", where="", value=abs(soak.code), bound=0),
    ]


def lost(samples: Sequence[Sample]) -> int:
    """Ticks that were not counted though they must have come due: of probes that were there all
    the time, each once a second.
    """
    first, *others = samples
    missing = dict.fromkeys(first.told.ticks, 0)
    for sample in others:
        due = math.floor(sample.asked - first.answered - LATE)
        missing = {
            probe: max(most, due - sample.told.ticks[probe] + first.told.ticks[probe])
            for probe, most in missing.items()
            if probe in sample.told.ticks
        }
    return sum(missing.values())


def growth(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """In ten minutes, from samples at these seconds: the growth, and what of it may be noise.

    The growth is the median of the slopes between any two samples (Theil and Sen). The noise is
    the slope of a line that rises from the first sample to the last by as much as samples scatter
    around theirs: twice their standard deviation, taken from the median of the distances.
    """
    at, of = np.array(times), np.array(values, float)
    one, other = np.triu_indices(len(at), 1)
    slope = float(np.median((of[other] - of[one]) / (at[other] - at[one])))
    rest = of - slope * at
    deviation = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    span = times[-1] - times[0]
    return slope * TEN_MINUTES, 2 * deviation / span * TEN_MINUTES


def floors(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """The least of each whole window, in the order of time."""
    least: dict[int, float] = {}
    for at, value in zip(times, values, strict=True):
        window = int((at - times[0]) // WINDOW)
        least[window] = min(value, least.get(window, math.inf))
    return list(least.values())[: _windows(times[0], times[-1])]


def _windows(first: float, last: float) -> int:
    return int((last - first) // WINDOW)


def _growths(settled: Sequence[Sample]) -> Iterator[Verdict]:
    times = [sample.answered for sample in settled]
    for claim, unit, values in (
        ("RSS", "MB", [sample.resident for sample in settled]),
        ("threads", "", [float(sample.threads) for sample in settled]),
        ("descriptors", "", [float(sample.descriptors) for sample in settled]),
    ):
        least = floors(times, values)
        slope, noise = growth([WINDOW * n for n in range(len(least))], least)
        yield Verdict(
            claim=f"growth of {claim} in 10 min",
            where=f"least of 2 min, {min(least):.4g} to {max(least):.4g}",
            value=slope,
            unit=unit,
            bound=round(MOST_GROWTH + noise, 2),
        )


def _medians(soak: Soak) -> Iterator[Verdict]:
    first, last = soak.samples[0].told.latency, soak.samples[-1].told.latency
    for kind in KINDS:
        reported = quantile(since(first[kind], last[kind]), 0.5)
        yield Verdict(
            claim="median latency, off by",
            where=f"{kind}, took {soak.took[kind] * 1e3:.2f} ms",
            value=abs(reported - soak.took[kind]) * 1e3,
            unit="ms",
            bound=MOST_OFF,
        )
