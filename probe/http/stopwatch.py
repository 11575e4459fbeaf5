"""Stopwatch of one run: its phases on one timeline, under one deadline.

Each instant has two timestamps: when this process noticed an event, and when it happened according
to the kernel. The kernel's stamps are on the wall clock. If the wall clock is set during a run, the
timestamps of the process count.
"""

from dataclasses import dataclass

from probe.clock import NS_PER_SECOND, Clock
from probe.http.deadline import Deadline
from probe.result import ClockSource, Phase
from probe.value_class import value_class

# If the offset between wall clock and monotonic clock changes by more than this during a run, the
# wall clock was set. The sum of the error of reading both clocks and the fastest slew of NTP (500
# ppm; Mills, RFC 5905, 11.3).
MAX_OFFSET_ERROR_NS = 200_000
MAX_CLOCK_SLEW_RATIO = 500e-6


@value_class(frozen=True, slots=True)
class Timestamp:
    """One instant (monotonic, ns): as the process noticed it, and as the kernel stamped it."""

    user: int
    kernel: int

    def seconds_until(self, end: "Timestamp", clock: ClockSource) -> float:
        """Return the time from this instant to `end` (seconds), by the timestamps of `clock`."""
        if clock is ClockSource.KERNEL:
            return (end.kernel - self.kernel) / NS_PER_SECOND
        return (end.user - self.user) / NS_PER_SECOND


@dataclass(slots=True)
class _Elapsed:
    """Time spent in a phase (ns), between the user timestamps and between those of the kernel."""

    user: int = 0
    kernel: int = 0


