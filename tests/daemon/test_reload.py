"""The daemon as a process whose config changes while it runs."""

import asyncio
import os
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
from tests.servers import OK, answering, serving

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


def until(done: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it has not come to that"
        time.sleep(0.05)


def series(daemon: Running, start: str) -> float | None:
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(start):
            return float(line.rpartition(" ")[2])
    return None


def test_probes_are_added_changed_and_removed(tmp_path: Path) -> None:
    """A reload tells what it did; who stays keeps the counts, who goes loses the series."""
    path = tmp_path / "probe.yml"
    with serving(answering()) as url:
        stays, changes, goes = ({"name": n, "url": url} for n in ("stays", "changes", "goes"))
        with daemon_of(path, stays, changes, goes) as daemon:
            daemon.wait_for("inference_probe_runs_total", 15)
            before = {
                n: series(daemon, f'inference_probe_runs_total{{probe="{n}"')
                for n in ("stays", "changes")
            }
            write(path, stays, {**changes, "interval": "1h"}, {"name": "comes", "url": url})
            answer = post(daemon, "reload")
            assert (answer.status_code, answer.text) == (
                200,
                "reloaded: added 1 (comes), changed 1 (changes), removed 1 (goes), unchanged 1\n",
            )
            for name, runs in before.items():
                now = series(daemon, f'inference_probe_runs_total{{probe="{name}"')
                assert now is not None
                assert runs is not None
                assert now >= runs > 0
            text = daemon.get("/metrics").text
            assert 'probe="goes"' not in text
            assert 'inference_probe_interval_seconds{probe="changes"} 3600.0' in text
            assert daemon.get("/probe?name=comes").json()["success"]
            assert daemon.get("/probe?name=goes").status_code == 404
            assert "goes" not in daemon.get("/api/v1/probes").text


def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """It is told with its place in the answer, in the log and as a metric, until it is good."""
    path = tmp_path / "probe.yml"
    probe = {"name": "m", "url": "http://127.0.0.1:1/"}
    with daemon_of(path, probe) as daemon:
        loaded = daemon.total(TIME)
        write(path, {**probe, "interval": 5, "timeuot": "1s"})
        answer = post(daemon, "reload")
        assert answer.status_code == 500
        assert f"{path}:4:13: probes[0].interval: " in answer.text
        assert "timeuot" in answer.text
        assert (daemon.total(SUCCESSFUL), daemon.total(TIME)) == (0, loaded)
        ticks = daemon.total("inference_probe_ticks_total")
        daemon.wait_for("inference_probe_ticks_total", ticks + 3)
        write(path, probe)
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.total(SUCCESSFUL) == 1)
        assert daemon.total(TIME) > loaded
        daemon.terminate()
        log = daemon.log()
    assert 'level=error msg="config not reloaded, the last good one is in force"' in log
    assert f'level=error msg="{path}:4:13: probes[0].interval: ' in log
    assert 'msg="config reloaded" added=0 changed=0 removed=0 unchanged=1' in log


def test_advice_is_given_once(tmp_path: Path) -> None:
    """A reload tells what is new of it."""
    path = tmp_path / "probe.yml"
    probe = {"name": "m", "url": "http://127.0.0.1:1/"}
    with daemon_of(path, probe) as daemon:
        write(path, probe, {**probe, "name": "other"})
        assert [post(daemon, "reload").status_code for _ in range(2)] == [200, 200]
        daemon.terminate()
        log = daemon.log()
    assert log.count("m: no objectives") == 1
    assert log.count("other: no objectives") == 1


def test_a_pipe_is_no_config(tmp_path: Path) -> None:
    """Nobody may ever write to it: it is refused by its name, and the daemon goes on."""
    path = tmp_path / "probe.yml"
    with daemon_of(path, {"name": "m", "url": "http://127.0.0.1:1/"}) as daemon:
        path.unlink()
        os.mkfifo(path)
        answer = post(daemon, "reload")
        assert f"{path}: cannot read the config: not a regular file" in answer.text
        assert daemon.terminate() == 0


HANGING = """
import sys, threading
from probe.cli import run
from probe.cli.main import main

def hang(*args, **kwargs):
    print("a reload hangs", file=sys.stderr, flush=True)
    threading.Event().wait()

run.load = hang
main()
"""


