"""Child processes of a demo."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

MAX_LOG_LINES_SHOWN = 10


class ProcessFailedError(Exception):
    """A child process did not start or has exited. The message ends with its log."""


class ChildProcess:
    """A process that writes its output to `log`.

    It runs in its own session. Ctrl-C therefore reaches only the parent, which stops its children
    in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise ProcessFailedError if the process has exited."""
        if (code := self.process.poll()) is not None:
            raise self.failed(f"exited with code {code}")

    def stop(self, *, timeout_seconds: float = 10) -> None:
        """Send SIGTERM, and SIGKILL after `timeout_seconds`."""
        self.process.terminate()
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def failed(self, problem: str) -> ProcessFailedError:
        """Return an error with `problem` and the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-MAX_LOG_LINES_SHOWN:]
        output = "".join(f"\n    {line}" for line in lines) or " (empty)"
        return ProcessFailedError(f"{self.name} {problem}. The end of its log {self.log}:{output}")
