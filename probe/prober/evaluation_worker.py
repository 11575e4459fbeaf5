"""Program of the worker process: evaluates responses that are large or expensive.

It reads pickled tasks from stdin and writes a pickled reply for each to stdout. The kernel enforces
the limits of a task, so that no pattern and no document can exceed them, in whichever library the
time or the memory is spent: SIGPROF ends the process, and further memory is refused.
"""

import gc
import pickle
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from probe.prober.cpu_budget import MAX_CPU_SECONDS, CpuBudget
from probe.prober.evaluation import Evaluation, EvaluationTask

# Memory that a task may take: the base, and a multiple of the probe's `max_bytes`. Python objects
# take about five times the size of usual JSON, and the base has room for the body and its text.
BASE_MEMORY_BYTES = 6 * 1024 * 1024
MEMORY_PER_BODY_BYTE = 6

# The kernel ends the process after this CPU time. The evaluation usually ends itself before, after
# MAX_CPU_SECONDS, with a message that names the pattern or the path.
KILL_CPU_SECONDS = MAX_CPU_SECONDS + 0.25

# A process that keeps more memory than this after a task (fragmentation) is replaced.
MAX_RETAINED_BYTES = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Reply with an evaluation that `EvaluationTask.run` has yielded; a task may have two."""

    task_number: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Finished:
    """Last reply to a task."""

    task_number: int
    is_out_of_memory: bool = False
    bug: str = ""
    """Type of an unexpected exception. Its message may quote the response."""
    should_be_replaced: bool = False
    """Whether the process keeps too much memory."""


def memory_limit_bytes(max_bytes: int) -> int:
    """Return the memory that the evaluation of a body of up to `max_bytes` may take."""
    return BASE_MEMORY_BYTES + MEMORY_PER_BODY_BYTE * max_bytes


def main() -> None:
    """Evaluate tasks until the daemon closes stdin or ends."""
    # Imported before the memory is limited, and not in the daemon, which imports this module, too.
    import probe.prober.jsonpath  # noqa: F401, PLC0415

    # Ctrl-C in a terminal goes to all processes; the daemon ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prefer_for_oom_killer()
    gc.freeze()  # so that collecting the garbage of a task does not search the modules
    initial_bytes = _address_space_bytes()
    while True:
        try:
            number, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        finished = _evaluate(number, task)
        del task
        gc.collect()
        retained_bytes = _address_space_bytes() - initial_bytes
        _send(replace(finished, should_be_replaced=retained_bytes > MAX_RETAINED_BYTES))


def _prefer_for_oom_killer() -> None:
    """Let the kernel end this process before the daemon when the container has no memory left.

    The evaluation then fails with the reason `internal`, and the daemon starts a new process.
    """
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def _send(reply: Evaluated | Finished) -> None:
    pickle.dump(reply, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _evaluate(number: int, task: EvaluationTask) -> Finished:
    """Evaluate `task` within its limits, and send its evaluations."""
    if address_space := _address_space_bytes():
        _limit_address_space(address_space + memory_limit_bytes(task.max_bytes))
    signal.setitimer(signal.ITIMER_PROF, KILL_CPU_SECONDS)
    try:
        for evaluation in task.run(CpuBudget()):
            _send(Evaluated(number, evaluation))
        return Finished(number)
    except MemoryError:
        return Finished(number, is_out_of_memory=True)
    except Exception as bug:  # noqa: BLE001  (the daemon reports it)
        return Finished(number, bug=type(bug).__name__)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_address_space(resource.RLIM_INFINITY)


def _limit_address_space(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        size = hard if size == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def _address_space_bytes() -> int:
    """Return the size of the address space; 0 if the system does not tell, as macOS."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[0]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()