@pytest.mark.parametrize("asked", ["by signal", "over HTTP"])
def test_a_reload_that_hangs(tmp_path: Path, asked: str) -> None:
    """As where a file system does: the daemon probes on, and ends when it is told to."""
    path = tmp_path / "probe.yml"
    write(path, {"name": "m", "url": "http://127.0.0.1:1/", "timeout": "1s"})
    config = (f"--config.file={path}", "--web.enable-lifecycle")
    with running(*config, command=(sys.executable, "-c", HANGING)) as daemon:
        if asked == "by signal":
            daemon.process.send_signal(signal.SIGHUP)
        else:
            with suppress(requests.Timeout):
                requests.post(f"{daemon.url}/-/reload", timeout=0.5)
        until(lambda: "a reload hangs" in daemon.log())
        ticks = daemon.total("inference_probe_ticks_total")
        daemon.wait_for("inference_probe_ticks_total", ticks + 3)
        assert daemon.terminate() == 0
        assert "a reload hangs and is given up" in daemon.log()


def test_connections(tmp_path: Path) -> None:
    """A probe that keeps its connection keeps it over a reload that does not concern it, and
    closes it when its own settings change.
    """
    path = tmp_path / "probe.yml"
    opened, closed = [], []

    async def keeping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
                await writer.drain()
        finally:
            closed.append(writer)

    with serving(keeping) as url:
        probe = {"name": "m", "url": url, "connection": "reuse"}
        with daemon_of(path, probe) as daemon:
            daemon.wait_for("inference_probe_runs_total", 3)
            write(path, probe, {"name": "other", "url": "http://127.0.0.1:1/"})
            assert post(daemon, "reload").status_code == 200
            runs = 'inference_probe_runs_total{probe="m"'
            until(lambda: (series(daemon, runs) or 0) > 6)
            assert len(opened) == 1
            write(path, {**probe, "headers": {"X-Now": "another"}})
            assert post(daemon, "reload").status_code == 200
            until(lambda: len(opened) == 2)
            until(lambda: closed == opened[:1])


def test_files_that_are_swapped(tmp_path: Path) -> None:
    """Kubernetes changes a mounted ConfigMap by turning one symlink, `..data`: config, secrets
    and bodies are read through it again, also where the text of the config stays the same.
    """
    bodies = []

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        bodies.append(await reader.readexactly(5))
        writer.write(OK)
        await writer.drain()

    with serving(listening) as url:
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
            until(lambda: b"first" in bodies)
            (tmp_path / "..tmp").symlink_to("..2")
            (tmp_path / "..tmp").rename(tmp_path / "..data")
            assert "changed 1 (m)" in post(daemon, "reload").text
            until(lambda: bodies[-1] == b"other")


def test_flags_are_no_file() -> None:
    """Where the config comes from flags, a reload says so, and the daemon goes on."""
    with running("--url=http://127.0.0.1:1/", "--web.enable-lifecycle") as daemon:
        assert "the config comes from flags" in post(daemon, "reload").text
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.get("/-/healthy").status_code == 200
        assert daemon.total(SUCCESSFUL) == 1


def test_pause(tmp_path: Path) -> None:
    """Ticks are skipped and counted, `/probe` answers, a reload changes nothing of it, and it may
    be asked for twice.
    """
    path = tmp_path / "probe.yml"
    paused = 'inference_probe_suspended{probe="m",reason="paused"}'
    skipped = 'inference_probe_skipped_total{probe="m",reason="paused"}'
    with serving(answering()) as url:
        probe = {"name": "m", "url": url}
        with daemon_of(path, probe) as daemon:
            daemon.wait_for("inference_probe_runs_total", 2)
            assert series(daemon, paused) == 0
            assert post(daemon, "pause").text == post(daemon, "pause").text
            write(path, {**probe, "timeout": "1s"}, {"name": "new", "url": url})
            assert post(daemon, "reload").status_code == 200
            until(lambda: daemon.total("inference_probe_in_flight") == 0)
            runs = daemon.total("inference_probe_runs_total")
            until(lambda: (series(daemon, skipped) or 0) > 3)
            assert daemon.total("inference_probe_runs_total") == runs
            assert series(daemon, paused) == 1
            assert daemon.get("/probe?name=new").json()["success"]
            assert post(daemon, "resume").status_code == 200
            assert series(daemon, paused) == 0
            daemon.wait_for("inference_probe_runs_total", runs + 2)


def test_stopped_and_continued() -> None:
    """A process that was stopped for longer than the scheduler may be silent is healthy at once,
    also where no probe is due for an hour.
    """
    with running("--url=http://127.0.0.1:1/", "--interval=1h") as daemon:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        time.sleep(11)
        os.kill(daemon.process.pid, signal.SIGCONT)
        assert daemon.get("/-/healthy").status_code == 200


@pytest.mark.parametrize("value", ["maybe", ""])
def test_lifecycle_by_variable(value: str) -> None:
    """The variable of the flag says true or false, and nothing else."""
    with (
        pytest.raises(AssertionError, match=r"INFERENCE_PROBE_WEB_ENABLE_LIFECYCLE|maybe"),
        running(environ={"INFERENCE_PROBE_WEB_ENABLE_LIFECYCLE": value}),
    ):
        pass
