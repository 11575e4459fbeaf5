"""Bodies of responses: what is stored of them, and the memory of all of them together."""

import threading
from typing import Any

import pytest

from probe.http.errors import BodyTooLarge
from probe.http.stopwatch import Timestamp
from probe.prober.body import (
    MAX_HELD_LARGEST_BODIES,
    UNCOUNTED_BYTES,
    BodyMemory,
    BodyMemoryExceeded,
    ResponseBody,
)
from probe.result import Reason, Result
from tests.http.conftest import Serve
from tests.probing import EVALUATOR, detail, make_prober, reason
from tests.raw_servers import Peer, always, http_response

NOW = Timestamp(0, 0)
MAX_BYTES = 100_000


def test_the_content_is_stored_in_memory() -> None:
    """Discarding it makes room for others."""
    memory = BodyMemory(0)
    bodies = [ResponseBody(MAX_BYTES, memory) for _ in range(MAX_HELD_LARGEST_BODIES)]
    other = ResponseBody(MAX_BYTES, memory)

    for body in bodies:
        for _ in range(10):
            body.feed(b"x" * 10_000, NOW)
    assert bodies[0].content == b"x" * 100_000
    assert (bodies[0].size, bodies[0].start) == (100_000, b"x" * 1024)
    memory.reserve(MAX_HELD_LARGEST_BODIES * UNCOUNTED_BYTES, MAX_BYTES)
    with pytest.raises(BodyMemoryExceeded, match="exceed"):
        other.feed(b"x" * MAX_BYTES, NOW)
    bodies[0].discard()
    memory.reserve(MAX_BYTES - UNCOUNTED_BYTES, MAX_BYTES)
    assert bodies[0].size == 100_000


@pytest.mark.parametrize(("max_bytes", "limit"), [(1, 1000), (250, 1000), (1000, 4000)])
def test_the_limit_grows_with_max_bytes(max_bytes: int, limit: int) -> None:
    """Otherwise a large `max_bytes` would be useless."""
    memory = BodyMemory(1000)

    memory.reserve(limit, max_bytes)

    with pytest.raises(BodyMemoryExceeded):
        memory.reserve(1, max_bytes)


def test_small_bodies_are_not_counted() -> None:
    """Large bodies of one endpoint do not affect usual responses of others."""
    memory = BodyMemory(0)
    memory.reserve(MAX_HELD_LARGEST_BODIES * MAX_BYTES, MAX_BYTES)
    body = ResponseBody(MAX_BYTES, memory)

    body.feed(b"x" * UNCOUNTED_BYTES, NOW)

    with pytest.raises(BodyMemoryExceeded):
        body.feed(b"x", NOW)


def test_a_body_without_memory_is_not_stored() -> None:
    """Its size is limited nevertheless."""
    body = ResponseBody(MAX_BYTES, None)

    body.feed(b"x" * MAX_BYTES, NOW)

    assert not body.content
    assert (body.size, body.start) == (MAX_BYTES, b"x" * 1024)
    with pytest.raises(BodyTooLarge):
        body.feed(b"x", NOW)


def _held_bytes() -> int:
    return EVALUATOR.body_memory._held_bytes


@pytest.mark.parametrize(
    ("expect", "held"),
    [
        ({}, 0),
        ({"headers": {"X-A": {"exists": False}}}, 0),
        ({"body_matches": "^x"}, 500_000 - UNCOUNTED_BYTES),
        ({"json": {"$": {"exists": True}}}, 500_000 - UNCOUNTED_BYTES),
    ],
)
def test_only_needed_bodies_are_stored(
    serve: Serve, expect: dict[str, object], held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they are received. Afterwards nothing is held, also after a failure."""
    received, release = threading.Event(), threading.Event()
    original = ResponseBody.feed

    def feed(body: ResponseBody, data: bytes, at: Timestamp) -> None:
        original(body, data, at)
        if body.size == 500_000:
            received.set()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response(b"x" * 600_000)[: 500_000 - 600_000])
        release.wait(10)

    monkeypatch.setattr(ResponseBody, "feed", feed)

    prober = make_prober(serve(script).url(), expect=expect)
    run = threading.Thread(target=prober.run)
    run.start()
    assert received.wait(10)
    assert _held_bytes() == held
    release.set()
    run.join()
    assert _held_bytes() == 0


def test_bodies_over_the_limit_are_internal(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is not the endpoint's, and says what to do."""
    memory, held = BodyMemory(), 7 * 1024**2
    memory.reserve(held, 1)
    monkeypatch.setattr(EVALUATOR, "body_memory", memory)
    server = serve(always(http_response(b"x" * 2 * 1024**2)))

    def run(**keys: Any) -> Result:
        return make_prober(server.url(), max_bytes="2MiB", **keys).run()

    result = run(expect={"body_matches": "x"})

    assert reason(result) is Reason.INTERNAL
    assert "exceed 8 MiB; lower max_bytes" in detail(result)
    assert "fault" not in detail(result)
    assert reason(run()) is None  # nothing needs the body
    memory.release(held)
    assert reason(run(expect={"body_matches": "x"})) is None
