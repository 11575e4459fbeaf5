"""What the rules find in a history of bad probes, evaluation by evaluation.

A condition is a byte for each look, 1 where it holds: that way whole months are compared and
searched without a step in Python for each of their evaluations.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import floor
from operator import gt, sub

from probe.slo.alerts import EVALUATION_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At each of `looks` (numbers of evaluations), how many of the probes of the `width`
    evaluations before may be bad.
    """

    looks: range
    width: int
    limits: tuple[int, ...]

    @classmethod
    def of(
        cls, probes: Sequence[int], looks: range, width: int, limit: Callable[[int], int]
    ) -> "Window":
        """`probes` are all so far, at each evaluation; `limit` is asked with those in a window."""
        sizes = list(_increases(probes, looks, width))
        known = {size: limit(size) for size in set(sizes)}
        limits = tuple(known[size] for size in sizes)
        return cls(looks=looks, width=width, limits=limits)

    def part(self, start: int, end: int, step: int = 1) -> "Window":
        """The same at some of the looks, counted from 0."""
        some = slice(max(0, start), end, step)
        return Window(looks=self.looks[some], width=self.width, limits=self.limits[some])

    def exceeded(self, bad: Sequence[int]) -> bytes:
        """Where more are bad; `bad` are all bad ones so far, at each evaluation."""
        return bytes(map(gt, _increases(bad, self.looks, self.width), self.limits))


def bad_ratio(share: float) -> Callable[[int], int]:
    """The most bad probes that are not more than this share of so many."""
    return lambda probes: floor(share * probes + 1e-9)


def logical_and(conditions: Iterable[bytes]) -> bytes:
    """Where all of the conditions hold."""
    return bytes(map(min, *conditions))


def logical_or(conditions: Iterable[bytes]) -> bytes:
    """Where one of the conditions holds, or more."""
    return bytes(map(max, *conditions))


def repeat_samples(condition: bytes, times: int) -> bytes:
    """A condition that is looked at more seldom, held until its next look."""
    return bytes(flag for flag in condition for _ in repeat(None, times))


def spans(condition: bytes, least: int) -> Iterator[tuple[int, int]]:
    """First look and the one after the last, of those times that it holds for so many looks."""
    return (found.span() for found in re.finditer(rb"\x01{%d,}" % least, condition))


def pending(condition: bytes, step: int, hold: int) -> Iterator[int]:
    """The looks, `step` evaluations apart, from which on it holds for more than `hold` seconds."""
    return (
        start for start, _ in spans(condition, hold // (step * EVALUATION_INTERVAL_SECONDS) + 1)
    )


def _increases(counter: Sequence[int], looks: range, width: int) -> Iterator[int]:
    now = counter[looks.start : looks.stop : looks.step]
    return map(sub, now, counter[looks.start - width : looks.stop - width : looks.step])
