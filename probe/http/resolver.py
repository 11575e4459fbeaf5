"""Name lookups under a deadline.

`getaddrinfo` cannot be cancelled and takes no timeout. So each lookup runs on its own thread, and a
lookup that hangs only blocks that thread. The number of lookups is limited, for each host and in
total: a name server that does not respond cannot cause an unlimited number of threads, and a host
that hangs does not delay the others.

A run never shares a lookup that is already running, because it would measure only the rest of it.
It starts a lookup, or waits for a queued one, and measures all of it. Waiting for a lookup to start
is the client's time: it is in the correction and not in the phase `dns`. If a lookup does not start
or end before the deadline, the run fails with `dns`: only slow lookups delay the start of others.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from probe.clock import Clock
from probe.http.stopwatch import Stopwatch, Timestamp
from probe.result import Phase
from probe.threads import ThreadCache

# Lookups that run at the same time, in total and for one host. If a host is at its limit, its next
# lookup is queued and shared by all runs that wait for it. With 64 in total, lookups of other hosts
# wait only if 32 hosts hang.
MAX_LOOKUPS = 64
MAX_LOOKUPS_PER_HOST = 2

# IP addresses of URLs that are kept parsed. Redirects can bring any number of them.
MAX_PARSED_ADDRESSES = 1024

# The end of an IPv6 address with a zone, such as fe80::1%eth0. Its number may change.
_ZONE = "%"


@dataclass(frozen=True, slots=True)
class Address:
    """Address family (of `socket`) and socket address to connect to."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def host(self) -> str:
        return str(self.sockaddr[0])


LookupKey = tuple[str, int, int]
Getaddrinfo = Callable[..., list[tuple[Any, ...]]]


@dataclass(slots=True, eq=False)
class _Lookup:
    """One lookup of a host, port and family. `started` and `ended` are instants (monotonic, ns).

    `done` is set at the end.
    """

    key: LookupKey
    done: threading.Event = field(default_factory=threading.Event)
    addresses: tuple[Address, ...] = ()
    error: Exception | None = None
    started: int = 0
    ended: int = 0


class Resolver:
    """Resolves the host names of all probes. Thread-safe."""

    def __init__(
        self, threads: ThreadCache, clock: Clock, getaddrinfo: Getaddrinfo = socket.getaddrinfo
    ) -> None:
        self._threads = threads
        self._getaddrinfo = getaddrinfo
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._running: Counter[LookupKey] = Counter()
        self._queue: dict[LookupKey, _Lookup] = {}  # first in, first out
        # Errors are not kept. To parse an address takes 8 µs, 2 % of a run.
        self._parse = lru_cache(MAX_PARSED_ADDRESSES)(self._parse_uncached)

    def resolve(
        self, host: str, port: int, family: int, stopwatch: Stopwatch
    ) -> tuple[Address, ...]:
        """Return the addresses of `host` in the system's order, timed as the phase `dns`.

        An IP address needs no lookup and has no phase `dns`. Raises OSError (gaierror for a name
        that does not resolve), TimeoutError, and RuntimeError if no thread can be started.
        """
        if addresses := self.parse_address(host, port, family):
            return addresses
        stopwatch.start_phase(Phase.DNS)
        lookup = self._request_lookup((host, port, family))
        if not lookup.done.wait(stopwatch.deadline.seconds_left()):
            raise TimeoutError("the lookup has not ended")
        # Exclude the wait before the lookup started, and the time to wake this thread.
        stopwatch.start_later(lookup.started)
        stopwatch.end_phase(Timestamp(stopwatch.now(), lookup.ended))
        if lookup.error:
            raise _copy(lookup.error, host)  # several threads may raise it
        return lookup.addresses

    def parse_address(self, host: str, port: int, family: int) -> tuple[Address, ...]:
        """Return the address that `host` is, in any notation; an empty tuple for a name."""
        parse = self._parse_uncached if _ZONE in host else self._parse
        try:
            return parse(host, port, family)
        except (socket.gaierror, UnicodeError):
            return ()

    def _parse_uncached(self, host: str, port: int, family: int) -> tuple[Address, ...]:
        return self._call_getaddrinfo(host, port, family, socket.AI_NUMERICHOST)

    def _request_lookup(self, key: LookupKey) -> _Lookup:
        """Return a lookup that starts from now on: a queued one or a new one."""
        with self._lock:
            if queued := self._queue.get(key):
                return queued
            lookup = self._queue[key] = _Lookup(key)
            startable = self._next_startable()
        if startable:
            self._start(startable)
        return lookup

    def _next_startable(self) -> _Lookup | None:
        """Take the first lookup that the limits allow out of the queue. Needs the lock.

        It is called for each new lookup and for each one that ends, and no more than one becomes
        startable each time: in total below the limit, only hosts at their own limit are queued.
        """
        if self._running.total() >= MAX_LOOKUPS:
            return None
        for key in self._queue:
            if self._running[key] < MAX_LOOKUPS_PER_HOST:
                self._running[key] += 1
                return self._queue.pop(key)
        return None

    def _start(self, lookup: _Lookup) -> None:
        try:
            self._threads.submit(partial(self._run, lookup))
        except RuntimeError as error:  # no thread can be started, so queued lookups fail, too
            failed: _Lookup | None = lookup
            while failed:
                failed = self._finish(failed, error)

    def _run(self, first: _Lookup) -> None:
        """Carry out a lookup and then, on the same thread, queued ones."""
        lookup: _Lookup | None = first
        while lookup:
            lookup = self._look_up(lookup)

    def _look_up(self, lookup: _Lookup) -> _Lookup | None:
        error: Exception | None = None
        lookup.started = self._now()
        try:
            lookup.addresses = self._call_getaddrinfo(*lookup.key, 0)
        except UnicodeError as not_encodable:  # a name that IDNA cannot encode
            error = socket.gaierror(socket.EAI_NONAME, str(not_encodable))
        except Exception as exception:  # noqa: BLE001  (the runs that wait raise it)
            # Without its traceback, which has this frame, which has the exception: a reference
            # cycle that only the garbage collector would free.
            error = exception.with_traceback(None)
        lookup.ended = self._now()
        return self._finish(lookup, error and (_descriptor_error() or error))

    def _finish(self, lookup: _Lookup, error: Exception | None) -> _Lookup | None:
        """Set the error, wake the waiting runs, and return the queued lookup that may start now."""
        lookup.error = error
        with self._lock:
            self._running[lookup.key] -= 1
            if not self._running[lookup.key]:
                del self._running[lookup.key]
            startable = self._next_startable()
        lookup.done.set()
        return startable

    def _call_getaddrinfo(
        self, host: str, port: int, family: int, flags: int
    ) -> tuple[Address, ...]:
        entries = self._getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
        return tuple(Address(entry[0], entry[4]) for entry in entries)


def _copy(error: Exception, host: str) -> Exception:
    """Return a copy of the error of a lookup, which names `host`."""
    copy = type(error)(*error.args)
    if isinstance(copy, socket.gaierror):
        copy.filename = host
    return copy


def _descriptor_error() -> OSError | None:
    """Return the error if no socket can be opened: getaddrinfo reports it as an unknown name."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        return error
    return None
