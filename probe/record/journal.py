"""What the log says of results: each failure for who debugs, a change of state for everybody."""

import logging
import threading
from collections import Counter
from enum import StrEnum

from probe.clock import SECOND, Clock
from probe.vocabulary import Failure, Reason, Result

logger = logging.getLogger(__name__)

QUIET = 60 * SECOND
"""Nanoseconds between two lines of one probe, however often it changes its mind."""


class _State(StrEnum):
    OK = "ok"
    STARTING = "starting"
    FAILING = "failing"


class Journal:
    """Notes the results of one probe. Neither a model that stays down floods the log nor one that
    comes and goes: what changes within QUIET is summed up in the next line.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._state = _State.OK
        self._changes = 0
        self._counts = Counter[str]()
        """Of results since the last line."""
        self._quiet_until = self._now()

    def note(self, result: Result) -> None:
        failure = result.failure
        if failure and logger.isEnabledFor(logging.DEBUG):
            latency = {"latency": f"{result.latency:.6f}"}
            logger.debug("probe failed", extra={"fields": _fields(result) | latency})
        with self._lock:
            state = _state(failure)
            self._changes += state is not self._state
            self._state = state
            if self._changes and self._now() >= self._quiet_until:
                self._tell(result)
            self._counts[failure.reason if failure else _State.OK] += 1

    def _tell(self, result: Result) -> None:
        before = ", ".join(f"{count} {what}" for what, count in self._counts.most_common())
        told = _fields(result) | ({"after": before} if before else {})
        if self._changes > 1:
            told["changes"] = self._changes
        logger.info("probe is %s", self._state, extra={"fields": told})
        self._quiet_until = self._now() + QUIET
        self._changes = 0
        self._counts.clear()


def _state(failure: Failure | None) -> _State:
    if failure is None:
        return _State.OK
    return _State.STARTING if failure.reason is Reason.STARTUP else _State.FAILING


def _fields(result: Result) -> dict[str, object]:
    told: dict[str, object] = {"probe": result.probe}
    if result.failure:
        told |= {"reason": result.failure.reason, "detail": result.failure.detail}
    return told
