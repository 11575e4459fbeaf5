"""Faults of the name server and of the machine on which the daemon runs."""

import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.commands import Running
from tests.faults.endpoints import in_turn
from tests.faults.fault import FakeHost, FaultSetup, OpenSetup
from tests.faults.scrape import Scrape
from tests.raw_servers import Peer, Script, Server, delayed, full_accept_queue, http_response

HEALTHY_ENDPOINT = delayed(0.02, http_response())

# Nearly always in flight, with a response that needs several reads.
BUSY_ENDPOINT = delayed(0.08, http_response(b"x" * 100_000))

# Log lines for each response.
EVERY_SECOND_FAILS = in_turn((http_response(), http_response(status="500 Internal Server Error")))

# Timeout of a probe that succeeds: a delay on a busy machine must not look like the fault.
LONG_TIMEOUT = "2s"

# Duration of a temporary fault.
FAULT_SECONDS = 0.7

# Duration of a fault during which nothing else works, and of the recovery before the next one.
SHORT_FAULT_SECONDS = 0.2

# Longer than the deadline of the faulty probe.
STOP_SECONDS = 1.1


def lookup(host: str, behaviour: str, *, timeout: str = LONG_TIMEOUT) -> OpenSetup:
    """Return the setup of a healthy endpoint whose `host` is looked up with `behaviour`."""

    @contextmanager
    def setup(_: Path) -> Iterator[FaultSetup]:
        with Server(HEALTHY_ENDPOINT) as server:
            yield _with_host(server, host, behaviour, server.address, timeout=timeout)

    return setup


def _with_host(
    server: Server,
    host: str,
    behaviour: str,
    *addresses: tuple[Any, ...],
    timeout: str = LONG_TIMEOUT,
) -> FaultSetup:
    keys = {"url": server.url(host=host), "timeout": timeout}
    return FaultSetup(keys=keys, hosts={host: FakeHost(behaviour=behaviour, addresses=addresses)})


@contextmanager
def ipv6_refuses(_: Path) -> Iterator[FaultSetup]:
    """Return an IPv6 address without a listener before the address of the endpoint."""
    with Server(HEALTHY_ENDPOINT) as server:
        addresses = (("::1", server.port), server.address)
        yield _with_host(server, "ipv6-refuses.test", "normal", *addresses)


@contextmanager
def first_address_drops(_: Path) -> Iterator[FaultSetup]:
    """Return an address that drops SYNs before the address of the endpoint."""
    with Server(HEALTHY_ENDPOINT) as server, full_accept_queue() as full_address:
        addresses = (full_address, server.address)
        yield _with_host(server, "first-address-drops.test", "normal", *addresses)


def injected(
    inject: Callable[[Running], None],
    *,
    patch: str | None = None,
    script: Script = HEALTHY_ENDPOINT,
    timeout: str = LONG_TIMEOUT,
) -> OpenSetup:
    """Return the setup of an endpoint with this script, and a fault to inject into the daemon."""

    @contextmanager
    def setup(_: Path) -> Iterator[FaultSetup]:
        with Server(script) as server:
            keys = {"url": server.url(), "timeout": timeout}
            yield FaultSetup(keys=keys, patch=patch, inject=inject)

    return setup


def step_clock(daemon: Running) -> None:
    """Set the wall clock forward and back several times."""
    for _ in range(8):
        daemon.process.send_signal(signal.SIGUSR1)
        time.sleep(0.06)
        daemon.process.send_signal(signal.SIGUSR2)
        time.sleep(0.06)


def stop_and_continue(daemon: Running) -> None:
    """Stop the daemon for longer than the deadline; responses arrive in the meantime."""
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(STOP_SECONDS)
    daemon.process.send_signal(signal.SIGCONT)
    time.sleep(SHORT_FAULT_SECONDS)


def exhaust_descriptors(daemon: Running) -> None:
    """Lower the limit of open files: open files stay open, and no other can be opened."""
    pid = daemon.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    time.sleep(SHORT_FAULT_SECONDS)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    time.sleep(SHORT_FAULT_SECONDS)


@contextmanager
def no_threads(_: Path) -> Iterator[FaultSetup]:
    """Let the endpoint hang, and no thread start until after the faulty probe has timed out."""
    hanging = threading.Event()

    def script(peer: Peer) -> None:
        while peer.request():
            if hanging.is_set():
                peer.silence()
            peer.send(http_response())

    def inject(daemon: Running) -> None:
        hanging.set()
        time.sleep(SHORT_FAULT_SECONDS)
        daemon.process.send_signal(signal.SIGUSR1)
        time.sleep(FAULT_SECONDS)
        hanging.clear()
        daemon.process.send_signal(signal.SIGUSR2)
        time.sleep(2 * SHORT_FAULT_SECONDS)

    with Server(script) as server:
        keys = {"url": server.url(), "timeout": "500ms"}
        yield FaultSetup(keys=keys, patch="threads", inject=inject)


@contextmanager
def directory_deleted(directory: Path) -> Iterator[FaultSetup]:
    """Delete the directory with the config and a secret file, and request a reload."""
    (directory / "token").write_text("abc")

    def inject(daemon: Running) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(FAULT_SECONDS)

    with Server(HEALTHY_ENDPOINT) as server:
        headers = {"Authorization": "Bearer ${file:token}"}
        keys = {"url": server.url(), "headers": headers, "timeout": LONG_TIMEOUT}
        yield FaultSetup(keys=keys, inject=inject)


def redirect_log(daemon: Running) -> None:
    """Write the log to the file descriptor of the patch from now on."""
    daemon.process.send_signal(signal.SIGUSR1)
    time.sleep(FAULT_SECONDS)


def scrape_concurrently(daemon: Running) -> None:
    """Scrape three times with ten clients; each scrape is complete and its ticks add up."""
    with ThreadPoolExecutor(10) as clients:
        pages = list(clients.map(daemon.get, ["/metrics"] * 30))
    assert not any(Scrape(page.text).unbalanced() for page in pages)
