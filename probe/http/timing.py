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

    user: int
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """What a stopwatch has measured: seconds by phase for each lap, and by which clock."""

    by_request: tuple[dict[Phase, float], ...]
    clock: str
    correction: float
    merged_reads: int

    def total(self) -> dict[Phase, float]:
        """All laps together."""
        total: dict[Phase, float] = {}
        for lap in self.by_request:
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
        self._offset = self._clock_offset()
        self._first_start: int | None = None
        self._last_end = 0
        self._phase_start: Timestamp | None = None
        self._requests: list[dict[Phase, tuple[int, int]]] = [{}]
        self._stamped = False
        self.phase: Phase | None = None
        self.merged_reads = 0
        """First reads of an answer that found several segments, of which one stamp is known."""

    def require_seconds_left(self) -> float:
        """Seconds until the deadline, for who is about to act; raises Overslept when it passed."""
        left = self.seconds_left()
        if not left:
            raise MissedOwnDeadline(
                "the deadline passed before the next step, which was not the server's"
            )
        return left

    def seconds_left(self) -> float:
        """Seconds until the deadline, 0 when it has passed."""
        return max(0, self._deadline - self.now()) / SECOND

    def check_arrival(self, mark: Timestamp) -> None:
        """Raises TimeoutError where it arrived after the deadline, whenever it was read."""
        if mark.kernel > self._deadline:
            raise TimeoutError("it arrived after the deadline")

    def timestamp(self, stamp: int | None = None) -> Timestamp:
        """This instant, at which something is seen that the kernel stamped (wall clock, ns)."""
        now = self.now()
        if stamp is None:
            return Timestamp(now, now)
        self._stamped = True
        return Timestamp(now, min(now, stamp - self._offset))

    def start_phase(self, phase: Phase, at: Timestamp | None = None) -> None:
        at = at or self.timestamp()
        self.end_phase(at)
        self.phase, self._phase_start = phase, at
        if self._first_start is None:
            self._first_start = at.user

    def end_phase(self, at: Timestamp | None = None) -> None:
        """End the phase that is under way, if one is; never later than the deadline."""
        if self.phase is None or self._phase_start is None:
            return
        at = at or self.timestamp()
        process = min(at.user, self._deadline) - self._phase_start.user
        kernel = min(at.kernel, self._deadline) - self._phase_start.kernel
        self._add(self.phase, max(0, process), max(0, kernel))
        self._last_end = at.user
        self._phase_start = None

    def _add(self, phase: Phase, process: int, kernel: int) -> None:
        lap = self._requests[-1]
        before = lap.get(phase, (0, 0))
        lap[phase] = (before[0] + process, before[1] + kernel)

    def start_later(self, instant: int) -> None:
        """The phase under way began later than was thought (monotonic): with this, says the kernel,
        or whoever did it.
        """
        if self._phase_start and instant > self._phase_start.kernel:
            self._phase_start = Timestamp(self._phase_start.user, instant)

    def correct_send_end(self, mark: Timestamp) -> None:
        """The request was on its way by then, as the kernel told only during the wait."""
        if self.phase is Phase.WAIT and self._phase_start:
            process, kernel = self._requests[-1].get(Phase.SEND, (0, 0))
            shift = mark.kernel - self._phase_start.kernel
            self._requests[-1][Phase.SEND] = (process, max(0, kernel + shift))
            self._phase_start = Timestamp(self._phase_start.user, mark.kernel)

    def relabel_phase(self, phase: Phase) -> None:
        """The phase under way turns out to have been another."""
        self.phase = phase

    def next_request(self) -> None:
        """A request of a chain of redirects is over: the next one has phases of its own."""
        self.end_phase()
        self.phase = None  # what goes wrong before the next one begins is in none
        self._requests.append({})

    def times(self) -> PhaseTimes:
        """What has been measured; ends the phase that is under way."""
        self.end_phase()
        by_kernel = self._stamped and not self._wall_clock_was_set()
        laps = tuple(
            {phase: spans[by_kernel] / SECOND for phase, spans in lap.items()}
            for lap in self._requests
        )
        latency = sum(sum(lap.values()) for lap in laps)
        wall = 0.0 if self._first_start is None else (self._last_end - self._first_start) / SECOND
        return PhaseTimes(
            by_request=laps,
            clock="kernel" if by_kernel else "user",
            correction=max(0.0, wall - latency),
            merged_reads=self.merged_reads,
        )

    def _clock_offset(self) -> int:
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

    def _wall_clock_was_set(self) -> bool:
        """Whether the wall clock was set during the run."""
        allowed = MAX_SAMPLING_NS + MAX_CLOCK_SLEW * (self.now() - self._started)
        return abs(self._clock_offset() - self._offset) > allowed
