"""Pause and stop of all probes."""

from probe.result import SkipReason


class RunState:
    """Running, paused or stopped: for all probes at once, including those added later."""

    def __init__(self) -> None:
        self._paused = False
        self._stopped = False

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def stop(self) -> None:
        """Start no further runs. This cannot be undone."""
        self._stopped = True

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def skip_reason(self) -> SkipReason | None:
        """Why no run may start; None while running."""
        if self._stopped:
            return SkipReason.SHUTDOWN
        return SkipReason.PAUSED if self._paused else None
