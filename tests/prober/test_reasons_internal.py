"""Failures that do not count against the objective: `internal` and `startup`."""

import errno
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.http.resolver import Resolver
from probe.http.timed_socket import TimedSocket
from probe.prober.server_timing import ServerTimingParser
from probe.result import Phase, Reason, Result
from probe.scheduler.startup_grace import StartupGrace
from probe.threads import Task, ThreadCache
from tests.fakes import FakeTime
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason, run
from tests.raw_servers import always, free_port, http_response

pytestmark = pytest.mark.timing

WITHOUT_DESCRIPTORS = """
import os, resource, sys
from tests.probing import make_prober
warm = int(sys.argv[1])
probers = [make_prober(url) for url in sys.argv[2:]]
for prober in probers[:warm]:
    prober.run()  # lazily imported modules are loaded from now on
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


class ExhaustedThreads(ThreadCache):
    """A thread cache that can start no thread while `exhausted`."""

    exhausted = True

    def submit(self, task: Task) -> None:
        if self.exhausted:
            raise RuntimeError("can't start new thread")
        super().submit(task)


def unknown_name(*_: Any) -> list[tuple[Any, ...]]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("warm", [1, 3])
def test_no_descriptor_left_is_internal(serve: Serve, warm: int) -> None:
    """Neither a connection nor a lookup is possible. The name server is not to blame.

    The first lookup of a process fails differently from later ones: the name is unknown.
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
def test_an_error_of_this_host_is_internal(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """No file descriptor, no local port, no buffers."""

    def connect(*_: Any) -> None:
        raise OSError(number, "injected")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    result = run("http://127.0.0.1:1/")

    assert reason(result) is Reason.INTERNAL
    assert "injected" in detail(result)


def test_no_thread_for_a_lookup_is_internal() -> None:
    """The next run starts a new lookup."""
    threads = ExhaustedThreads("resolver")
    prober = make_prober("http://model.invalid/", resolver=Resolver(threads, Clock(), unknown_name))

    assert reason(prober.run()) is Reason.INTERNAL
    threads.exhausted = False
    assert reason(prober.run()) is Reason.DNS


def test_no_thread_for_a_shared_lookup_is_internal() -> None:
    """All runs that share the lookup fail at once, not with `dns` at their deadline."""
    joined = threading.Event()

    class Slow(ExhaustedThreads):
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


def test_a_missing_secret_file_is_internal(tmp_path: Path, serve: Serve) -> None:
    """The reference is named and no request is sent. The probe recovers with the file."""
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
def test_a_secret_with_a_line_break_is_internal(tmp_path: Path, serve: Serve, value: str) -> None:
    """It cannot inject a header, and its text is not shown."""
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
    ("keys", "invalid"),
    [
        ({"url": "http://${file:secret}/"}, "hush:hush"),
        ({"url": "http://a.test/", "proxy": "http://u:${file:secret}@b.test"}, "hush/hush:x@["),
    ],
)
def test_a_secret_that_makes_the_url_invalid_is_internal(
    tmp_path: Path, keys: dict[str, Any], invalid: str
) -> None:
    """The secret is not shown."""
    secret = tmp_path / "secret"
    secret.write_text("fine")
    prober = make_prober(**keys, base=tmp_path)
    secret.write_text(invalid)

    result = prober.run()

    assert reason(result) is Reason.INTERNAL
    assert "hush" not in detail(result)


def test_a_bug_is_raised_without_secrets(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log shows the exception with its causes, whose messages may quote the response."""

    def parse(*_: Any, **__: Any) -> None:
        try:
            raise ValueError("invalid: Bearer hush-hush")
        except ValueError as error:
            raise KeyError("Bearer hush-hush") from error

    monkeypatch.setattr(ServerTimingParser, "parse", parse)
    prober = make_prober(
        serve(always(http_response())).url(),
        headers={"Authorization": "Bearer hush-hush"},
        # Without a condition, the response is not evaluated.
        expect={"body_matches": ""},
    )

    with pytest.raises(KeyError) as raised:
        prober.run()

    logged = "".join(traceback.format_exception(raised.value))
    assert "KeyError: '***'" in logged
    assert "invalid: " not in logged


def test_a_failure_of_a_starting_model_is_startup() -> None:
    """Until the first success, at most for the grace period. The detail keeps the cause."""
    time = FakeTime()
    grace = StartupGrace(time.clock(), startup_grace=60)
    failed = run(f"http://127.0.0.1:{free_port()}/")

    adjusted = grace.apply(failed)

    assert reason(adjusted) is Reason.STARTUP
    assert "refused" in detail(adjusted)
    assert adjusted.phases == failed.phases
    time.advance(60)
    assert grace.apply(failed) is failed


def test_the_first_success_ends_the_grace(serve: Serve) -> None:
    """Later failures have their own reason."""
    grace = StartupGrace(Clock(), startup_grace=60)
    assert grace.active

    grace.apply(run(serve(always(http_response())).url()))

    assert not grace.active
    assert reason(grace.apply(run(f"http://127.0.0.1:{free_port()}/"))) is Reason.REFUSED


def test_an_internal_failure_stays_internal_in_the_grace() -> None:
    """It is independent of the model."""
    grace = StartupGrace(Clock(), startup_grace=60)
    internal = run("http://model.test/", resolver=Resolver(ExhaustedThreads("resolver"), Clock()))

    assert reason(grace.apply(internal)) is Reason.INTERNAL
    assert grace.active


def test_each_phase_has_a_timeout_reason() -> None:
    """A deadline in any phase has a reason that counts against the objective."""
    from probe.prober.classify_failure import classify

    reasons = {classify(phase, TimeoutError(), timeout=1).reason for phase in Phase}

    # `receive` of a body and `generate` of a stream have the same reason.
    assert len(reasons) == len(Phase) - 1
    assert Reason.INTERNAL not in reasons
