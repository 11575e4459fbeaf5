"""Pool of idle keep-alive connections of one probe."""

from contextlib import suppress
from urllib.parse import SplitResult

from probe.http.connection import DEFAULT_PORTS, Connection
from probe.http.timing import Stopwatch

MAX_ORIGINS = 4
"""Of how many origins a pool keeps connections: http and https of one host are two."""

Origin = tuple[str, str | None, int]


class ConnectionPool:
    """Idle connections of one probe, by scheme, host and port. Safe to use from many threads."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Connection]] = {}
        self._closed = False

    def acquire(self, url: SplitResult, stopwatch: Stopwatch) -> Connection | None:
        """An idle connection that the server has not closed, the last used one first."""
        idle = self._idle.get(_origin(url), [])
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                break
            if connection.is_usable():
                connection.timed.stopwatch = stopwatch
                return connection
            connection.close()
        return None

    def release(self, url: SplitResult, connection: Connection) -> None:
        self._idle.setdefault(_origin(url), []).append(connection)
        for oldest in list(self._idle)[:-MAX_ORIGINS]:  # a server may redirect to ever new ports
            _close(self._idle.pop(oldest, []))
        if self._closed:  # the probe was changed or removed while this run was under way
            self.close()

    def close(self) -> None:
        """Close what is idle, and from now on also what is given back."""
        self._closed = True
        for idle in list(self._idle.values()):
            _close(idle)


def _origin(url: SplitResult) -> Origin:
    """Without the user, which is not the connection's."""
    return url.scheme, url.hostname, url.port or DEFAULT_PORTS[url.scheme]


def _close(idle: list[Connection]) -> None:
    with suppress(IndexError):  # another thread was faster
        while idle:
            idle.pop().close()
