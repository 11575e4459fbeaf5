"""The daemon as a process: reload, pause and resume."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
import yaml

from tests.commands import Running, running
from tests.servers import OK, respond_with, serve

pytestmark = pytest.mark.timing

SUCCESSFUL = "inference_probe_config_last_reload_successful"
TIME = "inference_probe_config_last_reload_success_timestamp_seconds"


def write(path: Path, *probes: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump({"defaults": {"interval": "100ms"}, "probes": [*probes]}))


@contextmanager
def daemon_of(path: Path, *probes: Mapping[str, object]) -> Iterator[Running]:
    write(path, *probes)
    with running(f"--config.file={path}", "--web.enable-lifecycle") as daemon:
        yield daemon


def post(daemon: Running, action: str) -> requests.Response:
    return requests.post(f"{daemon.url}/-/{action}", timeout=10)


def wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)


def sample(daemon: Running, start: str) -> float | None:
    """Return the value of the first sample whose line begins with `start`."""
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(start):
            return float(line.rpartition(" ")[2])
    return None


def test_probes_are_added_changed_and_removed(tmp_path: Path) -> None:
    """A reload reports the changes. Counts of kept probes continue, series of removed ones end."""
    path = tmp_path / "probe.yml"
    with serve(respond_with()) as url:
        stays, changes, goes = (
            {"name": name, "url": url, "capacity": {"safe_rate": "140/s"}}
            for name in ("stays", "changes", "goes")
        )
        with daemon_of(path, stays, changes, goes) as daemon:
            daemon.wait_for("inference_probe_runs_total", 15)
            before = {
                n: sample(daemon, f'inference_probe_runs_total{{probe="{n}"')
                for n in ("stays", "changes")
            }
            changed = {**changes, "interval": "1h", "capacity": {"safe_rate": "150/s"}}
            write(path, stays, changed, {"name": "comes", "url": url})
            response = post(daemon, "reload")
            assert (response.status_code, response.text) == (
                200,
                "reloaded: added 1 (comes), changed 1 (changes), removed 1 (goes), unchanged 1\n",
            )
            for name, runs in before.items():
                now = sample(daemon, f'inference_probe_runs_total{{probe="{name}"')
                assert now is not None
                assert runs is not None
                assert now >= runs > 0
            text = daemon.get("/metrics").text
            assert 'probe="goes"' not in text
            assert 'inference_probe_interval_seconds{probe="changes"} 3600.0' in text
            rates = re.findall('inference_probe_safe_rate{probe="(.*)"} (.*)', text)
            assert rates == [("stays", "140.0"), ("changes", "150.0")]
            assert daemon.get("/probe?name=comes").json()["success"]
            assert daemon.get("/probe?name=goes").status_code == 404
            assert "goes" not in daemon.get("/api/v1/probes").text


def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """The response and the log have the problems with positions, and a metric is 0 until a fix."""
    path = tmp_path / "probe.yml"
    probe = {"name": "m", "url": "http://127.0.0.1:1/"}
    with daemon_of(path, probe) as daemon:
        loaded = daemon.total(TIME)
        write(path, {**probe, "interval": 5, "timeuot": "1s"})
        response = post(daemon, "reload")
        assert response.status_code == 500
        assert f"{path}:4:13: probes[0].interval: " in response.text
        assert "timeuot" in response.text
        assert (daemon.total(SUCCESSFUL), daemon.total(TIME)) == (0, loaded)
        ticks = daemon.total("inference_probe_ticks_total")
        daemon.wait_for("inference_probe_ticks_total", ticks + 3)
        write(path, probe)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.total(SUCCESSFUL) == 1)
        assert daemon.total(TIME) > loaded
        daemon.terminate()
        log = daemon.log()
    assert 'level=error msg="config reload failed: the previous config stays in effect"' in log
    assert f'level=error msg="{path}:4:13: probes[0].interval: ' in log
    assert 'msg="config reloaded" added=0 changed=0 removed=0 unchanged=1' in log


def test_advice_is_logged_once(tmp_path: Path) -> None:
    """A reload logs only new advice."""
    path = tmp_path / "probe.yml"
    probe = {"name": "m", "url": "http://127.0.0.1:1/"}
    with daemon_of(path, probe) as daemon:
        write(path, probe, {**probe, "name": "other"})
        assert [post(daemon, "reload").status_code for _ in range(2)] == [200, 200]
        daemon.terminate()
        log = daemon.log()
    assert log.count("m: no objectives") == 1
    assert log.count("other: no objectives") == 1


def test_advice_with_a_position_is_logged_once(tmp_path: Path) -> None:
    """Advice about a value is not new if the value is in another line, or has another path."""
    path = tmp_path / "probe.yml"
    text = "probes: [{name: m, url: 'http://127.0.0.1:1/', method: PSOT}]\n"
    path.write_text(text)
    with running("--config.file=probe.yml", "--web.enable-lifecycle", cwd=tmp_path) as daemon:
        path.write_text(f"# a comment\n{text}")
        assert [post(daemon, "reload").status_code for _ in range(2)] == [200, 200]
        path.write_text(text.replace("PSOT", "PUTT"))
        assert post(daemon, "reload").status_code == 200
        daemon.terminate()
        log = daemon.log()
    assert log.count("did you mean POST?") == 1
    assert log.count("did you mean PUT?") == 1


def test_a_pipe_is_rejected(tmp_path: Path) -> None:
    """Reading a pipe could block forever; the daemon reports the path and continues."""
    path = tmp_path / "probe.yml"
    with daemon_of(path, {"name": "m", "url": "http://127.0.0.1:1/"}) as daemon:
        path.unlink()
        os.mkfifo(path)
        response = post(daemon, "reload")
        assert f"{path}: cannot read the config: not a regular file" in response.text
        assert daemon.terminate() == 0


HANGING = """
import sys, threading
from probe.cli.main import main
from probe.config.child_loader import ChildProcessLoader

