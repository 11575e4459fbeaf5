"""An event loop with precise timers, for models whose response times must be exact."""

import asyncio
import select
import selectors
import sys

if sys.platform == "linux":

    class PreciseSelector(selectors.EpollSelector):
        """Waits for timers with a precision below a millisecond.

        The timeout of epoll is rounded up to whole milliseconds, a tenth of the time of a request.
        That of select(2) is not, and an epoll instance is itself a file to wait for.
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop; on Linux, its timers are precise."""
    if sys.platform == "linux":
        return asyncio.SelectorEventLoop(PreciseSelector())
    return asyncio.new_event_loop()
