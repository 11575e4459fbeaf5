"""Pool of the idle keep-alive connections of one probe (`connection: reuse`)."""

import threading
from dataclasses import dataclass
from urllib.parse import SplitResult

from probe.clock import Clock, nanoseconds
from probe.http.connection import Connection, host_port
from probe.http.stopwatch import Stopwatch

# Maximum number of origins with idle connections. A redirect to another scheme or port adds one.
MAX_ORIGINS = 4

# Idle connections per origin, as in the pool of `requests`. Runs that overlap need one each.
MAX_IDLE_PER_ORIGIN = 10

# Each use of the pool checks this many connections, those that have been idle for longest: a load
# test can have hundreds.
MAX_CHECKED = 10

# A connection that is idle for longer is closed, as by Go's net/http. A probe with a long interval
# needs more: at least two intervals, or it would never reuse a connection.
IDLE_TIMEOUT_SECONDS = 90.0
IDLE_TIMEOUT_INTERVALS = 2

Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _IdleConnection:
    """A connection between two runs, idle since `since` (monotonic, ns)."""

    origin: Origin
    connection: Connection
    since: int


class ConnectionPool:
    """Idle connections by origin (scheme, host and port). Thread-safe.

    Each acquire and each release also closes connections that have expired or that the server has
    closed. Otherwise connections that only a burst of runs needed would stay in CLOSE_WAIT.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        interval: float = 0.0,
        max_idle_per_origin: int = MAX_IDLE_PER_ORIGIN,
    ) -> None:
        """`interval` (seconds) is the time between two runs of the probe."""
        self._max_idle_per_origin = max_idle_per_origin
        self._now = clock.monotonic
        self._idle_timeout = nanoseconds(
            max(IDLE_TIMEOUT_SECONDS, IDLE_TIMEOUT_INTERVALS * interval)
        )
        self._lock = threading.Lock()
        self._idle: list[_IdleConnection] = []  # in the order of their release
        self._configured_origin: Origin | None = None
        self._closed = False

    def acquire(
        self, url: SplitResult, stopwatch: Stopwatch, *, redirected: bool = False
    ) -> Connection | None:
        """Return the most recently used connection to the origin of `url`, timed by `stopwatch`.

        Unless `redirected`, `url` is the configured one; its origin is never evicted for others.
        """
        origin = _origin(url)
        with self._lock:
            if not redirected:
                self._configured_origin = origin
            checked = self._close_unusable()
            for idle in self._idle[::-1]:
                if idle.origin == origin:
                    if idle in checked or idle.connection.is_usable():
                        self._idle.remove(idle)
                        idle.connection.sock.stopwatch = stopwatch
                        return idle.connection
                    self._close(idle)
        return None

    def release(self, url: SplitResult, connection: Connection) -> None:
        """Take back a connection whose response has been read to the end.

        It is closed if the server has sent more than the response.
        """
        with self._lock:
            if self._closed:  # the probe was changed or removed during the run
                connection.close()
                return
            origin = _origin(url)
            self._idle.append(_IdleConnection(origin, connection, self._now()))
            self._close_unusable()
            if origin != self._configured_origin or len(self._idle) > self._max_idle_per_origin:
                self._enforce_limits()

    def close(self) -> None:
        """Close the idle connections now and every other connection when it is released."""
        with self._lock:
            self._closed = True
            for idle in self._idle.copy():
                self._close(idle)

    def _close_unusable(self) -> list[_IdleConnection]:
        """Check the connections that have been idle for longest, and return the usable ones."""
        oldest = self._now() - self._idle_timeout
        usable = []
        for idle in self._idle[:MAX_CHECKED]:
            if idle.since < oldest or not idle.connection.is_usable():
                self._close(idle)
            else:
                usable.append(idle)
        return usable

    def _enforce_limits(self) -> None:
        """Close the least recently used connections beyond the limits."""
        by_origin: dict[Origin, list[_IdleConnection]] = {}
        for idle in reversed(self._idle):
            by_origin.setdefault(idle.origin, []).append(idle)
        # A server can redirect to a new port each time, so redirect targets are evicted first.
        redirect_targets = [origin for origin in by_origin if origin != self._configured_origin]
        for origin in redirect_targets[MAX_ORIGINS - 1 :]:
            del by_origin[origin]
        kept = {idle for group in by_origin.values() for idle in group[: self._max_idle_per_origin]}
        for idle in self._idle.copy():
            if idle not in kept:
                self._close(idle)

    def _close(self, idle: _IdleConnection) -> None:
        self._idle.remove(idle)
        idle.connection.close()


def _origin(url: SplitResult) -> Origin:
    """Return scheme, host and port; user and password belong to a request, not to a connection."""
    return url.scheme, *host_port(url)
