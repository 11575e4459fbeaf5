"""The worker process as seen by the daemon: starts it, sends tasks and explains its end."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import probe
from probe.prober.cpu_budget import MAX_CPU_SECONDS
from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.prober.evaluation_worker import Evaluated, Finished, memory_limit_bytes

# A task is limited in CPU time. If it takes this long, the process is suspended
# (SIGSTOP) or gets no CPU time.
MAX_WALL_SECONDS = 30.0

# Time for the process to exit once it has closed its output.
MAX_EXIT_SECONDS = 5.0

# The daemon's threads come first when the CPU is busy.
NICENESS = 10

# Isolated (-I) and without `site` (-S), the interpreter has no import path: it is the argument.
_COMMAND = (
    "import json, os, sys; os.nice(int(sys.argv[2])); sys.path[:] = json.loads(sys.argv[1]);"
    " from probe.prober.evaluation_worker import main; main()"
)

# Variables that the interpreter may need. All others may contain secrets. The threshold lets the C
# library return large blocks to the system, as in `probe.malloc`.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_VARIABLES = {"MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}

_ADVICE = "simplify the patterns and paths in expect and server_timing"


class WorkerLimitExceeded(Exception):
    """The evaluation takes more CPU time or memory than it may. The message is for users."""


class WorkerFailed(Exception):
    """The process could not be started, or it has ended. The message is for users."""


class WorkerProcess:
    """One worker process. It is started for the first task, and again after it has ended.

    `run` must not be called concurrently; `close` may be called at any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for the two below
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._task_number = 0

    def run(self, task: EvaluationTask) -> Iterator[Evaluation]:
        """Yield the evaluations of `task.run`. Raises WorkerLimitExceeded and WorkerFailed."""
        self._task_number += 1
        data = pickle.dumps((self._task_number, task))
        process = self._running()
        finished = None
        try:
            with _killed_after_wall_time(process):
                for reply in _exchange(process, data, self._task_number):
                    if isinstance(reply, Finished):
                        finished = reply
                    else:
                        yield reply.evaluation
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            # ValueError: `close` has closed the pipes.
            raise _explain_end(_end(process)) from None
        finally:
            # After any exception, a reply to this task may be unread.
            if finished is None or finished.should_be_replaced:
                self._process = None
                process.kill()
                _end(process)
        assert finished, "the last reply"
        if finished.is_out_of_memory:
            mebibytes = memory_limit_bytes(task.max_bytes) // 1024**2
            raise WorkerLimitExceeded(
                f"evaluating the response takes more than {mebibytes} MiB of memory; {_ADVICE},"
                " or raise `max_bytes`, which raises this limit"
            )
        if finished.bug:
            raise WorkerFailed(
                f"evaluating the response raised {finished.bug}: please report this bug"
            )

    def close(self) -> None:
        """End the process, also during a task. Later tasks fail."""
        with self._lock:
            self._closed = True
            process = self._process
        if process:
            process.kill()
            _end(process)

    def _running(self) -> "subprocess.Popen[bytes]":
        """Return the process. It may have ended since the last task, e.g. by the OOM killer."""
        with self._lock:
            if self._closed:
                raise WorkerFailed("the daemon is shutting down")
            if self._process and self._process.poll() is not None:
                _end(self._process)
                self._process = None
            if self._process is None:
                try:
                    self._process = _start()
                except OSError as error:
                    raise WorkerFailed(
                        f"cannot start the process that evaluates large responses: {error}"
                    ) from None
            return self._process


def _start() -> "subprocess.Popen[bytes]":
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # The import path of this process may contain the empty string: the current directory.
    path = [str(Path(probe.__file__).parent.parent), *filter(None, sys.path)]
    # Isolated, the interpreter ignores PYTHONOPTIMIZE. The image has byte code of this level only,
    # and to compile all modules at each start would take 0.4 s of CPU and 8 MB.
    flags = [*["-O"] * sys.flags.optimize, "-I", "-S", "-B"]
    return subprocess.Popen(
        [sys.executable, *flags, "-c", _COMMAND, json.dumps(path), str(NICENESS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_VARIABLES, **kept},
        start_new_session=True,
    )


@contextmanager
def _killed_after_wall_time(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kill `process` if the block takes too long. Raises WorkerFailed if there is no thread."""
    watchdog = threading.Timer(MAX_WALL_SECONDS, process.kill)
    watchdog.daemon = True
    try:
        watchdog.start()
    except RuntimeError as error:
        raise WorkerFailed(f"cannot start a thread to evaluate a large response: {error}") from None
    try:
        yield
    finally:
        watchdog.cancel()


def _exchange(
    process: "subprocess.Popen[bytes]", data: bytes, task_number: int
) -> Iterator[Evaluated | Finished]:
    """Send the pickled task `data`, and yield the replies up to the last one.

    Raises OSError and EOFError if the process ends.
    """
    assert process.stdin, "it is a pipe"
    assert process.stdout, "it is a pipe"
    process.stdin.write(data)
    process.stdin.flush()
    while True:
        reply: Evaluated | Finished = pickle.load(process.stdout)
        if reply.task_number != task_number:
            raise WorkerFailed("the process that evaluates large responses replied to another task")
        yield reply
        if isinstance(reply, Finished):
            return


def _end(process: "subprocess.Popen[bytes]") -> int:
    """Wait until the process ends, which it does without stdin. Return its return code."""
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe:
                pipe.close()
        except OSError:  # a part of the task was not sent
            pass
    try:
        return process.wait(MAX_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _explain_end(return_code: int) -> Exception:
    """Return the exception for a task during which the process has ended."""
    if return_code == -signal.SIGPROF:
        return WorkerLimitExceeded(
            f"evaluating the response takes more than {MAX_CPU_SECONDS:g} s of CPU time; {_ADVICE}"
        )
    how = f"signal {-return_code}" if return_code < 0 else f"exit code {return_code}"
    return WorkerFailed(f"the process that evaluates large responses ended with {how}")
