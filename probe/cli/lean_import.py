"""Imports without those parts of other libraries that the daemon does not use, to save memory."""

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import NoneType, SimpleNamespace

# requests guesses the encoding of `Response.text` with one of these. The daemon never reads it: it
# decodes bodies itself. requests imports them if it can, which takes 3 MB.
GUESSING_LIBRARIES = ("charset_normalizer", "chardet")


def import_daemon() -> None:
    """Import the modules of the daemon without the unused parts of other libraries.

    If another command has imported one of them before, as in tests, this has no effect on it.
    """
    substitutes = {
        # None lets `import` raise ModuleNotFoundError, as if the library was not installed.
        **dict.fromkeys(GUESSING_LIBRARIES),
        # uvicorn's package imports its command line, and with it click and multiprocessing: 1.2 MB.
        "uvicorn.main": SimpleNamespace(Server=None, main=None, run=None),
        # The package imports servers and clients for scrapes: 1 MB. The daemon has its own.
        "prometheus_client": _without_init("prometheus_client"),
        # The default executor, which TickScheduler replaces, imports concurrent.futures.process and
        # multiprocessing.
        "apscheduler.executors.pool": SimpleNamespace(ThreadPoolExecutor=None),
        # TickScheduler passes another time zone, which APScheduler compares with this type.
        "tzlocal": SimpleNamespace(get_localzone=None),
        "zoneinfo": SimpleNamespace(ZoneInfo=NoneType),
        # APScheduler reads its version and its plugins, of which the daemon uses none. urllib3
        # reads the version of h2 if HTTP/2 is turned on. This imports email and zipfile.
        "importlib.metadata": SimpleNamespace(
            PackageNotFoundError=ImportError, entry_points=lambda **_: (), version=lambda _: "0"
        ),
        # uvicorn imports both for `log_config`, which is None.
        "logging.config": SimpleNamespace(),
        "configparser": SimpleNamespace(RawConfigParser=NoneType),
        # Used by requests' HTTPAdapter, which the daemon replaces.
        "zipfile": SimpleNamespace(),
        # Starlette escapes the lines of tracebacks, which it shows in debug mode only.
        "html": SimpleNamespace(escape=None),
    }
    missing = {name: value for name, value in substitutes.items() if name not in sys.modules}
    sys.modules.update(missing)  # type: ignore[arg-type]  # any object will do
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
            import_module("probe.cli.serve")
    finally:
        for name in missing:
            del sys.modules[name]


def _without_init(name: str) -> object:
    """Return a package whose `__init__` has not run, from which modules can be imported."""
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    return module_from_spec(spec)
