"""Flags of the commands that talk to the running daemon: its URL, TLS files and user."""

import argparse
from collections.abc import Mapping

from probe.cli.flags import FlagAdder
from probe.cli.server_flags import ServerFlags

DEFAULT_URL = "http://127.0.0.1:10115"

DAEMON_FLAGS = ServerFlags(prefix="daemon", server="the daemon", default_url=DEFAULT_URL)


def add_daemon_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> FlagAdder:
    """Add the flags that say where the daemon is, and how to authenticate."""
    flags = FlagAdder(parser, environ)
    flags.add("--daemon.url", "URL of the daemon", default=DEFAULT_URL)
    DAEMON_FLAGS.add_to(flags)
    return flags
