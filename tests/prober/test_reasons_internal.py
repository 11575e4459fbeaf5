"""What is our own fault, or the beginning of a model's life, and never charged to it."""

import errno
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.http.resolver import Resolver
from probe.http.timed_socket import TimedSocket
from probe.result import Phase, Reason, Result
from probe.scheduler.startup_grace import StartupGrace
from probe.threads import Task, ThreadCache
from tests.fakes import FakeTime
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason, run
from tests.raw_servers import always, free_port, http_response

WITHOUT_DESCRIPTORS = """
import os, resource, sys
from tests.probing import make_prober
warm = int(sys.argv[1])
probers = [make_prober(url) for url in sys.argv[2:]]
for prober in probers[:warm]:
    prober.run()  # what is imported late is there by now
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
for prober in probers:
    print(prober.run().failure)
"""


class Crew(ThreadCache):
    """A system that has no thread left until it has one."""

    full = True

    def submit(self, task: Task) -> None:
        if self.full:
            raise RuntimeError("can't start new thread")
        super().submit(task)


def unknown(*_: Any) -> list[tuple[Any, ...]]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("warm", [1, 3])
def test_no_descriptor_left_is_internal(serve: Serve, warm: int) -> None:
    """Neither a connection nor a lookup can be had, and the name server is not to blame.

    The first lookup of a process says another thing than later ones: that the name is unknown.
    """
    server = serve(always(http_response()))
    urls = [server.url(), server.url(host="localhost"), "http://model.invalid/"]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(warm), *urls],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "'internal'" in line
        assert "Too many open files" in line


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_an_error_of_our_own_machine_is_internal(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No descriptor, no local port, no buffers."""

    def connect(*_: Any) -> None:
        raise OSError(number, "nothing left")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    result = run("http://127.0.0.1:1/")

    assert reason(result) is Reason.INTERNAL
    assert "nothing left" in detail(result)


def test_a_thread_that_cannot_start_is_internal() -> None:
    """The lookup has no thread; the next run tries anew."""
    crew = Crew("resolver")
    prober = make_prober("http://model.invalid/", resolver=Resolver(crew, Clock(), unknown))

    assert reason(prober.run()) is Reason.INTERNAL
    crew.full = False
    assert reason(prober.run()) is Reason.DNS


def test_those_who_joined_a_lookup_without_thread_do_not_wait_for_it() -> None:
    """They fail at once and for the same reason, not at their deadline and for `dns`."""
    joined = threading.Event()

    class Slow(Crew):
        def submit(self, task: Task) -> None:
            joined.wait(5)
            super().submit(task)

    resolver = Resolver(Slow("resolver"), Clock())
    prober = make_prober("http://model.test/", resolver=resolver, timeout="5s")
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(prober.run())) for _ in range(2)]
    for thread in threads:
        thread.start()
        threading.Event().wait(0.1)
    joined.set()
    for thread in threads:
        thread.join()

    assert [reason(result) for result in results] == [Reason.INTERNAL] * 2
    assert all(result.latency < 2 for result in results)


def test_a_secret_that_has_vanished_is_internal(tmp_path: Path, serve: Serve) -> None:
    """It is named, and nothing is sent without it; when it is back, so is the probe."""
    token = tmp_path / "token"
    token.write_text("abc")
    server = serve(always(http_response()))
    prober = make_prober(
        server.url(), base=tmp_path, headers={"Authorization": "Bearer ${file:token}"}
    )

    token.unlink()
    result = prober.run()

    assert reason(result) is Reason.INTERNAL
    assert "${file:token}" in detail(result)
    assert result.phases == {}
    assert server.connections == 0
    token.write_text("def")
    assert reason(prober.run()) is None


@pytest.mark.parametrize("value", ["abc\r\nX-Evil: 1", "abc\ndef", "a\x00b"])
def test_a_secret_cannot_write_headers(tmp_path: Path, serve: Serve, value: str) -> None:
    """A file that has got a second line is our fault; its words go neither out nor on show."""
    token = tmp_path / "token"
    token.write_text("abc")
    server = serve(always(http_response()))
    prober = make_prober(server.url(), base=tmp_path, headers={"X-Token": "${file:token}"})
    token.write_bytes(value.encode())

    result = prober.run()

    assert reason(result) is Reason.INTERNAL
    assert "X-Token" in detail(result)
    assert "abc" not in detail(result)
    assert server.requests == []


@pytest.mark.parametrize(
    ("keys", "spoilt"),
    [
        ({"url": "http://${file:secret}/"}, "hush:hush"),
        ({"url": "http://a.test/", "proxy": "http://u:${file:secret}@b.test"}, "hush/hush:x@["),
    ],
)
def test_a_url_that_a_secret_has_spoilt_is_internal(
    tmp_path: Path, keys: dict[str, Any], spoilt: str
) -> None:
    """And the secret is not shown."""
    secret = tmp_path / "secret"
    secret.write_text("fine")
    prober = make_prober(**keys, base=tmp_path)
    secret.write_text(spoilt)

    result = prober.run()

    assert reason(result) is Reason.INTERNAL
    assert "hush" not in detail(result)


def test_a_starting_model_fails_for_startup() -> None:
    """Until its first success and for the grace at most; the cause is told."""
    time = FakeTime()
    grace = StartupGrace(time.clock(), startup_grace=60)
    failed = run(f"http://127.0.0.1:{free_port()}/")

    judged = grace.apply(failed)

    assert reason(judged) is Reason.STARTUP
    assert "refused" in detail(judged)
    assert judged.phases == failed.phases
    time.advance(60)
    assert grace.apply(failed) is failed


def test_the_first_success_ends_the_grace(serve: Serve) -> None:
    """A model that has answered once can fail."""
    grace = StartupGrace(Clock(), startup_grace=60)
    assert grace.active

    grace.apply(run(serve(always(http_response())).url()))

    assert not grace.active
    assert reason(grace.apply(run(f"http://127.0.0.1:{free_port()}/"))) is Reason.REFUSED


def test_our_own_fault_stays_internal_in_the_grace() -> None:
    """It has nothing to do with the model."""
    grace = StartupGrace(Clock(), startup_grace=60)
    ours = run("http://model.test/", resolver=Resolver(Crew("resolver"), Clock()))

    assert reason(grace.apply(ours)) is Reason.INTERNAL
    assert grace.active


def test_phases_have_names_that_reasons_know() -> None:
    """Whatever phase the deadline strikes in, there is a reason that says so."""
    from probe.prober.classify_failure import classify

    reasons = {classify(phase, TimeoutError(), timeout=1).reason for phase in Phase}

    assert len(reasons) == len(Phase)
    assert Reason.INTERNAL not in reasons
