"""Stopwatch of one run: its phases on one timeline, under one deadline.

Each instant has two timestamps: when this process noticed an event, and when it happened according
to the kernel. The kernel's stamps are on the wall clock. If the wall clock is set during a run, the
timestamps of the process count.
"""

from dataclasses import dataclass, field

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
class _RequestTimes:
    """Time spent in the phases of a request (ns). `user` and `kernel` have the same keys."""

    user: dict[Phase, int] = field(default_factory=dict)
    kernel: dict[Phase, int] = field(default_factory=dict)

    def add(self, phase: Phase, user: int, kernel: int) -> None:
        """Add time to `phase`. Negative times do not count."""
        self.user[phase] = self.user.get(phase, 0) + max(0, user)
        self.kernel[phase] = self.kernel.get(phase, 0) + max(0, kernel)


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
        # When the current phase began, by each of the timestamps. None if it has ended.
        self._user_start: int | None = None
        self._kernel_start = 0
        self._requests = [_RequestTimes()]
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
        user, kernel = at.user, at.kernel
        if self._user_start is not None:
            # A response may arrive before the request is completely sent.
            kernel = max(kernel, self._kernel_start)
            self._end_phase(user, kernel)
        self.phase, self._user_start, self._kernel_start = phase, user, kernel
        if self._first_start is None:
            self._first_start = user

    @property
    def phase_start(self) -> Timestamp | None:
        """When the current phase began; None if it has ended."""
        if self._user_start is None:
            return None
        return Timestamp(self._user_start, self._kernel_start)

    def end_phase(self, at: Timestamp | None = None) -> None:
        """End the current phase, if any, now or at `at`, but no later than the deadline."""
        if self._user_start is not None:
            at = at or self.timestamp()
            self._end_phase(at.user, at.kernel)

    def _end_phase(self, user: int, kernel: int) -> None:
        assert self.phase is not None, "a phase has started"
        assert self._user_start is not None, "it has not ended"
        deadline = self.deadline.instant
        self._requests[-1].add(
            self.phase,
            user=min(user, deadline) - self._user_start,
            kernel=min(kernel, deadline) - self._kernel_start,
        )
        self._last_end = user
        self._user_start = None

    def start_later(self, instant: int) -> None:
        """Move the start of the current phase forward to `instant` (monotonic, ns).

        The time before was the client's, e.g. until the first byte left. An `instant` before the
        recorded start is ignored.
        """
        if self._user_start is not None and instant > self._kernel_start:
            self._kernel_start = instant

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
        if self.phase is Phase.WAIT and self._user_start is not None:
            kernel = self._requests[-1].kernel
            send = kernel[Phase.SEND] + timestamp.kernel - self._kernel_start
            kernel[Phase.SEND] = max(0, send)
            self._kernel_start = timestamp.kernel

    def relabel_phase(self, phase: Phase) -> None:
        """Count the current phase, from its start, as `phase`."""
        self.phase = phase

    def next_request(self) -> None:
        """Measure the next request of a chain of redirects separately."""
        self.end_phase()
        self.phase = None  # an error before its first phase belongs to no phase
        self._requests.append(_RequestTimes())

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
        for request in self._requests:
            phases = request.kernel if by_kernel else request.user
            seconds = {phase: elapsed / NS_PER_SECOND for phase, elapsed in phases.items()}
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
