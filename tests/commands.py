"""Run the command `inference-probe` as its users do."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO

import pytest
import requests

from probe.cli.main import COMMANDS, build_parser

COMMAND = (sys.executable, "-m", "probe")
ROOT = Path(__file__).parent.parent

# Most of a short command's time is the start of the interpreter and its imports. The fork server
# has done both; each command runs in a process forked from it.
_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(
    [*{module for _, module, _ in COMMANDS}, "probe.demo.demonstration"]
)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment plus `extra`.

    Variables of inference-probe and of proxies are left out.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("INFERENCE_PROBE_") and not name.lower().endswith("_proxy")
    }
    return {**inherited, "PYTHONPATH": str(ROOT), **(extra or {})}


def invoke(
    *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command until it exits."""
    if any(name.startswith("PYTHON") for name in environ or ()):  # read at interpreter start
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment(environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    with tempfile.TemporaryDirectory() as directory:
        stdout, stderr = Path(directory, "stdout"), Path(directory, "stderr")
        process = _FORKSERVER.Process(
            target=_run, args=(arguments, cwd, environment(environ), stdout, stderr)
        )
        process.start()
        process.join(60)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, 60, stdout.read_bytes(), stderr.read_bytes())
        return subprocess.CompletedProcess(
            arguments, process.exitcode, stdout.read_text(), stderr.read_text()
        )


def run_in_process(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process, and return exit code, stdout and stderr."""
    args = build_parser({}).parse_args(arguments)
    code = args.run(args, {})
    return code, *capsys.readouterr()


def _run(
    arguments: Sequence[str],
    cwd: Path | None,
    environ: Mapping[str, str],
    stdout: Path,
    stderr: Path,
) -> None:
    """Run a command in this forked process, as a new interpreter would."""
    from probe.cli.main import main

    for path, number in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environ)
    if cwd:
        os.chdir(cwd)
    main(arguments)


# Runs each command line that it reads from stdin as `python -m probe` does.
_DRIVER = """
import contextlib, json, os, runpy, sys, tempfile
for line in sys.stdin:
    environ, arguments = json.loads(line)
    out, err = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2))
    sys.argv, code, before = ["probe", *arguments], 0, dict(os.environ)
    os.environ.update(environ)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module("probe", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps([code, *(stream.seek(0) or stream.read() for stream in (out, err))]))
    sys.stdout.flush()
"""


class CommandProcess:
    """Runs commands one after the other in one process: their imports take most of the time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def invoke(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command until it exits, with `environ` added to the process's environment."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([environ or {}, arguments]), file=self._process.stdin, flush=True)
        code, stdout, stderr = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)


@contextmanager
def command_process(
    *, environ: Mapping[str, str] | None = None, stderr: IO[str] | None = None
) -> Iterator[CommandProcess]:
    """Run a process for commands; `stderr` gets what it writes outside of commands."""
    with subprocess.Popen(
        [sys.executable, "-c", _DRIVER],
        env=environment(environ),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        yield CommandProcess(process)


class ForkedProcess:
    """A process of the fork server, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Running:
    """A running daemon."""

    def __init__(
        self, process: "subprocess.Popen[str] | ForkedProcess", port: int, log: Path
    ) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def log(self) -> str:
        """Return its log so far."""
        return self._log.read_text()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=10)

    def total(self, metric: str) -> float:
        """Return the sum over all series of `metric`."""
        lines = re.findall(rf"^{metric}(?:{{.*}})? (.+)$", self.get("/metrics").text, re.MULTILINE)
        return sum(map(float, lines))

    def wait_for(self, metric: str, least: float, seconds: float = 20) -> None:
        """Wait until the total of `metric` is at least `least`."""
        end = time.monotonic() + seconds
        while self.total(metric) < least:
            assert time.monotonic() < end, f"{metric} is {self.total(metric)}, not {least}"
            time.sleep(0.05)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def running(
    *arguments: str,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
) -> Iterator[Running]:
    """Run a daemon that listens on a free port of 127.0.0.1 until the end of the block.

    A `command` is run as another program; without it, the daemon is forked.
    """
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")  # a pipe that is not read would lose lines
        log.touch()
        arguments = ("run", "--web.listen-address=127.0.0.1:0", *arguments)
        start = _fork if command is None else partial(_execute, command)
        process = start(arguments, cwd, environment(environ), log)
        try:
            yield Running(process, port_of(process, log), log)
        finally:
            process.kill()
            process.wait()


def _fork(
    arguments: Sequence[str], cwd: Path | None, environ: Mapping[str, str], log: Path
) -> ForkedProcess:
    process = _FORKSERVER.Process(
        target=_run, args=(arguments, cwd, environ, Path(os.devnull), log)
    )
    process.start()
    return ForkedProcess(process)


def _execute(
    command: Sequence[str],
    arguments: Sequence[str],
    cwd: Path | None,
    environ: Mapping[str, str],
    log: Path,
) -> "subprocess.Popen[str]":
    with log.open("w") as stderr:
        return subprocess.Popen(
            [*command, *arguments], cwd=cwd, env=environ, stderr=stderr, text=True
        )


def port_of(process: "subprocess.Popen[str] | ForkedProcess", log: Path) -> int:
    """Wait until the log of a daemon names its port, and return the port."""
    while not (listening := re.search(r"address=127\.0\.0\.1:(\d+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    return int(listening[1])
