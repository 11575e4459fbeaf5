"""Calls of functions in a child process, whose modules and garbage never enter this process.

The validation of a config needs pydantic, a YAML parser and the models: 10 MB of memory, and with
thousands of probes seconds of CPU time, in which it would delay the probes that are due. The
compilation of templates needs 0.1 s and 2 MB.
"""

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import probe
from probe.threads import GIL_YIELD_SECONDS

# Time for a call, start of the interpreter included. The largest configs take a few seconds of CPU
# time. A secret file on a network file system may hang.
MAX_CALL_SECONDS = 120.0

# The import path is the argument. The current directory (-P) and `site` (-S) add nothing to it.
_COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from probe.config.child_main import main; main(int(sys.argv[2]))"
)


class ChildProcess:
    """A process that calls one function. Leaving the context ends it, whatever its state.

    The call begins at once, so that the caller can do other work before `result`.
    """

    def __init__(
        self, function: str, /, *, purpose: str = "validates the config", **arguments: Any
    ) -> None:
        """Start the call of `function`, such as `probe.config.loader:parse`.

        `purpose` completes "the process that ..." in error messages. Raises ChildProcessError if no
        process or thread can be started.
        """
        self._purpose = purpose
        self._is_too_late = False
        self._watchdog = threading.Timer(MAX_CALL_SECONDS, self._time_out)
        self._watchdog.daemon = True
        try:
            self._process = _start()
        except OSError as error:
            raise self._failure(f"cannot be started: {error.strerror}") from None
        try:
            self._watchdog.start()
            _send(self._process, (function, arguments))
        except RuntimeError as error:  # of the watchdog
            self._end()
            raise self._failure(f"cannot be started: {error}") from None
        except BaseException:  # e.g. SystemExit by a signal
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._end()

    def result(self) -> Any:
        """Return the value of the function, or raise its exception.

        Raises ChildProcessError if the process was killed, or has not finished in time.
        """
        assert self._process.stdout, "it is a pipe"
        try:
            value, error = pickle.load(_YieldingReader(self._process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            raise self._explain_end() from None
        if error is not None:
            raise error
        return value

    def _time_out(self) -> None:
        self._is_too_late = True
        self._process.kill()

    def _explain_end(self) -> ChildProcessError:
        code = self._end()
        if self._is_too_late:
            return self._failure(f"has not finished within {MAX_CALL_SECONDS:g} s")
        if code == -signal.SIGKILL:
            return self._failure("was killed, possibly because there is not enough memory")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return self._failure(f"ended with {how}")

    def _end(self) -> int:
        """End the process; return its return code: that of a process that has ended by itself."""
        self._watchdog.cancel()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:  # a part of the request was not sent
                pass
        self._process.kill()
        return self._process.wait()

    def _failure(self, what: str) -> ChildProcessError:
        return ChildProcessError(f"the process that {self._purpose} {what}")


class _YieldingReader:
    """The part of a binary file that `pickle.load` reads. Each read releases the GIL.

    It would load the settings of 5,000 probes for 25 ms without releasing the GIL. It reads a piece
    of 64 KiB at a time.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        time.sleep(GIL_YIELD_SECONDS)
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


def _start() -> "subprocess.Popen[bytes]":
    # The import path of this process may contain the empty string: the current directory. That of
    # the package is last, because it may also have modules with names of the standard library.
    path = list(filter(None, sys.path))
    package_path = str(Path(probe.__file__).parent.parent)
    if package_path not in path:
        path.append(package_path)
    # There may be no byte code of other optimization levels.
    command = [sys.executable, *["-O"] * sys.flags.optimize, "-P", "-S", "-c", _COMMAND]
    return subprocess.Popen(
        [*command, json.dumps(path), str(int(MAX_CALL_SECONDS))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl+C in a terminal is for this process, which then ends the child.
        start_new_session=True,
    )


def _send(process: "subprocess.Popen[bytes]", request: object) -> None:
    assert process.stdin, "it is a pipe"
    try:
        pickle.dump(request, process.stdin, pickle.HIGHEST_PROTOCOL)
        process.stdin.close()
    except BrokenPipeError:  # the process has ended, as `result` reports
        pass
