"""The stopwatch of one probe: the phases on one timeline, under one deadline."""

import io
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from probe.clock import SECOND, Clock, nanoseconds
from probe.vocabulary import Phase


class Stopwatch:
    """Keeps the time of each phase and knows how much of the deadline is left.

    Instants are nanoseconds of the monotonic clock. A phase that is begun ends the one before it;
    a phase that never began is absent. The same phase may come again, on a further redirect or
    address: its times add up.
    """

    def __init__(self, clock: Clock, timeout: float) -> None:
        """The deadline is `timeout` seconds from now, and there is no other."""
        self.now = clock.monotonic
        self._deadline = self.now() + nanoseconds(timeout)
        self._began: int | None = None
        self._spans: dict[Phase, int] = {}
        self._lap: dict[Phase, int] = {}
        self.phase: Phase | None = None

    def remaining(self) -> float:
        """Seconds until the deadline; raises TimeoutError when it has passed."""
        left = self._deadline - self.now()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left / SECOND

    def begin(self, phase: Phase, at: int | None = None) -> None:
        instant = self.now() if at is None else at
        self.end(instant)
        self.phase, self._began = phase, instant

    def end(self, at: int | None = None, *, since: int | None = None) -> None:
        """End the phase that is under way, if one is; never later than the deadline.

        `since` corrects its beginning, where that becomes known only afterwards.
        """
        if self.phase is None or self._began is None:
            return
        instant = min(self.now() if at is None else at, self._deadline)
        began = self._began if since is None else max(since, self._began)
        self._lap[self.phase] = self._lap.get(self.phase, 0) + max(0, instant - began)
        self._began = None

    def rename(self, phase: Phase) -> None:
        """The phase under way turns out to have been another."""
        self.phase = phase

    def lap(self) -> dict[Phase, float]:
        """The phases (seconds) since the last lap: one request of a chain of redirects."""
        self.end()
        lap, self._lap = self._lap, {}
        for phase, span in lap.items():
            self._spans[phase] = self._spans.get(phase, 0) + span
        return _seconds(lap)

    def phases(self) -> dict[Phase, float]:
        """All phases up to now (seconds), in the order of their first beginning."""
        self.lap()
        return _seconds(self._spans)


def _seconds(spans: Mapping[Phase, int]) -> dict[Phase, float]:
    return {phase: span / SECOND for phase, span in spans.items()}


class TimedSocket(socket.socket):
    """A socket whose every operation keeps within its stopwatch's deadline.

    `stamp` is the instant at which the last bytes were received.
    """

    watch: Stopwatch
    stamp: int = 0

    def connect_within(self, address: tuple[Any, ...], share: float) -> None:
        """Connect within a share (0 to 1) of the time that is left."""
        self.settimeout(self.watch.remaining() * share)
        self.connect(address)

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]  # bytes do
        if data:  # a TLS layer above flushes nothing now and then
            self.settimeout(self.watch.remaining())
            super().sendall(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.settimeout(self.watch.remaining())
        data = super().recv(size, flags)
        self.stamp = self.watch.now()
        return data

    def recv_into(  # type: ignore[override]  # typeshed asks for a default that nobody uses
        self, buffer: memoryview, size: int = 0, flags: int = 0
    ) -> int:
        self.settimeout(self.watch.remaining())
        count = super().recv_into(buffer, size, flags)
        self.stamp = self.watch.now()
        return count


class Stream(Protocol):
    """What an inbox reads from: a timed socket, or a TLS layer over one."""

    def sendall(self, data: bytes) -> None: ...

    def recv_into(self, buffer: memoryview) -> int: ...


class Inbox(io.RawIOBase):
    """The bytes of one answer, and when the first and the last of them arrived.

    The first byte begins the phase `receive`. It is told apart here, before any parsing, so that
    a server that drips its headers is seen to drip, and not to think.
    """

    def __init__(self, stream: Stream, timed: TimedSocket, watch: Stopwatch | None) -> None:
        """Without a watch no phase begins: the answer of a proxy is part of another one."""
        self._stream = stream
        self._timed = timed
        self._watch = watch
        self._received = 0
        self._awaited = False
        self.ended = False
        """Whether the server has closed its side of the connection."""

    @property
    def last(self) -> int:
        """When the last bytes arrived."""
        return self._timed.stamp

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client.HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)

    def await_answer(self, position: int) -> None:
        """The byte at `position` is the first of what may be the answer."""
        self._awaited = position == self._received
        if not self._awaited:
            self._first_byte()  # it came together with what went before

    def interim(self) -> None:
        """It was not: what has been received since belongs to the wait."""
        if self._watch:
            self._watch.rename(Phase.WAIT)

    def _first_byte(self) -> None:
        self._awaited = False
        if self._watch:
            self._watch.begin(Phase.RECEIVE, at=self.last)

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes received; the buffered reader above subtracts what it has not given out."""
        return self._received

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as BufferedReader
        count = self._stream.recv_into(buffer)
        self._received += count
        self.ended = count == 0
        if self._awaited and count:
            self._first_byte()
        return count
