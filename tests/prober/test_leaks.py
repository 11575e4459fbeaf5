"""What a run leaves behind: nothing that only the collector of cycles would find."""

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
def uncollected() -> Iterator[None]:
    """What is in cycles stays until the test asks for it."""
    gc.disable()
    yield
    gc.enable()


def unknown(host: str, *rest: Any) -> list[tuple[Any, ...]]:
    """A name server that is well and knows nobody."""
    if rest[-1] & socket.AI_NUMERICHOST:
        return list(socket.getaddrinfo(host, *rest))
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("url", "proxy", "wanted"),
    [
        (REFUSING, None, Reason.REFUSED),
        ("http://model.invalid/", None, Reason.DNS),
        ("http://model.invalid/", REFUSING, Reason.PROXY),
    ],
)
def test_a_failure_leaves_no_cycle(url: str, proxy: str | None, wanted: Reason) -> None:
    """A model that is down for a night makes no work for the collector, which holds up all."""
    prober = make_prober(url, proxy=proxy, getaddrinfo=unknown)
    assert reason(prober.run()) is wanted  # what is made once is made by now
    gc.collect()

    for _ in range(TIMES):
        prober.run()

    assert gc.collect() < TIMES
