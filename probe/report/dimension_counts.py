"""Events of one probe by version, segment and payload."""

import math
from collections import Counter, defaultdict
from typing import NamedTuple

from probe.prometheus.increases import Increase
from probe.prometheus.scrapes import DIMENSION_METRIC, CounterKey
from probe.report.objective_counts import Events
from probe.result import Outcome, Signal


class DimensionValue(NamedTuple):
    """A value of a dimension, such as a version of the model."""

    dimension: str
    value: str


class DimensionCounts:
    """Counts the events with each value of each dimension."""

    def __init__(self) -> None:
        self.events: dict[DimensionValue, Events] = defaultdict(Events)
        """Successes are good and failures bad."""
        self.within: dict[DimensionValue, dict[float, Events]] = defaultdict(
            lambda: defaultdict(Events)
        )
        """By the threshold (seconds) of an objective of the latency, while it was in effect."""

    def add(self, increase: Increase) -> None:
        """Add the increases of one replica between two scrapes."""
        counts: dict[DimensionValue, Counter[CounterKey]] = defaultdict(Counter)
        for counter, count in increase.counts.items():
            if counter.metric == DIMENSION_METRIC:
                key = DimensionValue(counter.dimension, counter.value)
                counts[key][counter] = round(count)
        thresholds = {
            objective.threshold
            for objective in increase.targets
            if objective.signal is Signal.LATENCY and not math.isinf(objective.threshold)
        }
        for key, values in counts.items():
            totals = {
                counter.kind: count for counter, count in values.items() if math.isinf(counter.le)
            }
            successes = totals.get(Outcome.SUCCESS, 0)
            failures = totals.get(Outcome.FAILURE, 0)
            self.events[key].add(successes, failures)
            for threshold in thresholds:
                good = sum(
                    count
                    for counter, count in values.items()
                    if (counter.kind, counter.le) == (Outcome.SUCCESS, threshold)
                )
                self.within[key][threshold].add(good, successes + failures - good)
