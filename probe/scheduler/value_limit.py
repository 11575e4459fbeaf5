"""Limits the number of different versions and segments of one probe.

They become labels of metrics, and a server could send a random value in each response.
"""

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from probe.clock import DAY_SECONDS, Clock, nanoseconds
from probe.config.settings import Probe
from probe.result import Result

# The value that replaces those beyond the limit.
OTHER = "other"

# A value without results for this time has expired: another one can take its place, and its series
# end.
VALUE_EXPIRY_SECONDS = DAY_SECONDS


class ValueLimit:
    """Replaces versions and segments by `other` if a probe already has `max_values` of them.

    Values expire, so a daemon that runs for months has place for new releases. Thread-safe.
    """

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        # When each value was seen last (monotonic ns), by the field of a result that has it.
        self._seen: dict[str, dict[str, int]] = {"version": {}, "segment": {}}
        self.update(probe)

    def update(self, probe: Probe) -> None:
        """Use the limits of another config."""
        sources = {name: getattr(probe, name) for name in self._seen}
        self._max_values: Mapping[str, int] = {
            name: source.max_values for name, source in sources.items() if source
        }

    def apply(self, result: Result) -> Result:
        """Return `result` with `other` instead of each value beyond its limit."""
        if not self._max_values:
            return result
        changed: dict[str, Any] = {
            name: OTHER
            for name, max_values in self._max_values.items()
            if (value := getattr(result, name)) and not self._register(name, value, max_values)
        }
        return dataclasses.replace(result, **changed) if changed else result

    def _register(self, name: str, value: str, max_values: int) -> bool:
        """Note that `value` was seen, unless it is beyond the limit. Return whether it was noted.

        `name` is the field of the value. At the limit, a new value replaces the oldest expired one.
        """
        now = self._now()
        with self._lock:
            seen = self._seen[name]
            if value not in seen and len(seen) >= max_values:
                oldest = min(seen, key=seen.__getitem__)
                if now - seen[oldest] < nanoseconds(VALUE_EXPIRY_SECONDS):
                    return False
                del seen[oldest]
            seen[value] = now
            return True
