"""A run leaves no reference cycles."""

import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from probe.result import Reason
from tests.probing import make_prober, reason

TIMES = 20
REFUSING = "http://127.0.0.1:1/"


@pytest.fixture
def gc_disabled() -> Iterator[None]:
    """Disable the garbage collector during the test."""
    gc.disable()
    yield
    gc.enable()


def unknown_name(host: str, *rest: Any) -> list[tuple[Any, ...]]:
    """Fail as a working name server does for an unknown name."""
    if rest[-1] & socket.AI_NUMERICHOST:
        return list(socket.getaddrinfo(host, *rest))
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.usefixtures("gc_disabled")
@pytest.mark.parametrize(
    ("url", "proxy", "wanted"),
    [
        (REFUSING, None, Reason.REFUSED),
        ("http://model.invalid/", None, Reason.DNS),
        ("http://model.invalid/", REFUSING, Reason.PROXY),
    ],
)
def test_a_failure_leaves_no_cycle(url: str, proxy: str | None, wanted: Reason) -> None:
    """A model that is down must cause no work for the collector, which stops all threads."""
    prober = make_prober(url, proxy=proxy, getaddrinfo=unknown_name)
    assert reason(prober.run()) is wanted  # objects that are created once exist from now on
    gc.collect()

    for _ in range(TIMES):
        prober.run()

    assert gc.collect() < TIMES
