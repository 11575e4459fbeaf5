"""A secret file on a file system that hangs fails its own probe at the deadline, and no other."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probe.config.secrets import Secrets
from probe.result import Reason
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason
from tests.raw_servers import always, http_response

pytestmark = pytest.mark.timing


class HangingFile:
    """A file whose status cannot be read while it `hangs`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hangs = False
        self.attempts = 0
        self._recovered = threading.Event()

    def wait(self) -> None:
        self.attempts += 1
        if self.hangs:
            assert self._recovered.wait(30)

    def recover(self) -> None:
        self.hangs = False
        self._recovered.set()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingFile]:
    file = HangingFile(tmp_path / "hanging")
    file.path.write_text("secret")
    stat = Path.stat

    def stat_or_hang(path: Path, **options: Any) -> os.stat_result:
        if path == file.path:
            file.wait()
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stat_or_hang)
    yield file
    file.recover()


def test_a_hanging_secret_file_is_internal_at_the_deadline(serve: Serve, file: HangingFile) -> None:
    """The detail names the reference, and no request is sent without the secret."""
    server = serve(always(http_response()))
    prober = make_prober(
        server.url(), base=file.path.parent, headers={"X-Key": "${file:hanging}"}, timeout="200ms"
    )
    file.hangs = True
    began = time.monotonic()

    result = prober.run()

    assert time.monotonic() - began == pytest.approx(0.2, abs=0.15)
    assert reason(result) is Reason.INTERNAL
    assert "${file:hanging}" in detail(result)
    assert "deadline" in detail(result)
    assert server.connections == 0


def test_a_hanging_secret_file_does_not_delay_other_probes(serve: Serve, file: HangingFile) -> None:
    """A probe whose secrets are in other files succeeds as fast as before."""
    base = file.path.parent
    (base / "token").write_text("abc")
    secrets = Secrets({}, base)
    url = serve(always(http_response())).url()
    hanging = make_prober(url, secrets=secrets, headers={"X-Key": "${file:hanging}"}, timeout="2s")
    healthy = make_prober(url, secrets=secrets, headers={"X-Key": "${file:token}"}, timeout="2s")
    file.hangs = True
    thread = threading.Thread(target=hanging.run)
    thread.start()
    while not file.attempts:
        time.sleep(0.001)
    began = time.monotonic()

    result = healthy.run()

    assert reason(result) is None
    assert time.monotonic() - began < 1
    file.recover()
    thread.join()


def test_a_hanging_secret_file_holds_one_thread(serve: Serve, file: HangingFile) -> None:
    """However many runs need it. When the file can be read again, the next run succeeds."""
    prober = make_prober(
        serve(always(http_response())).url(),
        base=file.path.parent,
        headers={"X-Key": "${file:hanging}"},
        timeout="20ms",
    )
    before = threading.active_count()
    file.hangs = True
    attempts = file.attempts

    assert {reason(prober.run()) for _ in range(10)} == {Reason.INTERNAL}

    assert file.attempts == attempts + 1
    assert threading.active_count() <= before + 1
    file.recover()
    end = time.monotonic() + 5
    while reason(prober.run()) is not None:
        assert time.monotonic() < end
