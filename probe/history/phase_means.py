"""Mean time of each phase of a probe by hour, to compare with earlier days and weeks."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from probe.clock import HOUR_SECONDS
from probe.history.phase_comparison import (
    FOUR_WEEKS_DAYS,
    MIN_MEAN_SECONDS,
    MIN_RESULTS,
    PhaseComparison,
    compare_phase,
)
from probe.result import Phase

DAY_HOURS = 24

# One hour more: while the current hour has few results, the last complete hour is compared.
MAX_HOURS = FOUR_WEEKS_DAYS * DAY_HOURS + 1

# A mean is kept as the logarithm to this base of its number of microseconds: with 16 bits, times up
# to hours have an error of 0.05 %. 0 means no value.
_BASE = math.log(1.001)
_NO_MEAN = 0


class PhaseMeans:
    """Means of the phases of one probe by hour of the wall clock, over four weeks.

    A phase takes 1.3 kB after four weeks. `now` is in Unix seconds, and must not decrease.
    """

    def __init__(self) -> None:
        self._hour: int | None = None
        self._sums: defaultdict[Phase, float] = defaultdict(float)
        self._counts: Counter[Phase] = Counter()
        # By phase, ending with the last complete hour.
        self._means: dict[Phase, array[int]] = {}

    def record(self, phases: Mapping[Phase, float], now: float) -> None:
        """Add the phases (seconds) of a success."""
        self._advance(now)
        for phase, seconds in phases.items():
            self._sums[phase] += seconds
            self._counts[phase] += 1

    def comparisons(self, now: float) -> Sequence[PhaseComparison]:
        """Return each phase that has a recent mean, in the order of the phases of a request.

        It is that of the current hour, or of the last one while the current hour has few results.
        """
        self._advance(now)
        return tuple(filter(None, map(self._comparison, Phase)))

    def _comparison(self, phase: Phase) -> PhaseComparison | None:
        hours_ago = 0 if self._counts[phase] >= MIN_RESULTS else 1
        recent = self._mean(phase, hours_ago)
        if recent is None:
            return None
        return compare_phase(
            phase, recent, lambda days: self._mean(phase, hours_ago + days * DAY_HOURS)
        )

    def _mean(self, phase: Phase, hours_ago: int) -> float | None:
        """Return the mean of an hour; 0 is the current one."""
        if hours_ago == 0:
            return self._sums[phase] / self._counts[phase]
        means = self._means.get(phase, ())
        if len(means) < hours_ago or means[-hours_ago] == _NO_MEAN:
            return None
        return math.exp(means[-hours_ago] * _BASE) * 1e-6

    def _advance(self, now: float) -> None:
        """End the hours since the last call."""
        current = int(now // HOUR_SECONDS)
        if self._hour is None:
            self._hour = current
        if current <= self._hour:
            return
        for _ in range(min(current - self._hour, MAX_HOURS + 1)):
            self._end_hour()
        self._hour = current

    def _end_hour(self) -> None:
        for phase in self._sums.keys() - self._means.keys():
            self._means[phase] = array("H")
        for phase, means in self._means.items():
            count = self._counts[phase]
            means.append(_encode(self._sums[phase] / count) if count >= MIN_RESULTS else _NO_MEAN)
            del means[:-MAX_HOURS]
        self._sums.clear()
        self._counts.clear()


def _encode(seconds: float) -> int:
    return max(1, round(math.log(max(seconds, MIN_MEAN_SECONDS) * 1e6) / _BASE))
