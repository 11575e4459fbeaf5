"""`inference-probe run`: the daemon."""

import argparse
import logging
import signal
from collections.abc import Mapping
from pathlib import Path

from probe import __version__
from probe.check.advice import lint
from probe.cli.flags import Commands, add_command, add_config_flags
from probe.cli.settings import EXIT_OK, UsageError, load_settings, usage_error
from probe.clock import Clock
from probe.config.loader import ConfigError, load
from probe.config.tls import TlsError
from probe.daemon import log, malloc
from probe.daemon.daemon import Daemon
from probe.daemon.reload import reload_worker
from probe.daemon.signals import ENDING, Signals
from probe.server.server import listen
from probe.server.web_config_watch import WebConfig

logger = logging.getLogger(__name__)


def add_parser(commands: Commands, environ: Mapping[str, str]) -> None:
    parser = add_command(
        commands,
        "run",
        run,
        "run the daemon: probe on schedule and serve /metrics",
        'Without a file: inference-probe run --url http://localhost:8080/ --slo "99% < 500ms"',
    )
    flags = add_config_flags(parser, environ)
    flags.add("--web.listen-address", "HOST:PORT to serve on", default=":10115")
    flags.add("--web.config.file", "TLS and users, in the format of exporter-toolkit")
    flags.add(
        "--web.enable-lifecycle",
        "accept POST /-/reload, /-/pause and /-/resume",
        default="false",
        choices=("true", "false"),
        bare_value="true",
    )
    flags.add("--log.level", "lowest level that is logged", default="info", choices=log.LEVELS)
    flags.add("--log.format", "format of the log", default="logfmt", choices=log.FORMATS)


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the daemon until SIGTERM or SIGINT and return the exit code."""
    malloc.configure_malloc()
    log.configure(args.log_level, args.log_format)
    clock = Clock()
    try:
        settings, source = load_settings(args, environ)
        web = WebConfig(clock, Path(args.web_config_file) if args.web_config_file else None)
        listener = listen(args.web_listen_address)
    except (ConfigError, UsageError, ValueError) as error:
        return usage_error(error)
    except OSError as error:
        return usage_error(f"cannot listen on {args.web_listen_address}: {error.strerror or error}")
    signals = Signals()
    try:
        daemon = Daemon(
            settings,
            listener,
            environ=environ,
            base=source.parent if source else Path(),
            clock=clock,
            read=None if source is None else lambda: load(source, environ=environ),
            enable_lifecycle=args.web_enable_lifecycle == "true",
            web=web,
        )
    except (TlsError, OSError) as error:  # a file that could be read during the load above
        return usage_error(error)
    host, port = listener.getsockname()[:2]
    fields = {
        "version": __version__,
        "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "config": source or "flags",
        "probes": len(settings.probes),
    }
    daemon.start()
    logger.info("inference-probe is running", extra={"fields": fields})
    for advice in lint(settings):
        logger.warning(advice)
    reload = reload_worker(daemon.reload)
    while not (received := signals.wait()) & ENDING:
        if signal.SIGHUP in received:
            reload()
    logger.info("stopping: waiting for the probes in flight")
    daemon.stop()
    logger.info("stopped")
    return EXIT_OK
