"""One process of the load generator: sends its part of the requests of each step."""

import ctypes
import gc
import logging
import random
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from probe.clock import Clock
from probe.load.arrivals import Arrivals, due_times
from probe.load.objective import LoadObjective
from probe.load.step_sender import Limits, StepSender, StepState
from probe.result import RunProbe
from probe.threads import ThreadCache

logger = logging.getLogger(__name__)

# Linux, <linux/prctl.h>; not in Python's modules.
PR_SET_TIMERSLACK = 29


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a process needs to send its part of the requests."""

    index: int
    """Number of this process, from 0."""
    processes: int
    """Number of processes, with those of other generators that share the rate."""
    objectives: Sequence[LoadObjective]
    arrivals: Arrivals
    seed: int
    limits: Limits
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStep:
    """Command to start step `number` at the instant `epoch` (monotonic ns).

    `rate` is that of all processes together, in requests per second.
    """

    number: int
    rate: float
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep:
    """Command to send no more requests. The step ends at `end` (seconds from its start)."""

    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GetState:
    """Request for the state of the current step. The reply has the same number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReply:
    """Reply to a GetState."""

    number: int
    state: StepState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first message of a process. `error` says why it cannot send requests."""

    error: str | None = None


Command = StartStep | StopStep | GetState


def run_worker(
    connection: Connection,
    unused: Sequence[Connection],
    build_runner: Callable[[], RunProbe],
    options: WorkerOptions,
) -> None:
    """Send requests as the commands of `connection` say, until it is closed.

    `unused` are inherited connections of the parent. While they are open here, the end of the
    parent would not close them.
    """
    for other in unused:
        other.close()
    # The parent handles Ctrl-C: it lets the requests in flight end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _raise_file_limit()
    _disable_timer_slack()
    try:
        run = build_runner()
    except Exception as error:
        logger.exception("a process of the load generator cannot be prepared")
        connection.send(Ready(error=f"{type(error).__name__}: {error}"))
        return
    # The objects until now are not garbage. Without them, a collection is short.
    gc.collect()
    gc.freeze()
    connection.send(Ready())
    _Worker(run, options).serve(connection)


def _raise_file_limit() -> None:
    """Allow as many open files as this process may have: each request in flight needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _disable_timer_slack() -> None:
    """Set the timer slack of this thread and its future threads to 1 ns.

    Linux delays timers by up to 50 µs, to wake up less often. Half of the requests would start 0.15
    instead of 0.08 ms late.
    """
    with suppress(AttributeError, OSError):  # another system
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1))


class _Worker:
    """Runs one step after the other."""

    def __init__(self, run: RunProbe, options: WorkerOptions) -> None:
        self._run = run
        self._options = options
        self._executor = ThreadCache("load")

    def serve(self, connection: Connection) -> None:
        """Execute commands until the connection is closed."""
        step: StepSender | None = None
        while True:
            try:
                command: Command = connection.recv()
            except (EOFError, ConnectionResetError):
                return
            if isinstance(command, StartStep):
                step = self._start(command)
                continue
            assert step, "the first command starts a step"
            if isinstance(command, StopStep):
                step.stop(command.end)
            else:
                connection.send(StateReply(number=command.number, state=step.state()))

    def _start(self, command: StartStep) -> StepSender:
        options = self._options
        rng = random.Random(f"{options.seed} {options.index} {command.number}")
        step = StepSender(
            due_times(
                options.arrivals,
                command.rate,
                index=options.index,
                processes=options.processes,
                rng=rng,
            ),
            epoch=command.epoch,
            objectives=options.objectives,
            run=self._run,
            limits=options.limits,
            executor=self._executor,
            clock=options.clock,
        )
        step.start()
        return step
