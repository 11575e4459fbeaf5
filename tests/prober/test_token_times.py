"""Times of tokens for a timeline, in bounded memory."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.http.stopwatch import Timestamp
from probe.prober.token_times import TokenTimes
from probe.result import MAX_TOKEN_TIMES, ClockSource

MS = 1_000_000


def thinned(milliseconds: list[int]) -> list[int]:
    times = TokenTimes()
    for time in milliseconds:
        times.add(Timestamp(user=time * MS + 5, kernel=time * MS))
    kept = times.seconds_after(Timestamp(0, 0), ClockSource.KERNEL)
    return [round(time * 1000) for time in kept]


def test_short_stream() -> None:
    """All times of a short stream are kept, by the clock of the run."""
    milliseconds = list(range(10, 10 + MAX_TOKEN_TIMES))
    assert thinned(milliseconds) == milliseconds
    times = TokenTimes()
    times.add(Timestamp(user=3_000, kernel=2_000))
    assert times.seconds_after(Timestamp(1_000, 1_000), ClockSource.USER) == (2e-6,)
    assert times.seconds_after(Timestamp(1_000, 1_000), ClockSource.KERNEL) == (1e-6,)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=3000))
def test_times_are_bounded(gaps: list[int]) -> None:
    """At most MAX_TOKEN_TIMES are kept, in order, with the first and the last one."""
    milliseconds = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    kept = thinned(milliseconds)
    assert len(kept) <= MAX_TOKEN_TIMES
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (milliseconds[0], milliseconds[-1])


@pytest.mark.parametrize("stall_at", [1, 300, 1500, 1999])
def test_a_stall_stays(stall_at: int) -> None:
    """Both ends of a long gap are kept, wherever it is."""
    milliseconds = [10 * n + (5000 if n >= stall_at else 0) for n in range(2000)]
    longest = max(pairwise(thinned(milliseconds)), key=lambda gap: gap[1] - gap[0])
    assert longest == (milliseconds[stall_at - 1], milliseconds[stall_at])
