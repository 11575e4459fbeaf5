"""The child process of `probe.config.child_process`: one request on stdin, one reply on stdout."""

import gc
import os
import pickle
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from probe.config.errors import ConfigError, TlsError


def main(max_seconds: int) -> NoReturn:
    """Call the function of the request, and reply with its value or its exception.

    The process ends after `max_seconds`, also if the process that started it has ended.
    """
    signal.alarm(max_seconds)
    # The process ends before garbage matters. To search all nodes of a large config for it takes
    # half of the time.
    gc.disable()
    # To look for plugins, pydantic reads the metadata of all installed packages: 5 to 15 ms.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    function, arguments = pickle.load(sys.stdin.buffer)
    with suppress(BrokenPipeError):  # the caller does not wait for the reply
        pickle.dump(_call(function, arguments), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()
    # Without the time to free all objects.
    os._exit(0)


def _call(function: str, arguments: dict[str, Any]) -> tuple[Any, Exception | None]:
    """Return the value of the function, or its exception."""
    module, name = function.split(":")
    try:
        return getattr(import_module(module), name)(**arguments), None
    except (ConfigError, TlsError, OSError) as error:
        return None, error
    except Exception as bug:  # noqa: BLE001  (the caller raises it)
        # Some exceptions cannot be pickled, and none is with its traceback.
        failure = RuntimeError(f"{type(bug).__name__} in {function}")
        failure.add_note(traceback.format_exc())
        return None, failure
