"""`inference-probe run`: the daemon."""

import argparse
import gc
import signal
from collections.abc import Mapping

from probe.cli.command import UsageError, usage_error
from probe.cli.config_file import load_config
from probe.cli.flags import add_config_flags
from probe.cli.lean_import import import_daemon
from probe.cli.otlp_flags import add_otlp_flags
from probe.config.child_loader import ChildProcessLoader
from probe.config.errors import ConfigError, TlsError
from probe.daemon import log
from probe.daemon.collection_pause import collection_pause
from probe.malloc import configure_malloc

# Thresholds of the garbage collector: the default ones of both young generations, and a higher one
# for full collections. Each scrape of 5,000 probes would cause one, because it allocates 200,000
# objects for a moment. It would stop all runs for 0.1 to 0.16 s, and find nothing.
GC_THRESHOLDS = (700, 10, 200)


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        'Without a file: inference-probe run --url http://localhost:8080/ --slo "99% < 500ms"'
    )
    flags = add_config_flags(parser, environ)
    flags.add("--web.listen-address", "HOST:PORT to serve on", default=":10115")
    flags.add("--web.config.file", "TLS and users, in the format of exporter-toolkit")
    flags.add(
        "--web.enable-lifecycle",
        "accept the commands reload, pause and resume: POST /-/reload, /-/pause and /-/resume",
        default="false",
        choices=("true", "false"),
        bare_value="true",
    )
    flags.add("--web.runbook-url", "runbook that the pages link to; {probe} is the probe's name")
    flags.add("--web.dashboard-url", "dashboard that the pages link to, with {probe} as above")
    flags.add("--web.prometheus-url", "Prometheus that the pages link to, with {probe} as above")
    flags.add("--log.level", "lowest level that is logged", default="info", choices=log.LEVELS)
    flags.add("--log.format", "format of the log", default="logfmt", choices=log.FORMATS)
    add_otlp_flags(parser, environ)


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the daemon until SIGTERM or SIGINT and return the exit code."""
    # Until the daemon runs there is nothing to reload. By default, the signal ends the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configure_malloc()
    log.configure(args.log_level, args.log_format)
    # To search the objects of the config and the daemon for garbage again and again would take 8 s
    # of CPU with 10,000 probes, 40 % of the start.
    with collection_pause():
        try:
            # The imports of the daemon take as long as those of the child process.
            config = load_config(args, environ, ChildProcessLoader(meanwhile=import_daemon))
            from probe.cli.serve import build_daemon, serve  # noqa: PLC0415

            daemon, listener = build_daemon(args, environ, config)
        # TlsError: the file could be read while the config was validated.
        except (ConfigError, UsageError, TlsError, OSError) as error:
            return usage_error(error)
    gc.set_threshold(*GC_THRESHOLDS)
    return serve(args, config, daemon, listener)
