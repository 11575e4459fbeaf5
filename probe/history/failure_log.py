"""The failures of a probe that are remembered."""

from collections import deque
from typing import NamedTuple

from probe.result import Excerpt

MAX_FAILURES = 128
MAX_OUTAGES = 8
"""The latest, of which the first failure is remembered with its answer."""
MAX_EXCERPTS = 8
"""The latest failures, of which the answer is remembered as well."""


class FailedResult(NamedTuple):
    """A failure, put away, and what is remembered of the answer."""

    packed: bytes
    excerpt: Excerpt | None


class FailureLog:
    """The latest ones, and those with which outages began.

    An outage soon fills whatever there is place for, and its first failure says most of it.
    """

    def __init__(self) -> None:
        self._latest: deque[FailedResult] = deque(maxlen=MAX_FAILURES)
        self._first: deque[FailedResult] = deque(maxlen=MAX_OUTAGES)
        self._failing = False

    def succeeded(self) -> None:
        self._failing = False

    def add(self, failed: FailedResult) -> None:
        if not self._failing:
            self._first.append(failed)
        self._failing = True
        self._latest.append(failed)
        if len(self._latest) > MAX_EXCERPTS:
            self._latest[-MAX_EXCERPTS - 1] = self._latest[-MAX_EXCERPTS - 1]._replace(excerpt=None)

    def remembered(self) -> tuple[FailedResult, ...]:
        """In the order in which they came."""
        first = {id(one.packed): one for one in self._first}
        latest = [first.pop(id(one.packed), one) for one in self._latest]
        return (*first.values(), *latest)
