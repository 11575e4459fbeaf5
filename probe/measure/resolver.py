"""Name lookups under a deadline.

`getaddrinfo` cannot be cancelled and knows no deadline: a lookup that hangs is left behind on a
thread of its own. So that a dead name server does not collect threads, a host has one lookup under
way at a time, which all its probes wait for, and there are only so many lookups in all.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from probe.measure.errors import ProbeError
from probe.measure.stopwatch import Stopwatch
from probe.vocabulary import Phase
from probe.workers import Workers

MOST_LOOKUPS = 32
"""Lookups under way at once, for different hosts; more than this hang only when DNS is dead."""


class TooManyLookups(ProbeError):
    """As many names hang as may be looked up at once."""


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
    error: OSError | None = None
    began: int = 0
    ended: int = 0


Key = tuple[str, int, int]
Getaddrinfo = Callable[..., list[tuple[Any, ...]]]


class Resolver:
    """Shared by all probes."""

    def __init__(self, workers: Workers, getaddrinfo: Getaddrinfo = socket.getaddrinfo) -> None:
        self._workers = workers
        self._getaddrinfo = getaddrinfo
        self._lock = threading.Lock()
        self._under_way: dict[Key, _Lookup] = {}

    def resolve(self, host: str, port: int, family: int, watch: Stopwatch) -> tuple[Address, ...]:
        """The addresses of a host, in the system's order.

        An IP address needs no lookup and has no phase `dns`. Raises OSError (gaierror for a name
        that does not resolve), TimeoutError, TooManyLookups.
        """
        try:
            return self._ask(host, port, family, socket.AI_NUMERICHOST)
        except (socket.gaierror, UnicodeError):
            pass  # a name
        watch.begin(Phase.DNS)
        lookup = self._join((host, port, family), watch)
        if not lookup.done.wait(watch.remaining()):
            raise TimeoutError("the lookup is still under way")
        # the time of the lookup itself, not of waking two threads
        watch.end(lookup.ended, since=lookup.began)
        if lookup.error:
            raise type(lookup.error)(*lookup.error.args)  # several threads may raise it
        return lookup.addresses

    def _join(self, key: Key, watch: Stopwatch) -> _Lookup:
        """The lookup of this host that is under way, or a new one."""
        with self._lock:
            lookup = self._under_way.get(key)
            if lookup:
                return lookup
            if len(self._under_way) >= MOST_LOOKUPS:
                raise TooManyLookups(f"{MOST_LOOKUPS} name lookups are hanging already")
            lookup = self._under_way[key] = _Lookup()
        try:
            self._workers.submit(lambda: self._look_up(key, lookup, watch.now))
        except RuntimeError:
            self._under_way.pop(key)
            raise
        return lookup

    def _look_up(self, key: Key, lookup: _Lookup, now: Callable[[], int]) -> None:
        lookup.began = now()
        try:
            lookup.addresses = self._ask(*key, 0)
        except OSError as error:
            lookup.error = error
        except UnicodeError as error:  # a name that IDNA cannot encode
            lookup.error = socket.gaierror(socket.EAI_NONAME, str(error))
        lookup.ended = now()
        with self._lock:
            del self._under_way[key]
        lookup.done.set()

    def _ask(self, host: str, port: int, family: int, flags: int) -> tuple[Address, ...]:
        answers = self._getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
        return tuple(Address(answer[0], answer[4]) for answer in answers)
