"""The grace that a model has to start: until its first success, for a while, it cannot fail."""

import dataclasses

from probe.clock import Clock, nanoseconds
from probe.result import Failure, Reason, Result


class StartupGrace:
    """Turns a starting model's failures into `startup`, so that they are not charged to it."""

    def __init__(self, clock: Clock, startup_grace: float) -> None:
        """Runs for `startup_grace` seconds from now, and ends early with the first success."""
        self._now = clock.monotonic
        self._began = self._now()
        self.change(startup_grace)
        self._succeeded = False

    def change(self, startup_grace: float) -> None:
        """Run for so many seconds from when it began."""
        self._until = self._began + nanoseconds(startup_grace)

    @property
    def running(self) -> bool:
        return not self._succeeded and self._now() < self._until

    def judge(self, result: Result) -> Result:
        """The result of a scheduled run as it counts."""
        if result.failure is None:
            self._succeeded = True
        elif self.running and result.failure.reason.counts_against_slo:
            cause = f"{result.failure.reason}: {result.failure.detail}"
            failure = Failure(reason=Reason.STARTUP, detail=f"not up yet ({cause})")
            return dataclasses.replace(result, failure=failure)
        return result
