"""What can be wrong with the machine that the daemon runs on."""

import json
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle
from pathlib import Path

from tests.commands import Running
from tests.faults.daemon import NAME
from tests.faults.fault import Stage
from tests.faults.page import Page
from tests.prober.test_reasons_connect import full_queue
from tests.raw_servers import Peer, Script, Server, delayed, http_response

WELL = delayed(0.02, http_response())
BUSY = delayed(0.08, http_response(b"x" * 100_000))
"""Nearly always under way, and its answer takes several reads."""

AMPLE = "2s"
"""The timeout of a probe that is to succeed: a busy machine must not be taken for the fault."""

LASTS = 0.7
"""Seconds that a fault lasts which comes and goes."""

SHORT = 0.2
"""Where nothing else works meanwhile; and what it then has until it comes again."""


def names(way: str, timeout: str = AMPLE) -> Callable[[Path], AbstractContextManager[Stage]]:
    """A healthy endpoint whose name is looked up in that way."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(WELL) as server:
            yield _named(server, way, ("127.0.0.1", server.port), timeout=timeout)

    return stage


def _named(server: Server, way: str, *addresses: tuple[str, int], timeout: str = AMPLE) -> Stage:
    keys = {"url": server.url(host=NAME), "timeout": timeout}
    return Stage(keys=keys, condition=("names", way, json.dumps(addresses)))


@contextmanager
def first_address_refuses(_: Path) -> Iterator[Stage]:
    """Nobody listens at the IPv6 address."""
    with Server(WELL) as server:
        port = server.port
        yield _named(server, "well", ("::1", port), ("127.0.0.1", port))


@contextmanager
def first_address_drops(_: Path) -> Iterator[Stage]:
    """SYNs to the first address are lost."""
    with Server(WELL) as server, full_queue() as full:
        yield _named(server, "well", full.getsockname(), ("127.0.0.1", server.port))


def struck(
    strike: Callable[[Running], None],
    *condition: str,
    script: Script = WELL,
    timeout: str = AMPLE,
) -> Callable[[Path], AbstractContextManager[Stage]]:
    """An endpoint, and something that happens to the daemon meanwhile."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(script) as server:
            keys = {"url": server.url(), "timeout": timeout}
            yield Stage(keys=keys, condition=condition, strike=strike)

    return stage


def step_the_clock(daemon: Running) -> None:
    """To and fro."""
    for _ in range(8):
        daemon.process.send_signal(signal.SIGUSR1)
        time.sleep(0.06)
        daemon.process.send_signal(signal.SIGUSR2)
        time.sleep(0.06)


def stop_and_continue(daemon: Running) -> None:
    """Longer than the deadline; answers that come meanwhile have come in time."""
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(1.1)
    daemon.process.send_signal(signal.SIGCONT)
    time.sleep(SHORT)


def take_the_descriptors(daemon: Running) -> None:
    """From outside: what is open stays open, nothing can be opened."""
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    time.sleep(SHORT)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    time.sleep(SHORT)


@contextmanager
def no_threads(_: Path) -> Iterator[Stage]:
    """The endpoint hangs meanwhile, so that more threads are needed than there are."""
    hanging = threading.Event()

    def script(peer: Peer) -> None:
        while peer.request():
            if hanging.is_set():
                peer.silence()
            peer.send(http_response())

    def strike(daemon: Running) -> None:
        daemon.process.send_signal(signal.SIGUSR1)
        hanging.set()
        time.sleep(LASTS)
        hanging.clear()
        daemon.process.send_signal(signal.SIGUSR2)

    with Server(script) as server:
        yield Stage(keys={"url": server.url()}, condition=("threads",), strike=strike)


@contextmanager
def directory_gone(directory: Path) -> Iterator[Stage]:
    """With the config and a secret in it; somebody asks for a reload, too."""
    (directory / "token").write_text("abc")

    def strike(daemon: Running) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(LASTS)

    with Server(WELL) as server:
        headers = {"Authorization": "Bearer ${file:token}"}
        keys = {"url": server.url(), "headers": headers, "timeout": AMPLE}
        yield Stage(keys=keys, strike=strike)


def spoil_the_log(daemon: Running) -> None:
    daemon.process.send_signal(signal.SIGUSR1)
    time.sleep(LASTS)


def alternating() -> Script:
    """Well and not: a line of the log for each answer."""
    turn = cycle((http_response(), http_response(status="500 Oops")))

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(turn))

    return script


def scrape_ten_times_at_once(daemon: Running) -> None:
    """Three times; every page is whole and balanced."""
    with ThreadPoolExecutor(10) as scrapers:
        pages = list(scrapers.map(daemon.get, ["/metrics"] * 30))
    assert not any(Page(page.text).unbalanced() for page in pages)
