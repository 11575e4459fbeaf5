"""The failures of a probe that are remembered."""

from collections import deque
from typing import NamedTuple

from probe.vocabulary import Excerpt

LATEST = 128
OUTAGES = 8
"""The latest, of which the first failure is remembered with its answer."""
EXCERPTS = 8
"""The latest failures, of which the answer is remembered as well."""


class Failed(NamedTuple):
    """A failure, put away, and what is remembered of the answer."""

    packed: bytes
    excerpt: Excerpt | None


class Failures:
    """The latest ones, and those with which outages began.

    An outage soon fills whatever there is place for, and its first failure says most of it.
    """

    def __init__(self) -> None:
        self._latest: deque[Failed] = deque(maxlen=LATEST)
        self._first: deque[Failed] = deque(maxlen=OUTAGES)
        self._failing = False

    def succeeded(self) -> None:
        self._failing = False

    def add(self, failed: Failed) -> None:
        if not self._failing:
            self._first.append(failed)
        self._failing = True
        self._latest.append(failed)
        if len(self._latest) > EXCERPTS:
            self._latest[-EXCERPTS - 1] = self._latest[-EXCERPTS - 1]._replace(excerpt=None)

    def remembered(self) -> tuple[Failed, ...]:
        """In the order in which they came."""
        first = {id(one.packed): one for one in self._first}
        latest = [first.pop(id(one.packed), one) for one in self._latest]
        return (*first.values(), *latest)
