"""Startup grace: failures of a model that is still loading get the reason `startup`."""

import dataclasses

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.result import Failure, Reason, Result


class StartupGrace:
    """Turns the failures of a model that is still loading into `startup`.

    The grace begins when the probe is added. It ends with the first success, after `startup_grace`
    seconds at the latest. No change of the config begins it again, not even another URL: a mistake
    in a URL must not suspend alerts.
    """

    def __init__(self, clock: Clock, startup_grace: float) -> None:
        self._monotonic = clock.monotonic
        self._begin = self._monotonic()
        self._succeeded = False
        self.update(startup_grace)

    def update(self, startup_grace: float) -> None:
        """Change the length (seconds), counted from the same beginning."""
        self._end = self._begin + nanoseconds(startup_grace)

    @property
    def active(self) -> bool:
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Time until failures count against objectives (seconds); 0 if they do."""
        if self._succeeded:
            return 0.0
        return max(0, self._end - self._monotonic()) / NS_PER_SECOND

    def apply(self, result: Result) -> Result:
        """Return `result`, with the reason `startup` if it is a failure within the grace.

        A success ends the grace.
        """
        if result.failure is None:
            self._succeeded = True
        elif self.active and result.failure.reason.counts_against_slo:
            cause = f"{result.failure.reason}: {result.failure.detail}"
            failure = Failure(reason=Reason.STARTUP, detail=f"not up yet ({cause})")
            return dataclasses.replace(result, failure=failure)
        return result
