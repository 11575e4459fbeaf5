"""The worker process as seen by the daemon: starts it, sends tasks and explains its end."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import probe
from probe.prober.cpu_budget import MAX_CPU_SECONDS
from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.prober.evaluation_worker import Reply, memory_limit_bytes

# A task is limited in CPU time. If it takes this long, the process is stopped or has no CPU time.
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
# library return large blocks to the system, as in `probe.daemon.malloc`.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_VARIABLES = {"MALLOC_MMAP_THRESHOLD_": str(256 * 1024)}

_ADVICE = "simplify the patterns and paths in expect and server_timing"


class EvaluationLimitExceeded(Exception):
    """The evaluation of a response takes more than it may. The message is for users."""


class WorkerFailed(Exception):
    """The process could not be started, or it has ended. The message is for users."""


class WorkerProcess:
    """One worker process. It is started for the first task, and again after it has ended.

    `run` must not be called concurrently.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def run(self, task: EvaluationTask) -> Evaluation:
        """Evaluate `task`. Raises EvaluationLimitExceeded and WorkerFailed."""
        data = pickle.dumps(task)
        process = self._running()
        try:
            reply = _exchange(process, data)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            # ValueError: `close` has closed the pipes.
            self._process = None
            raise _explain_end(_end(process)) from None
        if reply.is_last:
            self._process = None
            _end(process)
        if reply.is_out_of_memory:
            mebibytes = memory_limit_bytes(task.max_bytes) // 1024**2
            raise EvaluationLimitExceeded(
                f"evaluating the response takes more than {mebibytes} MiB of memory; {_ADVICE}"
            )
        if reply.evaluation is None:
            raise WorkerFailed(
                f"evaluating the response raised {reply.bug}: please report this bug"
            )
        return reply.evaluation

    def close(self) -> None:
        """End the process, also during a task. Later tasks fail."""
        self._closed = True
        if process := self._process:
            process.kill()
            _end(process)

    def _running(self) -> "subprocess.Popen[bytes]":
        """Return the process. It may have ended since the last task, e.g. by the OOM killer."""
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
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _COMMAND, json.dumps(path), str(NICENESS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_VARIABLES, **kept},
        start_new_session=True,
    )


def _exchange(process: "subprocess.Popen[bytes]", task: bytes) -> Reply:
    """Send a pickled task and return the reply. Raises OSError and EOFError if the process ends."""
    assert process.stdin, "it is a pipe"
    assert process.stdout, "it is a pipe"
    watchdog = threading.Timer(MAX_WALL_SECONDS, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        process.stdin.write(task)
        process.stdin.flush()
        reply: Reply = pickle.load(process.stdout)
        return reply
    finally:
        watchdog.cancel()


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
        return EvaluationLimitExceeded(
            f"evaluating the response takes more than {MAX_CPU_SECONDS:g} s of CPU time; {_ADVICE}"
        )
    how = f"signal {-return_code}" if return_code < 0 else f"exit code {return_code}"
    return WorkerFailed(f"the process that evaluates large responses ended with {how}")
