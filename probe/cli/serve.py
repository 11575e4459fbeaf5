"""Builds the daemon from its flags and config, and runs it.

`probe.cli.run` imports this module while a child process validates the config.
"""

import argparse
import errno
import logging
import os
import signal
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from probe import __version__
from probe.cli.command import EXIT_OK, UsageError, usage_error
from probe.cli.config_file import LoadedConfig
from probe.cli.otlp_options import read_otlp_options
from probe.clock import Clock
from probe.config.child_loader import ChildProcessLoader
from probe.daemon.daemon import Daemon
from probe.daemon.reload import start_reload_thread
from probe.daemon.signals import STOP_SIGNALS, Signals
from probe.server.links import PageLink, page_links
from probe.server.server import bind
from probe.server.web_config_watch import WebConfig

logger = logging.getLogger(__name__)


def build_daemon(
    args: argparse.Namespace, environ: Mapping[str, str], config: LoadedConfig
) -> tuple[Daemon, socket.socket]:
    """Return the daemon and the socket on which it will serve."""
    clock = Clock()
    file = config.file
    loader = ChildProcessLoader()
    web = WebConfig(clock, Path(args.web_config_file) if args.web_config_file else None)
    links = _links(args)
    otlp = read_otlp_options(args, environ)
    listener = _bind(args.web_listen_address)
    daemon = Daemon(
        config.settings,
        listener,
        environ=environ,
        base=config.base,
        clock=clock,
        load_config=None if file is None else lambda: loader.load(file, environ=environ),
        enable_lifecycle=args.web_enable_lifecycle == "true",
        web=web,
        links=links,
        otlp=otlp,
    )
    return daemon, listener


def serve(
    args: argparse.Namespace, config: LoadedConfig, daemon: Daemon, listener: socket.socket
) -> int:
    """Run `daemon` until SIGTERM or SIGINT and return the exit code."""
    signals = Signals()
    try:
        daemon.start()
    except OSError as error:  # another process has begun to listen meanwhile
        return usage_error(_listen_error(args.web_listen_address, error))
    _log_start(config, listener, daemon.reload.start_advice)
    reload = start_reload_thread(daemon.reload)
    while not (received := signals.wait()) & STOP_SIGNALS:
        if signal.SIGHUP in received:
            reload()
    logger.info("stopping: waiting for the probes in flight")
    daemon.stop()
    logger.info("stopped")
    return EXIT_OK


def _links(args: argparse.Namespace) -> tuple[PageLink, ...]:
    urls = {
        "runbook": args.web_runbook_url,
        "dashboard": args.web_dashboard_url,
        "prometheus": args.web_prometheus_url,
    }
    try:
        return page_links(urls)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _bind(address: str) -> socket.socket:
    try:
        return bind(address)
    except ValueError as error:
        raise UsageError(f"--web.listen-address: {error}") from None
    except OSError as error:
        raise _listen_error(address, error) from None


def _listen_error(address: str, error: OSError) -> UsageError:
    """Return the error for users. The text of `error` itself repeats the address."""
    advice = "; choose another one with --web.listen-address"
    if error.errno == errno.EADDRINUSE:
        reason = f"another program uses this address{advice}"
    elif error.errno and error.errno > 0:
        reason = os.strerror(error.errno)
    else:  # a code of getaddrinfo
        reason = f"the host is unknown{advice}"
    return UsageError(f"cannot listen on {address}: {reason}")


def _log_start(config: LoadedConfig, listener: socket.socket, advice: Iterable[str]) -> None:
    host, port = listener.getsockname()[:2]
    fields = {
        "version": __version__,
        "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "config": config.file or "flags",
        "probes": len(config.settings.probes),
    }
    logger.info("inference-probe is running", extra={"fields": fields})
    for text in advice:
        logger.warning(text)
