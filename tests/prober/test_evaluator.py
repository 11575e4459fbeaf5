"""Evaluation of responses within limits: in the daemon, and in the worker process."""

import fcntl
import gzip
import json
import os
import pickle
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from probe.config.schema import ExpectModel, ServerTimingModel
from probe.prober import worker_process
from probe.prober.assertions import Assertions
from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.prober.evaluator import LOCAL_CONTENT_BYTES, Evaluator
from probe.prober.server_timing import ServerTimes, ServerTimingParser
from probe.redaction import Redactor
from probe.result import Component, Reason
from tests.faults.endpoints import MANY_NUMBERS
from tests.http.conftest import Serve
from tests.probing import EVALUATOR, make_prober
from tests.raw_servers import always, http_response

pytestmark = pytest.mark.timing

MAX_BYTES = 1024 * 1024
SECRET = "s3cret-token"
MAPPINGS = TypeAdapter(tuple[ServerTimingModel, ...])
TIMES = [{"from": "json", "key": "$.took", "unit": "ms", "component": "compute"}]

# Hostile bodies of almost MAX_BYTES.
ROOT = Path(__file__).parents[2]

OBJECTS = b"[" + b",".join([b'{"":0}'] * (MAX_BYTES // 7 - 1)) + b"]"
LETTERS = b"zq" + b"x" * (MAX_BYTES - 2)

ATTACKS: dict[str, tuple[dict[str, Any], bytes]] = {
    "(.|\\n)*zq$": ({"body_matches": "(.|\\n)*zq$"}, LETTERS),
    "nested groups": ({"body_matches": "(([a-z])+.)+[A-Z]([a-z])+$"}, LETTERS),
    "(x+x+)+y": ({"body_matches": "(x+x+)+y"}, b"x" * 5000),
    "many objects, $..": ({"json": {"$..*..result": {"exists": True}}}, OBJECTS),
    "many objects, filter": ({"json": {"$[?@..result]": {"exists": True}}}, OBJECTS),
    "many values, in": ({"json": {"$[*]": {"in": [*range(1, 200), 0]}}}, MANY_NUMBERS),
}


@pytest.fixture
def evaluator() -> Iterator[Evaluator]:
    evaluator = Evaluator()
    yield evaluator
    evaluator.close()


def make_task(
    expect: Mapping[str, Any] | None = None,
    body: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
    server_timing: Any = (),
    probe: str = "tested",
) -> EvaluationTask:
    return EvaluationTask(
        probe=probe,
        assertions=Assertions(ExpectModel.model_validate(expect or {}).to_settings()),
        server_timing=ServerTimingParser(
            model.to_settings() for model in MAPPINGS.validate_python(server_timing)
        ),
        headers=headers or {},
        body=bytearray(body),
        max_bytes=MAX_BYTES,
        redactor=Redactor([SECRET]),
        wall_seconds=1.0,
    )


def large_task(probe: str = "tested") -> EvaluationTask:
    """Return a task that needs the worker process for a moment, and succeeds."""
    body = b'{"a": 1}' + b" " * LOCAL_CONTENT_BYTES
    return make_task({"json": {"$.a": {"equals": 1}}}, body, probe=probe)


def worker(evaluator: Evaluator) -> "subprocess.Popen[bytes]":
    """Return the worker process, which has been started."""
    process = evaluator._worker._process
    assert process
    return process


def reason(evaluation: Evaluation) -> Reason | None:
    return evaluation.failure.reason if evaluation.failure else None


def detail(evaluation: Evaluation) -> str:
    assert evaluation.failure, "the evaluation has succeeded"
    return evaluation.failure.detail


def reset_peak_memory() -> None:
    """Let VmHWM begin again at the current memory."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mib(field: str, pid: int | str = "self") -> float:
    """Return a field of the memory of a process, by default this one, such as VmHWM."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024


@pytest.mark.parametrize("name", ATTACKS)
def test_expensive_evaluations_are_assertions(evaluator: Evaluator, name: str) -> None:
    """The daemon's memory does not grow by more than the body and its copy, and threads continue.

    Usual responses are evaluated afterwards.
    """
    task = make_task(*ATTACKS[name])
    evaluator.evaluate(large_task())  # starts the worker
    reset_peak_memory()
    before = memory_mib("VmRSS")
    with ThreadPoolExecutor(1) as pool:
        evaluation = pool.submit(evaluator.evaluate, task)
        longest_pause, last = 0.0, time.monotonic()
        while not evaluation.done():
            time.sleep(0.002)
            now = time.monotonic()
            longest_pause, last = max(longest_pause, now - last), now

    assert reason(evaluation.result()) is Reason.ASSERTION
    assert "takes more than" in detail(evaluation.result())
    assert memory_mib("VmHWM") - before < 4
    assert longest_pause < 2  # s; without a worker process it takes 5 s and more
    assert evaluator.evaluate(large_task()).failure is None


@pytest.mark.parametrize(
    "value",
    [0.25, 1234, {"label": "cat", "score": 0.9731, "box": [17, 201, 64, 8]}, [17, 0.25]],
    ids=["fractions", "integers", "boxes", "pairs"],
)
def test_usual_json_of_max_bytes_is_evaluated(evaluator: Evaluator, value: object) -> None:
    """The objects of a document take a multiple of its size, and fit into the limit."""
    item = f"{json.dumps(value)}, "
    items = item * ((MAX_BYTES - 100) // len(item))
    body = f'{{"data": [{items}0], "last": 1}}'.encode()
    evaluation = evaluator.evaluate(make_task({"json": {"$.last": {"equals": 1}}}, body))
    assert evaluation.failure is None


def test_the_oom_killer_prefers_the_worker_process(evaluator: Evaluator) -> None:
    """In a container without memory, the kernel ends this process, and the daemon continues."""
    evaluator.evaluate(large_task())
    score = Path(f"/proc/{worker(evaluator).pid}/oom_score_adj").read_text()
    assert int(score) == 1000


def test_memory_of_the_worker_process(evaluator: Evaluator) -> None:
    """It returns its memory after a document that takes too much, or is replaced."""
    evaluation = evaluator.evaluate(make_task(*ATTACKS["(.|\\n)*zq$"]))

    assert detail(evaluation) == (
        "evaluating the response takes more than 12 MiB of memory; simplify the patterns and paths"
        " in expect and server_timing, or raise `max_bytes`, which raises this limit"
    )
    assert evaluator.evaluate(large_task()).failure is None
    assert memory_mib("VmRSS", worker(evaluator).pid) < 32


@pytest.mark.parametrize(
    ("expect", "document"),
    [
        ({"json": {"$.a": {"equals": 1}}}, {"a": 1}),
        ({"json": {"$.a": {"equals": 1}}}, {"a": SECRET}),
        ({"json": {"$.a": {"matches": "^x{2}$"}}}, {"a": "xxx"}),
        ({"json": {"$..b": {"min": 1, "max": 2}}}, {"a": [{"b": 3}]}),
        ({"json": {"$.a": {"in": [1, [2], {"b": None}]}}}, {"a": {"b": None}}),
        ({"headers": {"X-A": {"equals": "x"}}, "body_matches": "a"}, {}),
        ({"headers": {"X-A": {"min": 2}}, "body_matches": "a"}, {"a": 1}),
        ({"body_matches": r"\{e}|né"}, {"a": 1}),
        ({}, {"took": 12}),
        ({}, {"took": 5000}),
    ],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_both_processes_agree(
    evaluator: Evaluator, expect: Mapping[str, Any], document: Any, encoding: str
) -> None:
    """A small response and the same response with spaces have the same evaluation."""
    small = json.dumps(document).encode()
    large = small + b" " * LOCAL_CONTENT_BYTES
    headers = {"x-a": "1", "content-encoding": encoding}

    def evaluate(body: bytes) -> Evaluation:
        sent = gzip.compress(body) if encoding == "gzip" else body
        return evaluator.evaluate(make_task(expect, sent, headers=headers, server_timing=TIMES))

    local = evaluate(small)
    assert evaluator._worker._process is None
    assert evaluate(large) == local
    assert worker(evaluator).poll() is None
    assert local.server.times == ({Component.COMPUTE: 0.012} if document == {"took": 12} else {})
    assert SECRET not in str(local)


def test_unused_bodies_need_no_worker(evaluator: Evaluator) -> None:
    """However large they are."""
    task = make_task({"headers": {"X-A": {"exists": True}}}, LETTERS, headers={"x-a": "1"})

    assert evaluator.evaluate(task).failure is None
    assert evaluator._worker._process is None


@pytest.mark.parametrize(
    ("pattern", "in_worker"), [("'a.c'", False), ("$.pattern", True)], ids=["query", "response"]
)
def test_patterns_of_a_response_are_compiled_in_the_worker(
    evaluator: Evaluator, pattern: str, in_worker: bool
) -> None:
    """Nothing limits the time and memory that compiling a pattern takes in the daemon."""
    path = f"$.items[?match(@.name, {pattern})]"
    body = b'{"items": [{"name": "abc"}], "pattern": "a.c"}'

    evaluation = evaluator.evaluate(make_task({"json": {path: {"exists": True}}}, body))

    assert evaluation.failure is None
    assert (evaluator._worker._process is not None) == in_worker


def test_a_worker_that_cannot_start_is_internal(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E.g. if the container's limit of processes is reached. Usual responses do not need it."""

    def popen(*_: Any, **__: Any) -> Any:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)

    assert detail(evaluator.evaluate(large_task())) == (
        "cannot start the process that evaluates large responses: [Errno 11] Resource temporarily"
        " unavailable (a fault of this daemon or its host)"
    )
    assert reason(evaluator.evaluate(large_task())) is Reason.INTERNAL
    assert evaluator.evaluate(make_task({"body_matches": "a"}, b"a")).failure is None
    monkeypatch.undo()
    assert evaluator.evaluate(large_task()).failure is None


def test_a_thread_that_cannot_start_is_internal(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that limits the wall time. The next task is evaluated."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", start)
        evaluation = evaluator.evaluate(large_task())

    assert reason(evaluation) is Reason.INTERNAL
    assert detail(evaluation).startswith(
        "cannot start a thread to evaluate a large response: can't"
    )
    assert evaluator.evaluate(large_task()).failure is None


def test_an_unread_reply_is_not_the_next_ones(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any exception the process ends, so that no task gets the reply to another."""
    evaluator.evaluate(large_task())
    process = worker(evaluator)

    def load(_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(pickle, "load", load)
        with pytest.raises(MemoryError):
            evaluator.evaluate(large_task())

    assert process.poll() is not None
    bad = make_task({"json": {"$.a": {"equals": 1}}}, b'{"a": 2}' + b" " * LOCAL_CONTENT_BYTES)
    assert reason(evaluator.evaluate(bad)) is Reason.ASSERTION
    assert evaluator.evaluate(large_task()).failure is None


def test_a_reply_to_another_task_is_refused(evaluator: Evaluator) -> None:
    """Its number is compared; the process ends."""
    evaluator.evaluate(large_task())
    process = worker(evaluator)
    assert process.stdin
    process.stdin.write(pickle.dumps((0, make_task())))

    evaluation = evaluator.evaluate(large_task())

    assert reason(evaluation) is Reason.INTERNAL
    assert "replied to another task" in detail(evaluation)
    assert process.poll() is not None
    assert evaluator.evaluate(large_task()).failure is None


def test_a_worker_that_dies_between_tasks_is_replaced(evaluator: Evaluator) -> None:
    """E.g. because the system has no memory."""
    evaluator.evaluate(large_task())
    worker(evaluator).kill()
    os.waitid(os.P_PID, worker(evaluator).pid, os.WEXITED | os.WNOWAIT)

    assert evaluator.evaluate(large_task()).failure is None


def test_a_worker_that_dies_during_a_task_is_internal(evaluator: Evaluator) -> None:
    """The failure is not the endpoint's. The next task has a new worker process."""
    evaluator.evaluate(large_task())
    process = worker(evaluator)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    with ThreadPoolExecutor(1) as pool:
        evaluation = pool.submit(evaluator.evaluate, large_task())
        _wait_until(lambda: _unread_bytes(process) > 0)
        process.kill()

    assert reason(evaluation.result()) is Reason.INTERNAL
    assert "ended with signal 9" in detail(evaluation.result())
    assert evaluator.evaluate(large_task()).failure is None


@pytest.mark.parametrize("body_bytes", [1, 4 * MAX_BYTES])
def test_a_worker_that_hangs_is_killed(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch, body_bytes: int
) -> None:
    """Whether it hangs before or after it has read the whole task."""
    evaluator.evaluate(large_task())
    monkeypatch.setattr(worker_process, "MAX_WALL_SECONDS", 0.3)
    worker(evaluator).send_signal(signal.SIGSTOP)

    evaluation = evaluator.evaluate(
        make_task({"json": {"$": {"equals": 1}}}, b" " * (LOCAL_CONTENT_BYTES + body_bytes))
    )

    assert reason(evaluation) is Reason.INTERNAL
    monkeypatch.undo()
    assert evaluator.evaluate(large_task()).failure is None


def _unread_bytes(process: "subprocess.Popen[bytes]") -> int:
    """Return the number of bytes of tasks that the process has not read yet."""
    assert process.stdin
    return int.from_bytes(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)


def _wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition is not met after 10 s"
        time.sleep(0.01)


def test_a_late_evaluation_is_a_success(serve: Serve) -> None:
    """The deadline is for the response. The wait for the worker is not part of the latency."""
    body = b'{"a": 1}' + b" " * LOCAL_CONTENT_BYTES
    prober = make_prober(
        serve(always(http_response(body))).url(),
        expect={"json": {"$.a": {"equals": 1}}},
        timeout="500ms",
    )
    assert prober.run().failure is None
    worker(EVALUATOR).send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(prober.run)
        time.sleep(1)
        assert not run.done()
        worker(EVALUATOR).send_signal(signal.SIGCONT)

    assert run.result().failure is None
    assert run.result().latency < 0.5
    assert run.result().latency + run.result().correction < 0.9


def test_a_failed_status_is_its_own_reason(serve: Serve) -> None:
    """However expensive the body is: it is evaluated for server times only."""
    response = http_response(OBJECTS, status="503 Busy")
    path = {"from": "json", "key": "$..took", "unit": "ms", "component": "total"}

    result = make_prober(
        serve(always(response)).url(),
        expect={"json": {"$..result": {"exists": True}}},
        server_timing=[path],
    ).run()

    assert result.failure
    assert result.failure.reason is Reason.OVERLOADED
    assert not result.server


def test_close_ends_the_worker_during_a_task(evaluator: Evaluator) -> None:
    """A daemon that stops leaves neither a process nor a zombie."""
    evaluator.evaluate(large_task())
    process = worker(evaluator)
    with ThreadPoolExecutor(1) as pool:
        evaluation = pool.submit(evaluator.evaluate, make_task(*ATTACKS["(x+x+)+y"]))
        time.sleep(0.2)
        evaluator.close()

    assert reason(evaluation.result()) is Reason.INTERNAL
    assert not Path(f"/proc/{process.pid}").exists()
    assert "shutting down" in detail(evaluator.evaluate(large_task()))


def test_close_while_the_worker_starts(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that has just been started ends, too."""
    starting, started = threading.Event(), []
    start = worker_process._start

    def slow_start() -> "subprocess.Popen[bytes]":
        starting.set()
        time.sleep(0.3)
        started.append(start())
        return started[-1]

    monkeypatch.setattr(worker_process, "_start", slow_start)
    with ThreadPoolExecutor(1) as pool:
        evaluation = pool.submit(evaluator.evaluate, make_task(*ATTACKS["(x+x+)+y"]))
        starting.wait(10)
        evaluator.close()

        assert started[0].poll() is not None
        assert reason(evaluation.result()) is Reason.INTERNAL


def test_server_times_never_fail_a_probe(evaluator: Evaluator) -> None:
    """Whichever limit reading them exceeds: they are ignored. Those of headers are kept."""
    path = {"from": "json", "key": "$..took", "unit": "ms", "component": "compute"}
    headers = {"server-timing": "queue;dur=5"}
    without_times = Evaluation(
        failure=None, server=ServerTimes(times={Component.QUEUE: 0.005}, ignored=1)
    )

    def task(expect: Mapping[str, Any]) -> EvaluationTask:
        return make_task(expect, OBJECTS, headers=headers, server_timing=[path])

    for expect in ({}, {"headers": {"Server-Timing": {"exists": True}}}, {"body_matches": "0"}):
        assert evaluator.evaluate(task(expect)) == without_times, "memory"
    failed = evaluator.evaluate(task({"body_matches": "x"}))
    assert detail(failed) == 'the body does not match "x"'
    assert failed.server == without_times.server
    evaluator.close()
    assert evaluator.evaluate(task({})) == without_times, "no worker process"
    assert reason(evaluator.evaluate(task({"body_matches": "0"}))) is Reason.INTERNAL


def modules_after_import(modules: str, statement: str = "pass") -> set[str]:
    """Return the names of all modules in a new process that has imported `modules`.

    Then it has executed `statement`.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; {statement}; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_daemon_does_not_import_the_jsonpath_library() -> None:
    """Only probes with a pattern, or a JSONPath that is not simple, need its memory."""
    modules = modules_after_import(
        "probe.prober.evaluator, probe.prober.prober, probe.prober.json_query",
        "probe.prober.json_query.compile_query('$.choices[0].text')",
    )
    assert modules & {"jsonpath", "regex"} == set()


DAEMON = """
import time
from tests.prober.test_evaluator import Evaluator, large_task, make_task, ATTACKS, worker
evaluator = Evaluator()
evaluator.evaluate(large_task())
print(worker(evaluator).pid, flush=True)
if {busy}:
    evaluator.evaluate(make_task(*ATTACKS["(x+x+)+y"]))
time.sleep(60)
"""


@pytest.mark.parametrize("busy", [False, True])
def test_the_worker_ends_with_the_daemon(busy: bool) -> None:
    """Also if the daemon is killed, during a task or between two. It has no secrets in /proc."""
    environ = {**os.environ, "TOKEN": SECRET}
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON.format(busy=busy)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environ,
    ) as daemon:
        assert daemon.stdout
        process = Path("/proc") / daemon.stdout.readline().decode().strip()
        assert SECRET.encode() not in (process / "environ").read_bytes()
        assert SECRET.encode() not in (process / "cmdline").read_bytes()
        time.sleep(0.2)
        daemon.kill()
    _wait_until(lambda: _has_ended(process))


def _has_ended(process: Path) -> bool:
    try:
        return "Z" in (process / "stat").read_text().split()[2]
    except OSError:
        return True


def test_the_worker_is_small() -> None:
    """It imports neither the config's models nor the HTTP client, also for masked values."""
    modules = modules_after_import("probe.prober.evaluation_worker")
    assert modules & {"pydantic", "requests", "ssl", "asyncio"} == set()


def test_evaluations_in_this_process_take_turns(evaluator: Evaluator) -> None:
    """Small responses of many threads are all evaluated."""
    task = make_task({"json": {"$.a": {"equals": 1}}}, b'{"a": 1}')
    with ThreadPoolExecutor(16) as pool:
        evaluations = list(pool.map(evaluator.evaluate, [task] * 500))

    assert [evaluation.failure for evaluation in evaluations] == [None] * 500
    assert threading.active_count() < 50
