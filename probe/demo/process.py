"""A process that is started, watched and ended by this one."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ChildError(Exception):
    """A process did not do what it was started for. The message is for people."""


class ChildProcess:
    """Writes all that it says to `log`. In a session of its own: Ctrl-C is for the parent, which
    ends its children in order.
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
        """ChildError, with its last words, if it has ended."""
        if (code := self.process.poll()) is not None:
            raise self.error(f"ended by itself with exit code {code}")

    def stop(self, *, seconds: float = 10) -> None:
        """By SIGTERM, and by SIGKILL if that is not enough."""
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def error(self, problem: str) -> ChildError:
        """With its last words and where to read all of them."""
        words = self.log.read_text(errors="replace").splitlines()[-10:]
        said = "".join(f"\n    {line}" for line in words) or " nothing"
        return ChildError(f"{self.name} {problem}. It said, in {self.log}:{said}")
