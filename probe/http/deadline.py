"""Deadline of one run: from its start, before secrets are read, to the last byte received."""

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.http.errors import MissedOwnDeadline


class Deadline:
    """An instant `timeout` seconds after the creation, or an earlier one that applies for now."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        self._now = clock.monotonic
        self._final = self._now() + nanoseconds(timeout)
        self.instant = self._final
        """The deadline itself (monotonic, ns)."""

    @property
    def has_interim(self) -> bool:
        """Whether an earlier deadline than that of the run applies for now."""
        return self.instant < self._final

    def set_interim(self, instant: int) -> None:
        """Let the deadline be at `instant` (monotonic, ns), but no later than that of the run.

        It replaces the interim deadline before: a stream has one for its first token, and then one
        after each token.
        """
        self.instant = min(instant, self._final)

    def clear_interim(self) -> None:
        """Let the deadline be that of the run again."""
        self.instant = self._final

    def seconds_left(self) -> float:
        """Return the seconds until the deadline, 0 if it has passed."""
        return max(0, self.instant - self._now()) / NS_PER_SECOND

    def require_seconds_left(self) -> float:
        """Return the seconds until the deadline. Call it before the client acts.

        Raises MissedOwnDeadline if it has passed: the server did not cause the delay.
        """
        left = self.instant - self._now()
        if left <= 0:
            raise MissedOwnDeadline(
                "the deadline passed while the daemon had to act, not the server"
            )
        return left / NS_PER_SECOND

    def check_arrival(self, instant: int) -> None:
        """Raise TimeoutError if data arrived after the deadline (monotonic, ns).

        It does not matter when the data was read: the process may have been suspended.
        """
        if instant > self.instant:
            raise TimeoutError("the data arrived after the deadline")
