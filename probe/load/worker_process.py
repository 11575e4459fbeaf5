"""A process of the load generator, as seen by its parent."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from probe.load.measurement import Counts
from probe.load.step_sender import StepState
from probe.load.worker import (
    Command,
    GetState,
    Ready,
    StartStep,
    StateReply,
    WorkerOptions,
    run_worker,
)
from probe.result import RunProbe

# A process must reply within this time. It needs a few milliseconds, and more on a busy machine.
MAX_REPLY_SECONDS = 30.0

# Time for a process to end after its connection is closed.
MAX_EXIT_SECONDS = 2.0

# Forked processes inherit the compiled probe and its limits. It need not be pickled.
FORK = multiprocessing.get_context("fork")


class LoadGeneratorError(Exception):
    """A process of the load generator failed. The message is for users."""


class WorkerProcess:
    """A process of the generator. It ends when its connection is closed, or the parent ends.

    Each method raises LoadGeneratorError if the process has ended.
    """

    def __init__(
        self,
        build_runner: Callable[[], RunProbe],
        options: WorkerOptions,
        *,
        number: int,
        others: Sequence["WorkerProcess"],
    ) -> None:
        """Fork the process. `number` is for messages; `others` are already running."""
        self._name = f"process {number} of the load generator"
        self._connection, remote = FORK.Pipe()
        inherited: list[Connection] = [
            self._connection,
            *(other._connection for other in others),
        ]
        self._process = FORK.Process(
            target=run_worker, args=(remote, inherited, build_runner, options), daemon=True
        )
        self._process.start()
        remote.close()
        self._states_requested = 0
        self.state: StepState | None = None
        """State of the current step."""
        self.seconds: dict[int, Counts] = {}
        """Counts of the current step, by the second."""

    @property
    def sentinel(self) -> int:
        """A handle that is ready when the process has ended."""
        return self._process.sentinel

    @property
    def is_drained(self) -> bool:
        """Whether all requests of the step are sent and have a result."""
        return bool(self.state and self.state.sends_no_more and not self.state.report.in_flight)

    def wait_until_ready(self) -> None:
        """Wait until the process can send requests. Raises LoadGeneratorError if it cannot."""
        message = self._receive()
        assert isinstance(message, Ready), "the first message"
        if message.error:
            raise LoadGeneratorError(f"{self._name} cannot send requests: {message.error}")

    def send(self, command: Command) -> None:
        """Send `command`. The counts are those of the step that it starts."""
        if isinstance(command, StartStep):
            self.state, self.seconds = None, {}
        with _interrupts_blocked():
            try:
                self._connection.send(command)
            except OSError:
                raise self.explain_end() from None

    def request_state(self) -> None:
        """Request the state of the current step. `receive_state` waits for it."""
        self._states_requested += 1
        self.send(GetState(number=self._states_requested))

    def receive_state(self) -> set[int]:
        """Receive the state of the current step. Return the seconds whose counts have changed."""
        message = None
        # If Ctrl-C interrupted an earlier call, its reply comes first.
        changed: set[int] = set()
        while not (isinstance(message, StateReply) and message.number == self._states_requested):
            message = self._receive()
            if isinstance(message, StateReply):
                self.state = message.state
                self.seconds.update(message.state.report.seconds)
                changed |= message.state.report.seconds.keys()
        if message.state.bug:
            raise LoadGeneratorError(
                f"{self._name} failed with {message.state.bug}, which is a bug: please report it"
                " with the traceback above"
            )
        return changed

    def close(self) -> None:
        """Disconnect, so that the process ends."""
        self._connection.close()

    def join(self) -> None:
        """Wait for the end of the process after `close`, and kill it if that takes too long."""
        self._process.join(MAX_EXIT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def explain_end(self) -> LoadGeneratorError:
        """Return the error for a process that has ended, or that does not reply."""
        self._process.join(MAX_EXIT_SECONDS)
        code = self._process.exitcode
        if code is None:
            return LoadGeneratorError(f"{self._name} did not reply for {MAX_REPLY_SECONDS:g} s")
        if code < 0:
            name = signal.Signals(-code).name
            hint = ": the machine may be out of memory" if name == "SIGKILL" else ""
            return LoadGeneratorError(f"{self._name} was ended by the signal {name}{hint}")
        return LoadGeneratorError(f"{self._name} ended with the exit code {code}")

    def _receive(self) -> Ready | StateReply:
        ready = wait([self._connection, self.sentinel], MAX_REPLY_SECONDS)
        if self._connection in ready:
            with suppress(EOFError, OSError), _interrupts_blocked():
                message: Ready | StateReply = self._connection.recv()
                return message
        raise self.explain_end()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block, so that it cannot divide a message."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
