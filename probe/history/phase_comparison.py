"""A phase compared with its usual time, and with that of four weeks ago."""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from probe.result import Phase

# The usual value is the median of the same hour on these days before.
USUAL_DAYS = (1, 2, 3)
FOUR_WEEKS_DAYS = 28

# The mean of fewer successes says too little. Such an hour has no value.
MIN_RESULTS = 10

# An earlier mean is at least one microsecond, so that there is a ratio to it.
MIN_MEAN_SECONDS = 1e-6

# The thresholds of ModelLatencyRegression: a phase is slower if its mean is above this multiple of
# the earlier one, and the difference is above this time.
SLOWER_RATIO = 1.6
SLOWER_SECONDS = 0.01


class PhaseComparison(NamedTuple):
    """Mean times of a phase (seconds) in the same hour of several days. None: not known."""

    phase: Phase
    recent: float
    usual: float | None
    """Median of the previous three days, as far as they are known."""
    four_weeks_ago: float | None


def compare_phase(
    phase: Phase, recent: float, mean_days_ago: Callable[[int], float | None]
) -> PhaseComparison:
    """Compare the mean `recent` (seconds) with those of the same hour, some days ago."""
    known = [mean for days in USUAL_DAYS if (mean := mean_days_ago(days)) is not None]
    return PhaseComparison(
        phase=phase,
        recent=recent,
        usual=median(known) if known else None,
        four_weeks_ago=mean_days_ago(FOUR_WEEKS_DAYS),
    )


def is_slower(recent: float, earlier: float) -> bool:
    """Return whether the mean `recent` is above that of earlier by more than the thresholds."""
    return recent > SLOWER_RATIO * earlier and recent - earlier > SLOWER_SECONDS
