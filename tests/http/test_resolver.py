"""Name lookups under a deadline."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.http.resolver import MAX_LOOKUPS, MAX_LOOKUPS_PER_HOST, Resolver
from probe.http.stopwatch import Stopwatch
from probe.result import Phase, Reason, Result
from probe.threads import Task, ThreadCache
from tests.fakes import FakeTime
from tests.probing import make_prober, reason

pytestmark = pytest.mark.timing

LOOPBACK = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


class NameServer:
    """Responds when `open` is set, and remembers the names that were looked up."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.open = threading.Event()

    def __call__(self, host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if rest[-1] & socket.AI_NUMERICHOST:
            return list(socket.getaddrinfo(host, *rest))
        self.names.append(host)
        self.open.wait(30)
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return list(LOOPBACK)


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.open.set()


@pytest.fixture
def resolver(server: NameServer) -> Resolver:
    return Resolver(ThreadCache("resolver"), Clock(), server)


def new_stopwatch(timeout: float = 5.0) -> Stopwatch:
    return Stopwatch(Clock(), timeout)


def resolve(resolver: Resolver, host: str, timeout: float = 5.0) -> object:
    """Return the addresses, or the exception."""
    try:
        return resolver.resolve(host, 80, socket.AF_UNSPEC, new_stopwatch(timeout))
    except Exception as error:  # noqa: BLE001  (the tests are about it)
        return error


def resolve_all(resolver: Resolver, hosts: list[str], server: NameServer) -> list[object]:
    """Resolve all hosts at the same time; the server responds when all runs are waiting."""
    outcomes: list[object] = []
    threads = [
        threading.Thread(target=lambda host=host: outcomes.append(resolve(resolver, host)))
        for host in hosts
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    server.open.set()
    for thread in threads:
        thread.join()
    return outcomes


def test_lookups_of_a_host_are_limited(resolver: Resolver, server: NameServer) -> None:
    """The runs that wait for another lookup of the host share one."""
    outcomes = resolve_all(resolver, ["model.test"] * 8, server)

    assert server.names == ["model.test"] * (MAX_LOOKUPS_PER_HOST + 1)
    assert len(outcomes) == 8
    for outcome in outcomes:
        assert isinstance(outcome, tuple)
        assert [address.host for address in outcome] == ["127.0.0.1"]


def test_runs_that_share_a_failure_raise_a_copy(resolver: Resolver, server: NameServer) -> None:
    """Threads that raise the same exception object would mix up its traceback."""
    outcomes = resolve_all(resolver, ["no.test"] * 5, server)

    assert all(isinstance(outcome, socket.gaierror) for outcome in outcomes)
    assert len({id(outcome) for outcome in outcomes}) == 5
    assert server.names == ["no.test"] * (MAX_LOOKUPS_PER_HOST + 1)


def test_addresses_are_not_cached(resolver: Resolver, server: NameServer) -> None:
    """The next run looks up the name again: a cache would hide a slow name server."""
    server.open.set()

    resolve(resolver, "model.test")
    resolve(resolver, "model.test")

    assert server.names == ["model.test"] * 2


def test_a_host_that_hangs_does_not_block_others(resolver: Resolver, server: NameServer) -> None:
    """It does not collect threads either: its next runs wait for the lookups that hang."""
    outcomes = [resolve(resolver, "model.test", timeout=0.05) for _ in range(5)]

    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    assert server.names == ["model.test"] * MAX_LOOKUPS_PER_HOST
    server.open.set()
    assert isinstance(resolve(resolver, "other.test"), tuple)


class SlowNameServer(NameServer):
    """Responds after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.measured_seconds: list[float] = []
        self.open.set()

    def __call__(self, host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if rest[-1] & socket.AI_NUMERICHOST:
            return super().__call__(host, *rest)
        start = time.monotonic()
        time.sleep(self.seconds)
        addresses = super().__call__(host, *rest)
        self.measured_seconds.append(time.monotonic() - start)
        return addresses


@pytest.mark.parametrize("runs", [2, 4], ids=["below the limit", "above the limit"])
def test_dns_is_the_whole_lookup(runs: int) -> None:
    """A run that starts during the lookup of another run measures a whole lookup, too.

    If it only waited for the end of that lookup, it would report a fraction of the time that a
    client needs. Above the limit of lookups, waiting for one to start is not counted.
    """
    seconds = 0.2
    name_server = SlowNameServer(seconds)
    resolver = Resolver(ThreadCache("resolver"), Clock(), name_server)
    stopwatches = []
    threads = []
    for _ in range(runs):
        stopwatches.append(new_stopwatch())
        arguments = ("model.test", 80, socket.AF_UNSPEC, stopwatches[-1])
        threads.append(threading.Thread(target=resolver.resolve, args=arguments))
        threads[-1].start()
        time.sleep(seconds / (runs + 1))
    for thread in threads:
        thread.join()

    for stopwatch in stopwatches:
        stopwatch.start_phase(Phase.CONNECT, at=stopwatch.timestamp(time.time_ns()))
        times = stopwatch.times()
        assert times.clock == "kernel"
        dns = times.total()[Phase.DNS]
        assert dns >= seconds
        # A busy machine wakes the sleeping lookup late: compare with the time that it took.
        assert any(dns == pytest.approx(took, abs=0.05) for took in name_server.measured_seconds)


def test_waiting_for_a_thread_is_not_part_of_a_lookup() -> None:
    """Neither before the lookup starts nor after it has ended: both are in the correction."""
    time = FakeTime()

    class SlowThreads(ThreadCache):
        def submit(self, task: Task) -> None:
            time.advance(0.5)
            task()
            time.advance(0.25)

    def getaddrinfo(*arguments: Any) -> list[tuple[Any, ...]]:
        if arguments[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        time.advance(0.125)
        return list(LOOPBACK)

    stopwatch = Stopwatch(time.clock(), 5)
    resolver = Resolver(SlowThreads("resolver"), time.clock(), getaddrinfo)

    resolver.resolve("model.test", 80, socket.AF_UNSPEC, stopwatch)
    stopwatch.start_phase(Phase.CONNECT, at=stopwatch.timestamp(time.wall))  # with kernel stamps

    assert stopwatch.times().total() == {Phase.DNS: 0.125, Phase.CONNECT: 0}
    assert stopwatch.times().correction == 0.75


def fill(resolver: Resolver) -> None:
    """Start as many lookups that hang as may run at the same time."""
    for number in range(MAX_LOOKUPS):
        assert isinstance(resolve(resolver, f"m{number}.test", timeout=0.003), TimeoutError)


def test_lookups_are_limited_in_total(resolver: Resolver, server: NameServer) -> None:
    """One more has to wait, and starts when another has ended."""
    fill(resolver)

    assert isinstance(resolve(resolver, "one-more.test", timeout=0.1), TimeoutError)
    assert len(server.names) == MAX_LOOKUPS

    server.open.set()
    assert isinstance(resolve(resolver, "one-more.test"), tuple)


def test_a_lookup_that_cannot_start_before_the_deadline_is_dns(resolver: Resolver) -> None:
    """Lookups that hang are what keeps it from starting: the reason is the same as theirs."""
    fill(resolver)

    result = make_prober("http://one-more.test/", resolver=resolver, timeout="200ms").run()

    assert reason(result) is Reason.DNS
    assert result.phases[Phase.DNS] == pytest.approx(0.2, abs=0.05)


def test_all_waiting_lookups_get_a_turn(resolver: Resolver, server: NameServer) -> None:
    """Of different hosts, and of one host several times, above both limits."""
    hosts = [f"m{number}.test" for number in range(MAX_LOOKUPS)]

    outcomes = resolve_all(resolver, [*hosts, *hosts[:8] * 3, "one-more.test"], server)

    assert all(isinstance(outcome, tuple) for outcome in outcomes)
    assert len(outcomes) == MAX_LOOKUPS + 25


def test_an_unexpected_error_ends_a_lookup() -> None:
    """Later runs of the host do not wait for it."""
    broken = [True]

    def getaddrinfo(*arguments: Any) -> list[tuple[Any, ...]]:
        if arguments[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        if broken:
            raise MemoryError("no memory")
        return list(LOOPBACK)

    resolver = Resolver(ThreadCache("resolver"), Clock(), getaddrinfo)

    assert isinstance(resolve(resolver, "model.test"), MemoryError)
    broken.clear()
    assert isinstance(resolve(resolver, "model.test"), tuple)


def test_without_threads_no_lookup_waits(server: NameServer) -> None:
    """A lookup for which no thread can be started fails at once; later ones start again."""
    full = [True]

    class Threads(ThreadCache):
        def submit(self, task: Task) -> None:
            if full:
                raise RuntimeError("can't start new thread")
            super().submit(task)

    resolver = Resolver(Threads("resolver"), Clock(), server)
    server.open.set()

    for _ in range(MAX_LOOKUPS_PER_HOST + 1):
        assert isinstance(resolve(resolver, "model.test"), RuntimeError)
    full.clear()
    assert isinstance(resolve(resolver, "model.test"), tuple)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%1"])
def test_an_address_is_not_looked_up(resolver: Resolver, server: NameServer, host: str) -> None:
    """It has no phase `dns` and needs no thread."""
    stopwatch = new_stopwatch()

    (address,) = resolver.resolve(host, 80, socket.AF_UNSPEC, stopwatch)

    assert address.host.partition("%")[0] == host.partition("%")[0]
    assert server.names == []
    assert stopwatch.times().total() == {}


@pytest.mark.parametrize(
    ("host", "parsed"),
    [("127.0.0.1", 1), ("0x7f.1", 1), ("::1", 1), ("fe80::1%1", 2), ("127.0.0.1%", 2)],
)
def test_an_address_is_parsed_once(host: str, parsed: int) -> None:
    """Unless it has a zone: the number of a network interface may change."""
    hosts = []

    def getaddrinfo(host: str, *rest: Any) -> list[tuple[Any, ...]]:
        hosts.append(host)
        return list(socket.getaddrinfo(host, *rest))

    resolver = Resolver(ThreadCache("resolver"), Clock(), getaddrinfo)
    addresses = [resolver.parse_address(host, 80, socket.AF_UNSPEC) for _ in range(2)]

    assert addresses[0] == addresses[1]
    assert hosts == [host] * parsed
    assert not resolver.parse_address("127.0.0.1", 80, socket.AF_INET6)
    (other_port,) = resolver.parse_address("127.0.0.1", 81, socket.AF_UNSPEC)
    assert other_port.sockaddr == ("127.0.0.1", 81)


def test_probes_of_one_host_share_the_limit(resolver: Resolver, server: NameServer) -> None:
    """The host and port of different probes are the same host and port."""
    probers = [make_prober("http://model.test:1/", resolver=resolver) for _ in range(5)]
    results: list[Result] = []
    threads = [
        threading.Thread(target=lambda prober=prober: results.append(prober.run()))
        for prober in probers
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    server.open.set()
    for thread in threads:
        thread.join()

    assert [reason(result) for result in results] == [Reason.REFUSED] * 5
    assert server.names == ["model.test"] * (MAX_LOOKUPS_PER_HOST + 1)


HANGING_LOOKUP = """
import socket, threading, time
from tests.probing import make_prober
def hang(host, *rest):
    if rest[-1] & socket.AI_NUMERICHOST:
        return socket.getaddrinfo(host, *rest)
    time.sleep(60)
print(make_prober("http://model.test/", getaddrinfo=hang, timeout="100ms").run().failure.reason)
"""


def test_a_lookup_that_hangs_does_not_keep_the_process_alive() -> None:
    """The interpreter exits although a thread is in `getaddrinfo`."""
    started = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGING_LOOKUP],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout.strip() == "dns"
    assert time.monotonic() - started < 20