load, calls = ChildProcessLoader.load, []

def hang_at_a_reload(*args, **kwargs):
    calls.append(args)
    if len(calls) == 1:  # the start
        return load(*args, **kwargs)
    print("a reload hangs", file=sys.stderr, flush=True)
    threading.Event().wait()

ChildProcessLoader.load = hang_at_a_reload
main()
"""


@pytest.mark.parametrize("trigger", ["signal", "HTTP"])
def test_a_reload_that_hangs(tmp_path: Path, trigger: str) -> None:
    """A network file system may hang. The daemon continues to probe and can be stopped."""
    path = tmp_path / "probe.yml"
    write(path, {"name": "m", "url": "http://127.0.0.1:1/", "timeout": "1s"})
    config = (f"--config.file={path}", "--web.enable-lifecycle")
    with running(*config, command=(sys.executable, "-c", HANGING)) as daemon:
        if trigger == "signal":
            daemon.process.send_signal(signal.SIGHUP)
        else:
            with suppress(requests.Timeout):
                requests.post(f"{daemon.url}/-/reload", timeout=0.5)
        wait_until(lambda: "a reload hangs" in daemon.log())
        ticks = daemon.total("inference_probe_ticks_total")
        daemon.wait_for("inference_probe_ticks_total", ticks + 3)
        assert daemon.terminate() == 0
        assert "a reload did not finish in time and is abandoned" in daemon.log()


def test_connections(tmp_path: Path) -> None:
    """A probe keeps its connection if a reload does not change it, and closes it if it does."""
    path = tmp_path / "probe.yml"
    opened, closed = [], []

    async def keep_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
                await writer.drain()
        finally:
            closed.append(writer)

    with serve(keep_alive) as url:
        probe = {"name": "m", "url": url, "connection": "reuse"}
        with daemon_of(path, probe) as daemon:
            daemon.wait_for("inference_probe_runs_total", 3)
            write(path, probe, {"name": "other", "url": "http://127.0.0.1:1/"})
            assert post(daemon, "reload").status_code == 200
            runs = 'inference_probe_runs_total{probe="m"'
            wait_until(lambda: (sample(daemon, runs) or 0) > 6)
            assert len(opened) == 1
            write(path, {**probe, "headers": {"X-Now": "another"}})
            assert post(daemon, "reload").status_code == 200
            wait_until(lambda: len(opened) == 2)
            wait_until(lambda: closed == opened[:1])


def test_a_symlinked_config_map(tmp_path: Path) -> None:
    """Kubernetes updates a mounted ConfigMap by changing one symlink, `..data`.

    Config, secrets and bodies are read through it again, also if the config text is the same.
    """
    bodies = []

    async def receive_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        bodies.append(await reader.readexactly(5))
        writer.write(OK)
        await writer.drain()

    with serve(receive_body) as url:
        for version, body in (("..1", "first"), ("..2", "other")):
            (tmp_path / version).mkdir()
            (tmp_path / version / "body.txt").write_text(body)
            write(
                tmp_path / version / "probe.yml", {"name": "m", "url": url, "body_file": "body.txt"}
            )
        (tmp_path / "..data").symlink_to("..1")
        for name in ("probe.yml", "body.txt"):
            (tmp_path / name).symlink_to(f"..data/{name}")
        with running(f"--config.file={tmp_path / 'probe.yml'}", "--web.enable-lifecycle") as daemon:
            wait_until(lambda: b"first" in bodies)
            (tmp_path / "..tmp").symlink_to("..2")
            (tmp_path / "..tmp").rename(tmp_path / "..data")
            assert "changed 1 (m)" in post(daemon, "reload").text
            wait_until(lambda: bodies[-1] == b"other")


def test_a_config_from_flags_is_not_reloaded() -> None:
    """The reload is rejected with the reason, and the daemon continues."""
    with running("--url=http://127.0.0.1:1/", "--web.enable-lifecycle") as daemon:
        assert "the config comes from flags" in post(daemon, "reload").text
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.get("/-/healthy").status_code == 200
        assert daemon.total(SUCCESSFUL) == 1


def test_pause(tmp_path: Path) -> None:
    """While paused, ticks are skipped and counted, and `/probe` works.

    A reload does not end the pause, and a second request to pause changes nothing.
    """
    path = tmp_path / "probe.yml"
    paused = 'inference_probe_suspended{probe="m",reason="paused"}'
    skipped = 'inference_probe_skipped_total{probe="m",reason="paused"}'
    with serve(respond_with()) as url:
        probe = {"name": "m", "url": url}
        with daemon_of(path, probe) as daemon:
            daemon.wait_for("inference_probe_runs_total", 2)
            assert sample(daemon, paused) == 0
            assert post(daemon, "pause").text == post(daemon, "pause").text
            write(path, {**probe, "timeout": "1s"}, {"name": "new", "url": url})
            assert post(daemon, "reload").status_code == 200
            wait_until(lambda: daemon.total("inference_probe_in_flight") == 0)
            runs = daemon.total("inference_probe_runs_total")
            wait_until(lambda: (sample(daemon, skipped) or 0) > 3)
            assert daemon.total("inference_probe_runs_total") == runs
            assert sample(daemon, paused) == 1
            assert daemon.get("/probe?name=new").json()["success"]
            assert post(daemon, "resume").status_code == 200
            assert sample(daemon, paused) == 0
            daemon.wait_for("inference_probe_runs_total", runs + 2)


def test_stopped_and_continued() -> None:
    """After SIGSTOP and SIGCONT the daemon is healthy at once, also with an interval of 1 h.

    The process is stopped for longer than the maximum age of a heartbeat.
    """
    with running("--url=http://127.0.0.1:1/", "--interval=1h") as daemon:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        time.sleep(11)
        os.kill(daemon.process.pid, signal.SIGCONT)
        assert daemon.get("/-/healthy").status_code == 200


@pytest.mark.parametrize("value", ["maybe", ""])
def test_lifecycle_by_variable(value: str) -> None:
    """The environment variable of the flag must be `true` or `false`."""
    with (
        pytest.raises(AssertionError, match=r"(?i)enable.lifecycle"),
        running(environ={"INFERENCE_PROBE_WEB_ENABLE_LIFECYCLE": value}),
    ):
        pass
