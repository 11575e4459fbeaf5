"""Logs results: every failure at level DEBUG, and changes of state.

A change to `failing` has level WARNING, any other change level INFO.
"""

import logging
import threading
from collections import Counter
from enum import StrEnum

from probe.clock import NS_PER_SECOND, Clock, rfc3339
from probe.result import Failure, Reason, Result

logger = logging.getLogger(__name__)

# After a line, further changes within this time are summed up in the next one.
MIN_REPEAT_INTERVAL_NS = 60 * NS_PER_SECOND


class _State(StrEnum):
    OK = "ok"
    STARTING = "starting"
    COLD = "cold"
    FAILING = "failing"


class StateChangeLog:
    """Logs the state changes of one probe, at a bounded rate. A `ResultSink`.

    A change is logged at once if the state was stable for `MIN_REPEAT_INTERVAL_NS` before.
    Changes that follow sooner are summed up in the next line, so neither an endpoint that stays
    down nor one that flaps floods the log. A start of the model delays no line.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._state = _State.OK
        self._since = ""
        # Changes, and results by reason, since the last line.
        self._changes = 0
        self._counts = Counter[str]()
        # No line before this instant (monotonic ns).
        self._quiet_until = self._now()
        # When the state will have been stable for long enough (monotonic ns).
        self._stable_from = self._now()

    def record(self, result: Result) -> None:
        """Log the result if it is a failure, and the state if it changed."""
        failure = result.failure
        if failure and logger.isEnabledFor(logging.DEBUG):
            latency = {"latency": f"{result.latency:.6f}"}
            logger.debug("probe failed", extra={"fields": _fields(result) | latency})
        with self._lock:
            state = _state(failure)
            if state is not self._state:
                self._change(state, result)
            fields = self._take_news(result) if self._is_due() else None
            self._counts[failure.reason if failure else _State.OK] += 1
        if fields:  # outside the lock, so that a slow log delays no other result
            level = logging.WARNING if state is _State.FAILING else logging.INFO
            logger.log(level, "probe is %s", state, extra={"fields": fields})

    def _change(self, state: _State, result: Result) -> None:
        now = self._now()
        if now >= self._stable_from:
            self._quiet_until = now
        if state is not _State.STARTING:
            self._stable_from = now + MIN_REPEAT_INTERVAL_NS
        self._state, self._since = state, rfc3339(result.started)
        self._changes += 1

    def _is_due(self) -> bool:
        return self._changes > 0 and self._now() >= self._quiet_until

    def _take_news(self, result: Result) -> dict[str, object]:
        """Return the fields of the next line, and reset what it reports."""
        fields = _fields(result) | {"since": self._since}
        if self._counts:
            fields["after"] = ", ".join(
                f"{count} {reason}" for reason, count in self._counts.most_common()
            )
        if self._changes > 1:
            fields["changes"] = self._changes
        if self._state is not _State.STARTING:
            self._quiet_until = self._now() + MIN_REPEAT_INTERVAL_NS
        self._changes = 0
        self._counts.clear()
        return fields


def _state(failure: Failure | None) -> _State:
    if failure is None:
        return _State.OK
    states = {Reason.STARTUP: _State.STARTING, Reason.COLD: _State.COLD}
    return states.get(failure.reason, _State.FAILING)


def _fields(result: Result) -> dict[str, object]:
    fields: dict[str, object] = {"probe": result.probe}
    if result.failure:
        fields |= {"reason": result.failure.reason, "detail": result.failure.detail}
        if result.trace_id:
            fields["trace_id"] = result.trace_id
    return fields
