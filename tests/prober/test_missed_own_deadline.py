"""The process was suspended until after the deadline: the server is not to blame."""

import time
from dataclasses import dataclass

import pytest

from probe.clock import NS_PER_SECOND, Clock
from probe.http import timed_socket
from probe.result import Reason
from tests.http.conftest import Serve
from tests.probing import detail, reason, run
from tests.raw_servers import Peer, http_response

pytestmark = pytest.mark.timing

if not timed_socket.HAS_KERNEL_TIMESTAMPS:
    pytest.skip("needs the kernel's timestamps: Linux", allow_module_level=True)


@dataclass
class SuspendedClock:
    """Clocks that are ahead after the process was suspended.

    The kernel's timestamps are not: data arrived during the suspension.
    """

    skipped: int = 0

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: time.monotonic_ns() + self.skipped,
            wall=lambda: time.time_ns() + self.skipped,
        )


def test_a_response_that_arrived_in_time_is_a_success(serve: Serve) -> None:
    """It is read after the deadline, in several reads, and has the right latency."""
    clock = SuspendedClock()
    paused = []

    def script(peer: Peer) -> None:
        peer.request()
        paused.append(peer.pause(0.05))
        clock.skipped = 10 * NS_PER_SECOND
        peer.send(http_response(b"x" * 100_000))

    result = run(serve(script).url(), clock=clock.clock(), timeout="1s")

    assert reason(result) is None
    assert result.latency == pytest.approx(paused[0], abs=0.03)
    assert result.correction > 9


def test_a_missed_step_is_internal(serve: Serve) -> None:
    """A redirect arrived in time, and the next request was not sent before the deadline."""
    clock = SuspendedClock()

    def script(peer: Peer) -> None:
        peer.request()
        clock.skipped = 10 * NS_PER_SECOND
        peer.send(http_response(b"", "Location: /next", status="302 Found"))

    result = run(serve(script).url(), clock=clock.clock(), timeout="1s", redirects=1)

    assert reason(result) is Reason.INTERNAL
    assert "while the daemon had to act" in detail(result)