@value_class(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """Measurements of one run."""

    by_request: tuple[dict[Phase, float], ...]
    """Seconds by phase, for each request of a chain of redirects."""
    clock: ClockSource
    """Source of the timestamps."""
    correction: float
    """Wall time less latency (seconds): time that the client itself took."""
    merged_reads: int
    """First reads of a response that found several segments."""

    def total(self) -> dict[Phase, float]:
        """Return the seconds by phase, summed over all requests."""
        first, *others = self.by_request
        total = dict(first)
        for phases in others:
            for phase, seconds in phases.items():
                total[phase] = total.get(phase, 0.0) + seconds
        return total


class Stopwatch:
    """Measures the phases of one run. No phase ends after the deadline. Not thread-safe.

    Starting a phase ends the one before. A phase that was never started is absent. The durations of
    a phase that is started repeatedly, for further addresses, add up.
    """

    def __init__(self, clock: Clock, timeout: float) -> None:
        """Set the only deadline of the run to `timeout` seconds from now."""
        self._clock = clock
        self.now = clock.monotonic
        self._created = self.now()
        self.deadline = Deadline(clock, timeout)
        self._offset = self._clock_offset()
        self._first_start: int | None = None
        self._last_end = 0
        self._phase_start: Timestamp | None = None
        self._requests: list[dict[Phase, _Elapsed]] = [{}]
        self._has_kernel_stamps = False
        self.phase: Phase | None = None
        """The current phase, or the last one; for the reason of a failure."""
        self.merged_reads = 0
        """First reads of a response that found several segments: the kernel keeps one stamp."""

    def timestamp(self, stamp: int | None = None) -> Timestamp:
        """Return the current instant, with the kernel's `stamp` (wall clock, ns) of the event.

        The kernel's stamp is never later than now: conversion between the clocks is inexact.
        """
        now = self.now()
        if stamp is None:
            return Timestamp(now, now)
        self._has_kernel_stamps = True
        return Timestamp(now, min(now, stamp - self._offset))

    def start_phase(self, phase: Phase, at: Timestamp | None = None) -> None:
        """Start `phase` now, or at `at`, and end the current one."""
        at = at or self.timestamp()
        current = self._phase_start
        if current:
            # A response may arrive before the request is completely sent.
            if at.kernel < current.kernel:
                at = Timestamp(at.user, current.kernel)
            self.end_phase(at)
        self.phase, self._phase_start = phase, at
        if self._first_start is None:
            self._first_start = at.user

    @property
    def phase_start(self) -> Timestamp | None:
        """When the current phase began; None if it has ended."""
        return self._phase_start

    def end_phase(self, at: Timestamp | None = None) -> None:
        """End the current phase, if any, now or at `at`, but no later than the deadline."""
        start = self._phase_start
        if self.phase is None or start is None:
            return
        end = at = at or self.timestamp()
        deadline = self.deadline.instant
        if at.user > deadline or at.kernel > deadline:
            end = Timestamp(min(at.user, deadline), min(at.kernel, deadline))
        elapsed = self._elapsed(self.phase)
        if end.user > start.user:
            elapsed.user += end.user - start.user
        if end.kernel > start.kernel:
            elapsed.kernel += end.kernel - start.kernel
        self._last_end = at.user
        self._phase_start = None

    def _elapsed(self, phase: Phase) -> _Elapsed:
        """Return the time spent in `phase` of the current request, to which the caller adds."""
        phases = self._requests[-1]
        elapsed = phases.get(phase)
        if elapsed is None:
            elapsed = phases[phase] = _Elapsed()
        return elapsed

    def start_later(self, instant: int) -> None:
        """Move the start of the current phase forward to `instant` (monotonic, ns).

        The time before was the client's, e.g. until the first byte left. An `instant` before the
        recorded start is ignored.
        """
        if self._phase_start and instant > self._phase_start.kernel:
            self._phase_start = Timestamp(self._phase_start.user, instant)

    def is_before(self, event: Timestamp, other: Timestamp) -> bool:
        """Return whether `event` happened before `other`.

        If the wall clock was set during the run, only the timestamps of the process count.
        """
        if event.user < other.user:
            return True
        return event.kernel < other.kernel and not self._wall_clock_was_set()

    def correct_send_end(self, timestamp: Timestamp) -> None:
        """Move the border between `send` and `wait` to the kernel's transmit stamp.

        The stamp of the last byte of a request can arrive when `wait` has already started.
        """
        if self.phase is Phase.WAIT and self._phase_start:
            shift = timestamp.kernel - self._phase_start.kernel
            send = self._elapsed(Phase.SEND)
            send.kernel = max(0, send.kernel + shift)
            self._phase_start = Timestamp(self._phase_start.user, timestamp.kernel)

    def relabel_phase(self, phase: Phase) -> None:
        """Count the current phase, from its start, as `phase`."""
        self.phase = phase

    def next_request(self) -> None:
        """Measure the next request of a chain of redirects separately."""
        self.end_phase()
        self.phase = None  # an error before its first phase belongs to no phase
        self._requests.append({})

    def times(self) -> PhaseTimes:
        """End the current phase and return what was measured.

        All phases are read from the same clock. Kernel stamps exclude the time for which this
        process did not run, but they are on the wall clock: if it was set during the run, the
        difference of two stamps means nothing, and the timestamps of the process are used for all
        phases. Mixing the clocks would count some time twice, and the phases would not add up.

        The wall time of the run always comes from the user timestamps. What the phases do not
        cover is `correction`: time between phases, and time that the process needed to notice
        events.
        """
        self.end_phase()
        by_kernel = self._has_kernel_stamps and not self._wall_clock_was_set()
        by_request = []
        latency = 0.0
        for phases in self._requests:
            seconds = {
                phase: (elapsed.kernel if by_kernel else elapsed.user) / NS_PER_SECOND
                for phase, elapsed in phases.items()
            }
            by_request.append(seconds)
            latency += sum(seconds.values())
        wall_ns = 0 if self._first_start is None else self._last_end - self._first_start
        return PhaseTimes(
            by_request=tuple(by_request),
            clock=ClockSource.KERNEL if by_kernel else ClockSource.USER,
            correction=max(0.0, wall_ns / NS_PER_SECOND - latency),
            merged_reads=self.merged_reads,
        )

    def _clock_offset(self) -> int:
        """Return wall clock minus monotonic clock (ns).

        The clocks cannot be read at one instant: the process may lose the CPU in between. The best
        of up to three readings is used, i.e. the one that took the shortest time. A reading that
        took less than a twentieth of MAX_OFFSET_ERROR_NS ends the loop.
        """
        shortest = MAX_OFFSET_ERROR_NS
        offset: int | None = None
        for _ in range(3):
            before = self.now()
            wall = self._clock.wall()
            elapsed = self.now() - before
            if offset is None or elapsed < shortest:
                shortest, offset = elapsed, wall - before - elapsed // 2
            if elapsed < MAX_OFFSET_ERROR_NS // 20:
                break
        assert offset is not None, "there is at least one reading"
        return offset

    def _wall_clock_was_set(self) -> bool:
        """Return True if the wall clock was set during the run, more than NTP can slew it."""
        allowed = MAX_OFFSET_ERROR_NS + MAX_CLOCK_SLEW_RATIO * (self.now() - self._created)
        return abs(self._clock_offset() - self._offset) > allowed
