"""Whether ticks may become requests at all."""

from probe.vocabulary import Skip


class Gate:
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
    def reason(self) -> Skip | None:
        """Why nothing passes; None while it is open."""
        if self._shut:
            return Skip.SHUTDOWN
        return Skip.PAUSED if self.paused else None
