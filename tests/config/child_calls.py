"""Functions that tests call in a child process."""

import os
import signal
import time
from typing import NoReturn

from probe.config.errors import TlsError


def environment() -> dict[str, str]:
    return dict(os.environ)


def echo(value: object) -> object:
    return value


def kill_itself(number: int) -> NoReturn:
    os.kill(os.getpid(), number)
    time.sleep(60)
    raise AssertionError


def stop_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def exit_with(code: int) -> NoReturn:
    os._exit(code)


def raise_tls_error() -> NoReturn:
    raise TlsError("ca_file", "no certificates (PEM) in the file")


def raise_os_error() -> NoReturn:
    raise FileNotFoundError(2, "No such file or directory", "/missing")


def raise_bug() -> NoReturn:
    class LocalError(Exception):  # cannot be pickled
        pass

    raise LocalError("unexpected")
