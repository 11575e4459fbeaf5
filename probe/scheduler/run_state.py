"""Whether ticks may become requests at all."""

from probe.result import SkipReason


class RunState:
    """Open, paused or shut: for all probes at once, those that are added later among them."""

    def __init__(self) -> None:
        self.paused = False
        self._shut = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def shut(self) -> None:
        """For good."""
        self._shut = True

    @property
    def reason(self) -> SkipReason | None:
        """Why nothing passes; None while it is open."""
        if self._shut:
            return SkipReason.SHUTDOWN
        return SkipReason.PAUSED if self.paused else None
