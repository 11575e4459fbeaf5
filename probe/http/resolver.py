"""Name lookups under a deadline.

`getaddrinfo` cannot be cancelled and knows no deadline: a lookup that hangs is left behind on a
thread of its own. So that a dead name server does not collect threads, a host has one lookup under
way at a time, which all its probes wait for, and there are only so many lookups in all.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from probe.clock import Clock
from probe.http.timing import Stopwatch, Timestamp
from probe.result import Phase
from probe.threads import ThreadCache

MAX_LOOKUPS = 32
"""Lookups under way at once, for different hosts.

The others wait for a turn. The limit is ours and so is that wait: it is no part of the phase `dns`
but of what is taken out of the latency. Only a turn that does not come before the deadline is a
failure for `dns`, because lookups that hang are what keeps it from coming.
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: an address family of `socket` and the address in its form."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def host(self) -> str:
        return str(self.sockaddr[0])


@dataclass(slots=True)
class _Lookup:
    done: threading.Event = field(default_factory=threading.Event)
    addresses: tuple[Address, ...] = ()
    error: Exception | None = None
    began: int = 0
    ended: int = 0


LookupKey = tuple[str, int, int]
Getaddrinfo = Callable[..., list[tuple[Any, ...]]]


class Resolver:
    """Shared by all probes."""

    def __init__(
        self, workers: ThreadCache, clock: Clock, getaddrinfo: Getaddrinfo = socket.getaddrinfo
    ) -> None:
        self._workers = workers
        self._getaddrinfo = getaddrinfo
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._under_way: dict[LookupKey, _Lookup] = {}
        self._waiting: deque[tuple[LookupKey, _Lookup]] = deque()
        self._threads = 0

    def resolve(
        self, host: str, port: int, family: int, stopwatch: Stopwatch
    ) -> tuple[Address, ...]:
        """The addresses of a host, in the system's order.

        An IP address needs no lookup and has no phase `dns`. Raises OSError (gaierror for a name
        that does not resolve), TimeoutError, RuntimeError (no thread).
        """
        if literal := self.parse_address(host, port, family):
            return literal
        stopwatch.start_phase(Phase.DNS)
        lookup = self._join((host, port, family))
        if not lookup.done.wait(stopwatch.seconds_left()):
            raise TimeoutError("the lookup is still under way")
        # the time of the lookup itself, not of its turn, nor of waking two threads
        stopwatch.start_later(lookup.began)
        stopwatch.end_phase(Timestamp(stopwatch.now(), lookup.ended))
        if lookup.error:
            raise type(lookup.error)(*lookup.error.args)  # several threads may raise it
        return lookup.addresses

    def parse_address(self, host: str, port: int, family: int) -> tuple[Address, ...]:
        """The address that a host is, in any of the ways to write one; none if it is a name."""
        try:
            return self._ask(host, port, family, socket.AI_NUMERICHOST)
        except (socket.gaierror, UnicodeError):
            return ()

    def _join(self, key: LookupKey) -> _Lookup:
        """The lookup of this host that is under way, or a new one."""
        with self._lock:
            lookup = self._under_way.get(key)
            if lookup:
                return lookup
            lookup = self._under_way[key] = _Lookup()
            self._waiting.append((key, lookup))
            if self._threads == MAX_LOOKUPS:
                return lookup  # its turn comes when another ends, or its askers' deadlines pass
            self._threads += 1
        try:
            self._workers.submit(self._work)
        except RuntimeError as error:  # for those who have joined meanwhile, too
            self._give_up(error)
        return lookup

    def _work(self) -> None:
        while waiting := self._next():
            self._look_up(*waiting)

    def _next(self) -> tuple[LookupKey, _Lookup] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def _give_up(self, error: RuntimeError) -> None:
        """There is no thread for what waits."""
        while waiting := self._next():
            self._finish(*waiting, error)

    def _look_up(self, key: LookupKey, lookup: _Lookup) -> None:
        failed: Exception | None = None
        lookup.began = self._now()
        try:
            lookup.addresses = self._ask(*key, 0)
        except UnicodeError as error:  # a name that IDNA cannot encode
            failed = socket.gaierror(socket.EAI_NONAME, str(error))
        except Exception as error:  # noqa: BLE001  (they wait for an answer, whatever it is)
            failed = error.with_traceback(None)  # it holds this frame, which is to hold it
        lookup.ended = self._now()
        self._finish(key, lookup, failed and (_no_descriptor() or failed))

    def _finish(self, key: LookupKey, lookup: _Lookup, error: Exception | None) -> None:
        lookup.error = error
        with self._lock:
            del self._under_way[key]
        lookup.done.set()

    def _ask(self, host: str, port: int, family: int, flags: int) -> tuple[Address, ...]:
        answers = self._getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
        return tuple(Address(answer[0], answer[4]) for answer in answers)


def _no_descriptor() -> OSError | None:
    """Our own fault that getaddrinfo takes for an unknown name: no descriptor to ask with."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        return error
    return None
