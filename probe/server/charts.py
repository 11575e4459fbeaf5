"""Latencies over time as the coordinates of a picture: the templates draw it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from probe.history.history import ProbeHistory
from probe.history.packed import ResultSummary

WIDTH, HEIGHT = 1000, 100
LANE_HEIGHT = 14
"""What the marks of failures take of the height, at the top."""
MIN_SPAN_SECONDS = 10.0
"""The scale is logarithmic; it covers at least so many times the smallest time."""
LABEL_HEIGHT = 15
"""What a label takes of the height of a small plot, with the distance from its line."""


class LabelPosition(StrEnum):
    """Where a line's label stands."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A horizontal line: how far down it is (0 to HEIGHT) and the time (seconds) that it is at.

    Its label is None where others leave no place for one.
    """

    y: float
    seconds: float
    label: LabelPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChart:
    """A picture of WIDTH by HEIGHT: paths of dots and of marks, and the lines across it."""

    good: str
    slow: str
    failed: str
    uncharged: str
    """Failures that do not count against the model."""
    objectives: tuple[Line, ...]
    grid: tuple[Line, ...]
    first: float
    last: float
    """Unix seconds at both ends."""
    counted: int
    failures: int


def latency_chart(kept: ProbeHistory, *, most: int) -> LatencyChart | None:
    """The last results, so many at most; None where there are none."""
    glances = kept.summaries()[-most:]
    if not glances:
        return None
    limits = sorted({one.latency for one in kept.probe.objectives if one.latency is not None})
    successes = [one for one in glances if one.reason is None]
    across = _Across(min(one.started for one in glances), max(one.started for one in glances))
    up = _up([one.latency for one in successes], limits)
    strictest = limits[0] if limits else math.inf
    charged = [one for one in glances if one.reason and one.reason.counts_against_slo]
    uncharged = [one for one in glances if one.reason and not one.reason.counts_against_slo]
    return LatencyChart(
        good=_dots([one for one in successes if one.latency <= strictest], across, up),
        slow=_dots([one for one in successes if one.latency > strictest], across, up),
        failed=_marks(charged, across),
        uncharged=_marks(uncharged, across),
        objectives=tuple(_objectives(limits, up)),
        grid=tuple(_grid(limits, up)),
        first=across.first,
        last=across.last,
        counted=len(glances),
        failures=len(charged) + len(uncharged),
    )


@dataclass(frozen=True, slots=True)
class _Across:
    """The axis of time."""

    first: float
    last: float

    def __call__(self, started: float) -> float:
        long = self.last - self.first
        return 8 + (WIDTH - 16) * ((started - self.first) / long if long else 1.0)


@dataclass(frozen=True, slots=True)
class _Up:
    """The axis of latency, logarithmic: a slow answer does not flatten all others."""

    least: float
    most: float

    def __call__(self, seconds: float) -> float:
        share = math.log(max(seconds, self.least) / self.least) / math.log(self.most / self.least)
        return HEIGHT - 4 - share * (HEIGHT - LANE_HEIGHT - 8)

    def decades(self) -> list[float]:
        """1, 10, 100 ms and so on."""
        exponents = range(math.ceil(math.log10(self.least)), math.floor(math.log10(self.most)) + 1)
        return [10.0**one for one in exponents]


def _up(latencies: Sequence[float], limits: Sequence[float]) -> _Up:
    """An axis on which all of these have their place."""
    shown = [max(one, 1e-6) for one in (*latencies, *limits)] or [0.01]
    least, most = min(shown) / 1.2, max(shown) * 1.2
    widen = max(1.0, math.sqrt(MIN_SPAN_SECONDS / (most / least)))
    return _Up(least / widen, most * widen)


def _grid(limits: Sequence[float], up: _Up) -> Iterator[Line]:
    """A label through which the line of an objective would go is left out."""
    for seconds in up.decades():
        y = up(seconds)
        struck = any(y - LABEL_HEIGHT < up(limit) <= y for limit in limits)
        yield Line(y=y, seconds=seconds, label=None if struck else LabelPosition.ABOVE)


def _objectives(limits: Sequence[float], up: _Up) -> Iterator[Line]:
    """From the top down. A label for which there is no place above its line stands below it, and
    where there is none either it is left out.
    """
    falling = [(up(limit), limit) for limit in reversed(limits)]
    taken = 0.0
    for (y, seconds), (following, _) in pairwise([*falling, (HEIGHT, 0.0)]):
        label = None
        if y - LABEL_HEIGHT >= taken:
            label = LabelPosition.ABOVE
        elif y + LABEL_HEIGHT <= following:
            label = LabelPosition.BELOW
        taken = y + LABEL_HEIGHT if label is LabelPosition.BELOW else y
        yield Line(y=y, seconds=seconds, label=label)


def _dots(glances: Sequence[ResultSummary], across: _Across, up: _Up) -> str:
    """A path of nothing but points: with round ends each is a dot."""
    return "".join(f"M{across(one.started):.0f} {up(one.latency):.1f}h0" for one in glances)


def _marks(glances: Sequence[ResultSummary], across: _Across) -> str:
    return "".join(f"M{across(one.started):.0f} 1v{LANE_HEIGHT - 2}" for one in glances)
