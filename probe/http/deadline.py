"""Deadline of one run: from its start, before secrets are read, to the last byte received."""

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.http.errors import MissedOwnDeadline


class Deadline:
    """An instant `timeout` seconds after the creation of this object."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        self._now = clock.monotonic
        self.instant = self._now() + nanoseconds(timeout)
        """The deadline itself (monotonic, ns)."""

    def seconds_left(self) -> float:
        """Return the seconds until the deadline, 0 if it has passed."""
        return max(0, self.instant - self._now()) / NS_PER_SECOND

    def require_seconds_left(self) -> float:
        """Return the seconds until the deadline. Call it before the client acts.

        Raises MissedOwnDeadline if it has passed: the server did not cause the delay.
        """
        left = self.seconds_left()
        if not left:
            raise MissedOwnDeadline(
                "the deadline passed while the daemon had to act, not the server"
            )
        return left

    def check_arrival(self, instant: int) -> None:
        """Raise TimeoutError if data arrived after the deadline (monotonic, ns).

        It does not matter when the data was read: the process may have been suspended.
        """
        if instant > self.instant:
            raise TimeoutError("the data arrived after the deadline")
