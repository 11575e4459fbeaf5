"""Configs that a child process validates: the same results as in this process, and failures."""

import os
import pickle
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from probe.config import child_process, loader
from probe.config.child_loader import ChildProcessLoader
from probe.config.child_process import ChildProcess
from probe.config.errors import ConfigError, TlsError

CALLS = "tests.config.child_calls"


def call(function: str, **arguments: Any) -> Any:
    with ChildProcess(f"{CALLS}:{function}", **arguments) as process:
        return process.result()


def test_the_settings_are_those_of_the_loader(tmp_path: Path) -> None:
    """Settings of all types pass the pipe: patterns, networks, templates, decimals."""
    (tmp_path / "key").write_text("secret")
    file = tmp_path / "probe.yml"
    file.write_text(
        "networks: {deny: [10.0.0.0/8]}\n"
        "probes:\n"
        "  - name: a\n"
        "    url: http://localhost:1/\n"
        "    headers: {Authorization: 'Bearer ${file:key}', X-Name: '${env:NAME}'}\n"
        "    protocol: {openai-chat: {model: llama, prompt: hello}}\n"
        "    price: {input: 0.15, output: 0.60, per: 1M, currency: USD}\n"
        "    expect: {status: [200, 2xx], body_matches: '[a-z]{2}'}\n"
        "    objectives: [{name: fast, target: 0.5%, latency: 500ms}]\n"
    )
    environ = {"NAME": "value"}
    settings = ChildProcessLoader().load(file, environ=environ)
    assert settings == loader.load(file, environ=environ)
    assert settings.likely_mistakes


def test_flags() -> None:
    """The config of flags is validated there, too."""
    flags: Any = {"url": "http://localhost:1/", "slo": "99% < 500ms", "environ": {}}
    assert ChildProcessLoader().from_flags(**flags) == loader.from_flags(**flags)


def test_all_problems_with_their_positions(tmp_path: Path) -> None:
    """The exception is the same as in this process, with likely mistakes."""
    file = tmp_path / "probe.yml"
    file.write_text(
        "probes:\n"
        "  - {name: a, url: 'http://localhost/', interval: 5}\n"
        "  - {name: b, url: 'http://localhost/', objectives: [{name: o, target: 0.5%}], x: 1}\n"
    )
    errors = []
    for validate in (ChildProcessLoader().load, loader.load):
        with pytest.raises(ConfigError) as caught:
            validate(file, environ={})
        errors.append(caught.value)
    in_child, here = errors
    assert in_child.problems == here.problems
    assert in_child.likely_mistakes == here.likely_mistakes
    assert str(in_child) == str(here)
    assert [(problem.line, problem.column) for problem in here.problems] == [(2, 51), (3, 80)]


def test_other_expected_errors() -> None:
    """Errors of files are raised as they are."""
    with pytest.raises(TlsError, match="no certificates") as tls:
        call("raise_tls_error")
    assert tls.value.key == "ca_file"
    with pytest.raises(FileNotFoundError) as missing:
        call("raise_os_error")
    assert (missing.value.errno, missing.value.filename) == (2, "/missing")


def test_a_bug() -> None:
    """An unexpected exception has the traceback of the child process as a note."""
    with pytest.raises(RuntimeError, match=f"LocalError in {CALLS}:raise_bug") as caught:
        call("raise_bug")
    (note,) = caught.value.__notes__
    assert "child_calls.py" in note
    assert note.endswith("LocalError: unexpected\n")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("kill_itself", {"number": signal.SIGKILL}, "was killed, possibly because there is not"),
        ("kill_itself", {"number": signal.SIGSEGV}, "ended with signal 11"),
        ("exit_with", {"code": 3}, "ended with exit code 3"),
    ],
)
def test_a_process_that_ends(function: str, arguments: Any, message: str) -> None:
    """The error says how the process ended. It is an OSError, which all callers report."""
    with pytest.raises(ChildProcessError, match=f"that validates the config {message}"):
        call(function, **arguments)


def test_a_process_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed at the deadline, also if it is suspended."""
    monkeypatch.setattr(child_process, "MAX_CALL_SECONDS", 0.7)
    with pytest.raises(ChildProcessError, match=r"has not finished within 0\.7 s"):
        call("stop_itself")


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the system is reported."""
    monkeypatch.setattr(sys, "executable", "/missing/python")
    with pytest.raises(ChildProcessError, match="cannot be started: No such file or directory"):
        call("environment")


def test_requests_and_replies_are_larger_than_pipes() -> None:
    """Neither process waits for the other one for ever."""
    value = os.urandom(3_000_000)
    assert call("echo", value=value) == value


def test_a_large_reply_is_loaded_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads run meanwhile."""
    value, pauses = list(range(300_000)), list[float]()
    with ChildProcess(f"{CALLS}:echo", value=value) as process:
        monkeypatch.setattr("time.sleep", pauses.append)
        assert process.result() == value
    assert len(pauses) > len(pickle.dumps(value)) / 65_536 - 1


def test_leaving_the_context_ends_the_process() -> None:
    """As when a signal stops the daemon during its start: no process is left."""
    with pytest.raises(SystemExit), ChildProcess(f"{CALLS}:stop_itself") as process:
        raise SystemExit
    assert process._process.returncode == -signal.SIGKILL


def test_the_caller_works_meanwhile() -> None:
    """The daemon imports its modules while the child process works."""
    called = []
    settings = ChildProcessLoader(meanwhile=lambda: called.append(time.monotonic())).from_flags(
        url="http://localhost:1/", environ={}
    )
    assert called
    assert settings.probes


def test_the_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of OpenSSL and of the interpreter have their effect there, too."""
    monkeypatch.setenv("SSL_CERT_DIR", "/certificates")
    assert call("environment")["SSL_CERT_DIR"] == "/certificates"
