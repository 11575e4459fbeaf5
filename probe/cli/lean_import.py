"""Imports without optional libraries of other libraries, which take memory."""

import sys
import warnings
from importlib import import_module

# requests guesses the encoding of `Response.text` with one of these. The daemon never reads it: it
# decodes bodies itself. requests imports them if it can, which takes 3 MB.
UNUSED_BY_DAEMON = ("charset_normalizer", "chardet")


def import_daemon() -> None:
    """Import the modules of the daemon without UNUSED_BY_DAEMON.

    If another command has imported requests before, as in tests, this has no effect on it.
    """
    missing = [name for name in UNUSED_BY_DAEMON if name not in sys.modules]
    # None lets `import` raise ModuleNotFoundError, as if the library was not installed.
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
            import_module("probe.cli.serve")
    finally:
        for name in missing:
            del sys.modules[name]
