"""The stopwatch of one probe: the phases on one timeline, under one deadline.

Each instant is known twice: when this process got round to it, and when it happened, where the
kernel says so. The kernel's stamps are of the wall clock; a run in which that was set is told by
the process's own.
"""

from dataclasses import dataclass
from typing import NamedTuple

from probe.clock import SECOND, Clock, nanoseconds
from probe.http.errors import MissedOwnDeadline
from probe.result import Phase

# How far the two clocks may come apart in a run before the wall clock must have been set: what
# sampling them costs, and the fastest that NTP slews (500 ppm; Mills, RFC 5905, 11.3).
MAX_SAMPLING_NS = 200_000
MAX_CLOCK_SLEW = 500e-6


class Timestamp(NamedTuple):
    """An instant, in nanoseconds of the monotonic clock: as the process saw it, and as it was."""

    process: int
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """What a stopwatch has measured: seconds by phase for each lap, and by which clock."""

    laps: tuple[dict[Phase, float], ...]
    clock: str
    correction: float
    merged: int

    def phases(self) -> dict[Phase, float]:
        """All laps together."""
        total: dict[Phase, float] = {}
        for lap in self.laps:
            for phase, seconds in lap.items():
                total[phase] = total.get(phase, 0.0) + seconds
        return total


class Stopwatch:
    """Keeps the time of each phase and knows how much of the deadline is left.

    A phase that is begun ends the one before it; a phase that never began is absent. The same phase
    may come again, on a further address: its times add up. One run's, and one thread's.
    """

    def __init__(self, clock: Clock, timeout: float) -> None:
        """The deadline is `timeout` seconds from now, and there is no other."""
        self._clock = clock
        self.now = clock.monotonic
        self._started = self.now()
        self._deadline = self._started + nanoseconds(timeout)
        self._offset = self._sample()
        self._first: int | None = None
        self._last = 0
        self._began: Timestamp | None = None
        self._laps: list[dict[Phase, tuple[int, int]]] = [{}]
        self._stamped = False
        self.phase: Phase | None = None
        self.merged = 0
        """First reads of an answer that found several segments, of which one stamp is known."""

    def remaining(self) -> float:
        """Seconds until the deadline, for who is about to act; raises Overslept when it passed."""
        left = self.left()
        if not left:
            raise MissedOwnDeadline(
                "the deadline passed before the next step, which was not the server's"
            )
        return left

    def left(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0, self._deadline - self.now()) / SECOND

    def received(self, mark: Timestamp) -> None:
        """Raises TimeoutError where it arrived after the deadline, whenever it was read."""
        if mark.kernel > self._deadline:
            raise TimeoutError("it arrived after the deadline")

    def mark(self, stamp: int | None = None) -> Timestamp:
        """This instant, at which something is seen that the kernel stamped (wall clock, ns)."""
        now = self.now()
        if stamp is None:
            return Timestamp(now, now)
        self._stamped = True
        return Timestamp(now, min(now, stamp - self._offset))

    def begin(self, phase: Phase, at: Timestamp | None = None) -> None:
        at = at or self.mark()
        self.end(at)
        self.phase, self._began = phase, at
        if self._first is None:
            self._first = at.process

    def end(self, at: Timestamp | None = None) -> None:
        """End the phase that is under way, if one is; never later than the deadline."""
        if self.phase is None or self._began is None:
            return
        at = at or self.mark()
        process = min(at.process, self._deadline) - self._began.process
        kernel = min(at.kernel, self._deadline) - self._began.kernel
        self._add(self.phase, max(0, process), max(0, kernel))
        self._last = at.process
        self._began = None

    def _add(self, phase: Phase, process: int, kernel: int) -> None:
        lap = self._laps[-1]
        before = lap.get(phase, (0, 0))
        lap[phase] = (before[0] + process, before[1] + kernel)

    def since(self, instant: int) -> None:
        """The phase under way began later than was thought (monotonic): with this, says the kernel,
        or whoever did it.
        """
        if self._began and instant > self._began.kernel:
            self._began = Timestamp(self._began.process, instant)

    def sent(self, mark: Timestamp) -> None:
        """The request was on its way by then, as the kernel told only during the wait."""
        if self.phase is Phase.WAIT and self._began:
            process, kernel = self._laps[-1].get(Phase.SEND, (0, 0))
            shift = mark.kernel - self._began.kernel
            self._laps[-1][Phase.SEND] = (process, max(0, kernel + shift))
            self._began = Timestamp(self._began.process, mark.kernel)

    def rename(self, phase: Phase) -> None:
        """The phase under way turns out to have been another."""
        self.phase = phase

    def lap(self) -> None:
        """A request of a chain of redirects is over: the next one has phases of its own."""
        self.end()
        self.phase = None  # what goes wrong before the next one begins is in none
        self._laps.append({})

    def times(self) -> PhaseTimes:
        """What has been measured; ends the phase that is under way."""
        self.end()
        by_kernel = self._stamped and not self._stepped()
        laps = tuple(
            {phase: spans[by_kernel] / SECOND for phase, spans in lap.items()} for lap in self._laps
        )
        latency = sum(sum(lap.values()) for lap in laps)
        wall = 0.0 if self._first is None else (self._last - self._first) / SECOND
        return PhaseTimes(
            laps=laps,
            clock="kernel" if by_kernel else "user",
            correction=max(0.0, wall - latency),
            merged=self.merged,
        )

    def _sample(self) -> int:
        """The wall clock less the monotonic one, read as nearly at once as it can be had."""
        best = MAX_SAMPLING_NS
        offset = 0
        for _ in range(3):
            before = self.now()
            wall = self._clock.wall()
            took = self.now() - before
            if took < best or not offset:
                best, offset = took, wall - before - took // 2
            if took < MAX_SAMPLING_NS // 20:
                break
        return offset

    def _stepped(self) -> bool:
        """Whether the wall clock was set during the run."""
        allowed = MAX_SAMPLING_NS + MAX_CLOCK_SLEW * (self.now() - self._started)
        return abs(self._sample() - self._offset) > allowed
