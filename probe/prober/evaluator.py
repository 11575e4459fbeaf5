"""Evaluates the responses of all probes within limits for the whole daemon.

A pattern or a JSON document can take seconds of CPU time and more than 100 MiB of memory, and can
hold the interpreter lock, which delays all other probes. Each response is therefore evaluated at
first in this process with small limits, which is enough for usual responses and costs least. If it
exceeds them, a worker process evaluates it again, with limits that the kernel enforces. There is
one worker process, so all endpoints together can use one core and the memory of one task.

Waiting for the evaluation is not part of the measured latency, and no deadline applies to it.
"""

import threading

from probe.prober.body import UNCOUNTED_BYTES, BodyMemory
from probe.prober.cpu_budget import CpuBudget
from probe.prober.evaluation import Evaluation, EvaluationTask
from probe.prober.response import LocalLimitExceeded
from probe.prober.worker_process import WorkerFailed, WorkerLimitExceeded, WorkerProcess
from probe.prober.worker_queue import QueueFull, WorkerQueue
from probe.result import Failure, Reason

# Limits of an evaluation in this process. Parsing JSON of this size holds the interpreter lock for
# up to 2 ms and takes up to 2 MiB.
LOCAL_CONTENT_BYTES = UNCOUNTED_BYTES
LOCAL_CPU_SECONDS = 0.005


class Evaluator:
    """Evaluates one response at a time in this process, and one in the worker process."""

    def __init__(self) -> None:
        self.body_memory = BodyMemory()
        """The memory of the bodies that are being received or evaluated."""
        self._local_lock = threading.Lock()
        self._queue = WorkerQueue()
        self._worker = WorkerProcess()

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Return the evaluation of a response, which fails if the assertions exceed the limits."""
        # `extend` keeps those that were yielded before an exception.
        evaluations: list[Evaluation] = []
        try:
            with self._local_lock:
                budget = CpuBudget(
                    LOCAL_CPU_SECONDS, error=LocalLimitExceeded, compiles_patterns=False
                )
                evaluations.extend(task.run(budget, affordable_bytes=LOCAL_CONTENT_BYTES))
        except LocalLimitExceeded:
            failure = self._evaluate_in_worker(task, evaluations)
            if not evaluations:
                return Evaluation(failure=failure)
        return evaluations[-1]

    def close(self) -> None:
        """End the worker process. An evaluation in it fails."""
        self._worker.close()

    def _evaluate_in_worker(
        self, task: EvaluationTask, evaluations: list[Evaluation]
    ) -> Failure | None:
        """Append the evaluations of `task`. Return why they are incomplete, or None."""
        try:
            with self._queue.turn(task.probe):
                evaluations.extend(self._worker.run(task))
        except WorkerLimitExceeded as error:
            return Failure(reason=Reason.ASSERTION, detail=str(error))
        except QueueFull as error:
            return Failure(reason=Reason.INTERNAL, detail=str(error))
        except WorkerFailed as error:
            detail = f"{error} (a fault of this daemon or its host)"
            return Failure(reason=Reason.INTERNAL, detail=detail)
        return None
