"""Limits the number of different versions and segments of one probe: they become labels."""

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from probe.clock import DAY_SECONDS, Clock, nanoseconds
from probe.config.schema import Probe
from probe.result import Result

# The value of all that are too many.
OTHER = "other"

# A value that was not seen for this time makes room for another one.
FORGET_SECONDS = DAY_SECONDS


class ValueLimit:
    """Replaces the versions and segments of results that are more than `max_values` by `other`.

    A server that sends a random value would otherwise create a series for each request. The values
    of new releases are no problem: those of old ones are forgotten after a day. Thread-safe.
    """

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        # When each value was seen last (monotonic ns), by the name of its field.
        self._seen: dict[str, dict[str, int]] = {"version": {}, "segment": {}}
        self.update(probe)

    def update(self, probe: Probe) -> None:
        """Use the limits of another config."""
        sources = {name: getattr(probe, name) for name in self._seen}
        self._max_values: Mapping[str, int] = {
            name: source.max_values for name, source in sources.items() if source
        }

    def apply(self, result: Result) -> Result:
        """Return `result` with `other` for each value that is too many."""
        changed: dict[str, Any] = {
            name: OTHER
            for name, max_values in self._max_values.items()
            if (value := getattr(result, name)) and not self._admits(name, value, max_values)
        }
        return dataclasses.replace(result, **changed) if changed else result

    def _admits(self, name: str, value: str, max_values: int) -> bool:
        """Return whether `value` is one of the allowed number, and note that it was seen."""
        now = self._now()
        with self._lock:
            seen = self._seen[name]
            if value not in seen and len(seen) >= max_values:
                oldest = min(seen, key=seen.__getitem__)
                if now - seen[oldest] < nanoseconds(FORGET_SECONDS):
                    return False
                del seen[oldest]
            seen[value] = now
            return True
