"""What becomes of a scripted daemon's probes. Times are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of a tick. `charged` is false for what reaches no histogram."""

    latency: float
    success: bool = False
    charged: bool = True
    lag: float = 0  # start of the run after the tick
    skipped: str = ""  # the reason, where there is no run


GOOD = Outcome(latency=0.1, success=True)
SLOW = Outcome(latency=0.8, success=True)
REFUSED = Outcome(latency=0.001)
TIMEOUT = Outcome(latency=5)
INTERNAL = Outcome(latency=0, charged=False)
PAUSED = Outcome(latency=inf, charged=False, skipped="paused")
OVERLAP = Outcome(latency=inf, charged=False, skipped="overlap")
LATE = Outcome(latency=0.1, success=True, lag=0.15)
TOO_LATE = Outcome(latency=inf, charged=False, skipped="late")
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
    """A probe and its fate: from each time in `script` on, its ticks end so, in turns."""

    script: Script
    name: str = "sentiment"
    interval: float = 5
    timeout: float = 5
    objectives: tuple[Objective, ...] = (Objective(),)
    buckets: tuple[str, ...] = ("0.25", "0.5", "1.0", "+Inf")
    phases: tuple[str, ...] = ()  # that a success consists of, each as long as the whole
    rebuilt: float = inf  # when a reload starts its histograms anew
    certificates: Mapping[float, float] = field(default_factory=dict)  # from when, good until when

    def outcome(self, due: float) -> Outcome:
        start = max((time for time in self.script if time <= due), default=min(self.script))
        turns = self.script[start]
        return turns[int((due - start) // self.interval) % len(turns)]
