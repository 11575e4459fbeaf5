"""Times of the tokens of one stream, thinned to a fixed number: the timelines on the pages."""

from itertools import pairwise

from probe.http.stopwatch import Timestamp
from probe.result import MAX_TOKEN_TIMES, ClockSource


class TokenTimes:
    """Collects the times at which tokens arrived, in bounded memory.

    Of more than MAX_TOKEN_TIMES, those that are close to others are left out. The first and the
    last time stay, and so do both ends of each gap that is long compared with the whole stream.
    """

    def __init__(self) -> None:
        self._times: list[Timestamp] = []

    def add(self, received: Timestamp) -> None:
        """Add the time of a read with tokens, which is not before the previous one."""
        self._times.append(received)
        if len(self._times) >= 2 * MAX_TOKEN_TIMES:
            self._times = _thinned(self._times)

    def seconds_after(self, start: Timestamp, clock: ClockSource) -> tuple[float, ...]:
        """Return at most MAX_TOKEN_TIMES times (seconds) after `start`, ascending."""
        times = self._times
        if len(times) > MAX_TOKEN_TIMES:
            times = _thinned(times)
        return tuple(start.seconds_until(time, clock) for time in times)


def _thinned(times: list[Timestamp]) -> list[Timestamp]:
    """Return at most MAX_TOKEN_TIMES of `times`.

    A time is left out if the previous one that stays, and the next one, are both closer than a
    fixed part of the whole stream. At most MAX_TOKEN_TIMES / 2 - 1 distances are longer on either
    side.
    """
    min_distance = (times[-1].kernel - times[0].kernel) / (MAX_TOKEN_TIMES // 2 - 1)
    thinned = [times[0]]
    for time, following in pairwise(times[1:]):
        before = time.kernel - thinned[-1].kernel
        if max(before, following.kernel - time.kernel) >= max(min_distance, 1):
            thinned.append(time)
    return [*thinned, times[-1]]
