"""Faults of the daemon's machine."""

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

# A request is nearly always in flight, and its response needs several reads.
SLOW_LARGE_RESPONSE = delayed(0.08, http_response(b"x" * 100_000))

# Timeout of a probe that must succeed also on a busy machine.
LONG_TIMEOUT = "2s"

# Duration of a temporary fault.
FAULT_SECONDS = 0.7

# Duration of a fault during which the daemon cannot work, and of the pause after it.
SHORT_FAULT_SECONDS = 0.2


def name_lookup(
    way: str, timeout: str = LONG_TIMEOUT
) -> Callable[[Path], AbstractContextManager[Stage]]:
    """Return the setup of a healthy endpoint whose name lookup behaves as `way`."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(WELL) as server:
            yield _named(server, way, ("127.0.0.1", server.port), timeout=timeout)

    return stage


def _named(
    server: Server, way: str, *addresses: tuple[str, int], timeout: str = LONG_TIMEOUT
) -> Stage:
    keys = {"url": server.url(host=NAME), "timeout": timeout}
    return Stage(keys=keys, condition=("names", way, json.dumps(addresses)))


@contextmanager
def first_address_refuses(_: Path) -> Iterator[Stage]:
    """Set up an endpoint that listens only on its second, IPv4, address."""
    with Server(WELL) as server:
        port = server.port
        yield _named(server, "well", ("::1", port), ("127.0.0.1", port))


@contextmanager
def first_address_drops(_: Path) -> Iterator[Stage]:
    """Set up an endpoint whose first address drops SYNs."""
    with Server(WELL) as server, full_queue() as full:
        yield _named(server, "well", full.getsockname(), ("127.0.0.1", server.port))


def with_trigger(
    trigger: Callable[[Running], None],
    *condition: str,
    script: Script = WELL,
    timeout: str = LONG_TIMEOUT,
) -> Callable[[Path], AbstractContextManager[Stage]]:
    """Return the setup of an endpoint, with a `trigger` for a fault of the daemon."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(script) as server:
            keys = {"url": server.url(), "timeout": timeout}
            yield Stage(keys=keys, condition=condition, trigger=trigger)

    return stage


def step_clock(daemon: Running) -> None:
    """Set the wall clock forward and back, several times."""
    for _ in range(8):
        daemon.process.send_signal(signal.SIGUSR1)
        time.sleep(0.06)
        daemon.process.send_signal(signal.SIGUSR2)
        time.sleep(0.06)


def stop_and_continue(daemon: Running) -> None:
    """Stop the daemon for longer than the deadline. Responses meanwhile are still in time."""
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(1.1)
    daemon.process.send_signal(signal.SIGCONT)
    time.sleep(SHORT_FAULT_SECONDS)


def exhaust_descriptors(daemon: Running) -> None:
    """Lower the limit of descriptors, so that the daemon can open no new ones."""
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    time.sleep(SHORT_FAULT_SECONDS)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    time.sleep(SHORT_FAULT_SECONDS)


@contextmanager
def no_threads(_: Path) -> Iterator[Stage]:
    """Set up an endpoint that hangs while no thread starts, so that new threads are needed."""
    hanging = threading.Event()

    def script(peer: Peer) -> None:
        while peer.request():
            if hanging.is_set():
                peer.silence()
            peer.send(http_response())

    def trigger(daemon: Running) -> None:
        daemon.process.send_signal(signal.SIGUSR1)
        hanging.set()
        time.sleep(FAULT_SECONDS)
        hanging.clear()
        daemon.process.send_signal(signal.SIGUSR2)

    with Server(script) as server:
        yield Stage(keys={"url": server.url()}, condition=("threads",), trigger=trigger)


@contextmanager
def directory_deleted(directory: Path) -> Iterator[Stage]:
    """Set up a probe with a secret file; delete the directory of the config and reload."""
    (directory / "token").write_text("abc")

    def trigger(daemon: Running) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(FAULT_SECONDS)

    with Server(WELL) as server:
        headers = {"Authorization": "Bearer ${file:token}"}
        keys = {"url": server.url(), "headers": headers, "timeout": LONG_TIMEOUT}
        yield Stage(keys=keys, trigger=trigger)


def break_log(daemon: Running) -> None:
    daemon.process.send_signal(signal.SIGUSR1)
    time.sleep(FAULT_SECONDS)


def alternating() -> Script:
    """Return a script that alternates between success and failure, which causes log lines."""
    turn = cycle((http_response(), http_response(status="500 Oops")))

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(turn))

    return script


def scrape_concurrently(daemon: Running) -> None:
    """Send ten scrapes at once, three times, and check the tick accounting of all."""
    with ThreadPoolExecutor(10) as executor:
        pages = list(executor.map(daemon.get, ["/metrics"] * 30))
    assert not any(Page(page.text).unbalanced() for page in pages)
