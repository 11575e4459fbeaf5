"""What the log says of results: each failure for who debugs, a change of state for everybody."""

import logging
import threading
from collections import Counter
from enum import StrEnum

from probe.clock import SECOND, Clock, rfc3339
from probe.result import Failure, Reason, Result

logger = logging.getLogger(__name__)

MIN_REPEAT_INTERVAL_NS = 60 * SECOND
"""Nanoseconds in which a probe that changes its mind over and over is heard once."""


class _State(StrEnum):
    OK = "ok"
    STARTING = "starting"
    FAILING = "failing"


class StateChangeLog:
    """Notes the results of one probe. Neither a model that stays down floods the log nor one that
    comes and goes: a change after QUIET without one is told at once, what follows on it within
    QUIET is summed up in the next line. That a model starts keeps back nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._state = _State.OK
        self._since = ""
        self._changes = 0
        self._counts = Counter[str]()
        """Of results since the last line."""
        self._quiet_until = self._now()
        self._stable_from = self._now()
        """When it will have been in its state for QUIET."""

    def note(self, result: Result) -> None:
        failure = result.failure
        if failure and logger.isEnabledFor(logging.DEBUG):
            latency = {"latency": f"{result.latency:.6f}"}
            logger.debug("probe failed", extra={"fields": _fields(result) | latency})
        with self._lock:
            state = _state(failure)
            if state is not self._state:
                self._change(state, result)
            told = self._news(result) if self._is_due() else None
            self._counts[failure.reason if failure else _State.OK] += 1
        if told:  # whoever else has a result does not wait for the log
            logger.info("probe is %s", state, extra={"fields": told})

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

    def _news(self, result: Result) -> dict[str, object]:
        """The fields of a line, after which nothing is new."""
        told = _fields(result) | {"since": self._since}
        if self._counts:
            told["after"] = ", ".join(f"{n} {what}" for what, n in self._counts.most_common())
        if self._changes > 1:
            told["changes"] = self._changes
        if self._state is not _State.STARTING:
            self._quiet_until = self._now() + MIN_REPEAT_INTERVAL_NS
        self._changes = 0
        self._counts.clear()
        return told


def _state(failure: Failure | None) -> _State:
    if failure is None:
        return _State.OK
    return _State.STARTING if failure.reason is Reason.STARTUP else _State.FAILING


def _fields(result: Result) -> dict[str, object]:
    told: dict[str, object] = {"probe": result.probe}
    if result.failure:
        told |= {"reason": result.failure.reason, "detail": result.failure.detail}
    return told
