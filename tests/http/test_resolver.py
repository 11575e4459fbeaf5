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
from probe.http.resolver import MAX_LOOKUPS, Resolver
from probe.http.timing import Stopwatch
from probe.result import Phase, Reason, Result
from probe.threads import Task, ThreadCache
from tests.fakes import FakeTime
from tests.probing import make_prober, reason

LOOPBACK = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


class NameServer:
    """Answers when it is told to, and remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = threading.Event()

    def __call__(self, host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if rest[-1] & socket.AI_NUMERICHOST:
            return list(socket.getaddrinfo(host, *rest))
        self.asked.append(host)
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


def watch(timeout: float = 5.0) -> Stopwatch:
    return Stopwatch(Clock(), timeout)


def ask(resolver: Resolver, host: str, timeout: float = 5.0) -> object:
    """Addresses, or the exception."""
    try:
        return resolver.resolve(host, 80, socket.AF_UNSPEC, watch(timeout))
    except Exception as error:  # noqa: BLE001  (it is what the test is about)
        return error


def ask_all(resolver: Resolver, hosts: list[str], server: NameServer) -> list[object]:
    """All of them at the same time; the server answers when all are waiting."""
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda host=host: answers.append(ask(resolver, host)))
        for host in hosts
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    server.open.set()
    for thread in threads:
        thread.join()
    return answers


def test_a_host_has_one_lookup_at_a_time(resolver: Resolver, server: NameServer) -> None:
    """All who ask meanwhile get its answer."""
    answers = ask_all(resolver, ["model.test"] * 8, server)

    assert server.asked == ["model.test"]
    assert len(answers) == 8
    for answer in answers:
        assert isinstance(answer, tuple)
        assert [address.host for address in answer] == ["127.0.0.1"]


def test_its_failure_is_shared_too(resolver: Resolver, server: NameServer) -> None:
    """Each gets an exception of its own: threads that share one mix up its traceback."""
    answers = ask_all(resolver, ["no.test"] * 3, server)

    assert all(isinstance(answer, socket.gaierror) for answer in answers)
    assert len({id(answer) for answer in answers}) == 3
    assert server.asked == ["no.test"]


def test_nothing_is_remembered(resolver: Resolver, server: NameServer) -> None:
    """The next probe looks up anew: a cache would hide what a client feels."""
    server.open.set()

    ask(resolver, "model.test")
    ask(resolver, "model.test")

    assert server.asked == ["model.test"] * 2


def test_a_host_that_hangs_does_not_stop_others(resolver: Resolver, server: NameServer) -> None:
    """Nor collects threads: the next who asks waits for the same lookup."""
    hanging = [ask(resolver, "model.test", timeout=0.05) for _ in range(5)]

    assert all(isinstance(answer, TimeoutError) for answer in hanging)
    assert server.asked == ["model.test"]
    server.open.set()
    assert isinstance(ask(resolver, "other.test"), tuple)


def test_whoever_joins_late_has_waited_less(resolver: Resolver, server: NameServer) -> None:
    """The phase `dns` of a joiner begins when it joined."""
    first, second = watch(), watch()
    threads = [
        threading.Thread(target=resolver.resolve, args=("model.test", 80, socket.AF_UNSPEC, one))
        for one in (first, second)
    ]
    began = []
    for thread in threads:
        began.append(time.monotonic())
        thread.start()
        time.sleep(0.2)
    ended = time.monotonic()
    server.open.set()
    for thread in threads:
        thread.join()

    for one, since in zip((first, second), began, strict=True):
        assert one.times().total()[Phase.DNS] == pytest.approx(ended - since, abs=0.05)


def test_what_is_ours_is_no_part_of_a_lookup() -> None:
    """Neither the wait for its turn nor waking up when it is done: they are taken out, and told."""
    time = FakeTime()

    class Slow(ThreadCache):
        def submit(self, task: Task) -> None:
            time.advance(0.5)
            task()
            time.advance(0.25)

    def getaddrinfo(*asked: Any) -> list[tuple[Any, ...]]:
        if asked[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        time.advance(0.125)
        return list(LOOPBACK)

    stopwatch = Stopwatch(time.clock(), 5)
    resolver = Resolver(Slow("resolver"), time.clock(), getaddrinfo)

    resolver.resolve("model.test", 80, socket.AF_UNSPEC, stopwatch)
    stopwatch.start_phase(
        Phase.CONNECT, at=stopwatch.timestamp(time.wall)
    )  # the kernel's stamps count

    assert stopwatch.times().total() == {Phase.DNS: 0.125, Phase.CONNECT: 0}
    assert stopwatch.times().correction == 0.75


def test_lookups_that_hang_are_limited_in_number(resolver: Resolver, server: NameServer) -> None:
    """One more than the limit has to wait; when the others have ended, it has its turn."""
    for number in range(MAX_LOOKUPS):
        assert isinstance(ask(resolver, f"model-{number}.test", timeout=0.01), TimeoutError)

    assert isinstance(ask(resolver, "one-more.test", timeout=0.2), TimeoutError)
    assert len(server.asked) == MAX_LOOKUPS

    server.open.set()
    assert isinstance(ask(resolver, "one-more.test"), tuple)


def test_a_turn_that_never_comes_is_dns(resolver: Resolver) -> None:
    """Where names hang because DNS is dead, one that waits for its turn has the same reason."""
    for number in range(MAX_LOOKUPS):
        ask(resolver, f"model-{number}.test", timeout=0.01)

    result = make_prober("http://one-more.test/", resolver=resolver, timeout="200ms").run()

    assert reason(result) is Reason.DNS
    assert result.phases[Phase.DNS] == pytest.approx(0.2, abs=0.05)


def test_a_lookup_that_breaks_is_over() -> None:
    """An exception that nobody foresaw does not leave its host hanging for ever."""
    broken = [True]

    def getaddrinfo(*asked: Any) -> list[tuple[Any, ...]]:
        if asked[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        if broken:
            raise MemoryError("no memory")
        return list(LOOPBACK)

    resolver = Resolver(ThreadCache("resolver"), Clock(), getaddrinfo)

    assert isinstance(ask(resolver, "model.test"), MemoryError)
    broken.clear()
    assert isinstance(ask(resolver, "model.test"), tuple)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%1"])
def test_an_address_is_not_looked_up(resolver: Resolver, server: NameServer, host: str) -> None:
    """It has no phase `dns` and needs no thread."""
    stopwatch = watch()

    (address,) = resolver.resolve(host, 80, socket.AF_UNSPEC, stopwatch)

    assert address.host.partition("%")[0] == host.partition("%")[0]
    assert server.asked == []
    assert stopwatch.times().total() == {}


def test_probes_of_one_host_share_a_lookup(resolver: Resolver, server: NameServer) -> None:
    """Through the whole prober: three probes, one question."""
    probers = [make_prober(f"http://model.test:{n}/", resolver=resolver) for n in (1, 1, 1)]
    results: list[Result] = []
    threads = [
        threading.Thread(target=lambda one=one: results.append(one.run())) for one in probers
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    server.open.set()
    for thread in threads:
        thread.join()

    assert [reason(result) for result in results] == [Reason.REFUSED] * 3
    assert server.asked == ["model.test"]


HANGS = """
import socket, threading, time
from tests.probing import make_prober
def hang(host, *rest):
    if rest[-1] & socket.AI_NUMERICHOST:
        return socket.getaddrinfo(host, *rest)
    time.sleep(60)
print(make_prober("http://model.test/", getaddrinfo=hang, timeout="100ms").run().failure.reason)
"""


def test_a_lookup_that_hangs_does_not_keep_the_process_alive() -> None:
    """A daemon that is told to stop stops."""
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout.strip() == "dns"
    assert time.monotonic() - began < 20
