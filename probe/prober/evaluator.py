"""Evaluates the responses of all probes within limits for the whole daemon.

A pattern or a JSON document can take seconds of CPU time and more than 100 MiB of memory, and can
hold the interpreter lock, which delays all other probes. Each response is therefore evaluated at
first in this process with small limits, which is enough for usual responses and costs least. If it
exceeds them, a worker process evaluates it again, with limits that the kernel enforces. There is
one worker process, so all endpoints together can use one core and the memory of one task.

Waiting for the evaluation is not part of the measured latency, and no deadline applies to it.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from probe.prober.body import UNCOUNTED_BYTES, BodyMemory
from probe.prober.cpu_budget import CpuBudget
from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.prober.response import EvaluationTooExpensive
from probe.prober.worker_process import EvaluationLimitExceeded, WorkerFailed, WorkerProcess
from probe.result import Failure, Reason

# Limits of an evaluation in this process. Parsing JSON of this size holds the interpreter lock for
# up to 2 ms and takes up to 2 MiB.
LOCAL_CONTENT_BYTES = UNCOUNTED_BYTES
LOCAL_CPU_SECONDS = 0.005

# Responses that wait for the worker process or are evaluated by it, of all probes and of one: an
# endpoint whose responses are expensive must leave places to others.
MAX_WAITING = 6
MAX_WAITING_PER_PROBE = 4


class _EvaluatorBusy(Exception):
    """Too many responses wait. The message is for users."""


class Evaluator:
    """Evaluates one response at a time in this process, and one in the worker process."""

    def __init__(self) -> None:
        self.body_memory = BodyMemory()
        """The memory of the bodies that are being received or evaluated."""
        self._local_lock = threading.Lock()
        self._worker_lock = threading.Lock()
        self._worker = WorkerProcess()
        self._waiting_lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Return the evaluation of a response, which fails if it exceeds the limits."""
        try:
            with self._local_lock:
                budget = CpuBudget(LOCAL_CPU_SECONDS, error=EvaluationTooExpensive)
                return task.run(budget, affordable_bytes=LOCAL_CONTENT_BYTES)
        except EvaluationTooExpensive:
            pass
        try:
            with self._place_in_queue(task.probe), self._worker_lock:
                return self._worker.run(task)
        except EvaluationLimitExceeded as error:
            return _failed(Reason.ASSERTION, str(error))
        except (WorkerFailed, _EvaluatorBusy) as error:
            return _failed(Reason.INTERNAL, f"{error} (a fault of this daemon or its host)")

    def close(self) -> None:
        """End the worker process. An evaluation in it fails."""
        self._worker.close()

    @contextmanager
    def _place_in_queue(self, probe: str) -> Iterator[None]:
        """Count a response of `probe` as waiting. Raises _EvaluatorBusy at a limit."""
        with self._waiting_lock:
            if (
                self._waiting.total() >= MAX_WAITING
                or self._waiting[probe] >= MAX_WAITING_PER_PROBE
            ):
                raise _EvaluatorBusy(
                    f"{self._waiting.total()} responses, {self._waiting[probe]} of them of this"
                    " probe, wait for their evaluation; simplify the patterns and paths in expect"
                    " and server_timing, or probe less often"
                )
            self._waiting[probe] += 1
        try:
            yield
        finally:
            with self._waiting_lock:
                self._waiting[probe] -= 1
                if not self._waiting[probe]:
                    del self._waiting[probe]


def _failed(reason: Reason, detail: str) -> Evaluation:
    return Evaluation(failure=Failure(reason=reason, detail=detail))
