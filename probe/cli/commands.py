"""What each command does: from parsed flags to an exit code."""

import argparse
import dataclasses
import json
import logging
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

from probe import __version__
from probe.check import output, plan
from probe.check.advice import lint
from probe.cli import prometheus_rule, waterfall
from probe.clock import Clock
from probe.config.loader import ConfigError, from_flags, load
from probe.config.schema import Settings
from probe.config.tls import TlsError
from probe.daemon import log, malloc
from probe.daemon.daemon import Daemon
from probe.daemon.factory import ProberFactory
from probe.daemon.reload import reload_worker
from probe.daemon.signals import ENDING, Signals
from probe.resources import resource_path
from probe.result import Result
from probe.serialization import result_json
from probe.server.config_watch import WebConfig
from probe.server.server import listen
from probe.threads import ThreadCache

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
DEFAULT_CONFIG_PATH = "config/probe.yml"
MAX_CONCURRENT_PROBES = 16
"""Probes that `once` runs at the same time."""


class UsageError(Exception):
    """Flags that make no sense together, or name what is not there."""


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    malloc.configure_malloc()
    log.configure(args.log_level, args.log_format)
    clock = Clock()
    try:
        settings, source = _settings(args, environ)
        web = WebConfig(clock, Path(args.web_config_file) if args.web_config_file else None)
        listener = listen(args.web_listen_address)
    except (ConfigError, UsageError, ValueError) as error:
        return _complain(error)
    except OSError as error:
        return _complain(f"cannot listen on {args.web_listen_address}: {error.strerror or error}")
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
    except (TlsError, OSError) as error:  # of files that were there when the config was read
        return _complain(error)
    host, port = listener.getsockname()[:2]
    fields = {
        "version": __version__,
        "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "config": source or "flags",
        "probes": len(settings.probes),
    }
    logger.info("inference-probe is running", extra={"fields": fields})
    for advice in lint(settings):
        logger.warning(advice)
    daemon.start()
    reload = reload_worker(daemon.reload)
    while not (told := signals.wait()) & ENDING:
        if signal.SIGHUP in told:
            reload()
    logger.info("stopping: waiting for the probes in flight")
    daemon.stop()
    logger.info("stopped")
    return EXIT_OK


def check(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        settings, source = _settings(args, environ)
        planned = plan.plan(settings)
    except UsageError as error:
        return _complain(error)
    except ConfigError as error:
        if args.output == "json":
            problems = [dataclasses.asdict(problem) for problem in error.problems]
            print(json.dumps({"valid": False, "problems": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return EXIT_FAILED
    if args.output == "json":
        print(json.dumps(output.render_json(planned), indent=2))
    else:
        print(output.render_text(planned, str(source or "the config of these flags")))
    return EXIT_FAILED if args.strict and planned.advice else EXIT_OK


def once(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        settings, source = _settings(args, environ)
        runs = _runs(settings, args.names, source, environ)
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return _complain(error)
    results = _results(runs)
    if args.output == "json":
        print(json.dumps([result_json(result) for result in results], indent=2))
    else:
        print(
            waterfall.render_waterfall(results, now=datetime.now(UTC), encoding=sys.stdout.encoding)
        )
    return EXIT_FAILED if any(result.failure for result in results) else EXIT_OK


def _results(runs: Sequence[Callable[[], Result]]) -> list[Result]:
    """The results, in order. On threads that Ctrl-C leaves behind: it does not wait for a probe."""
    waiting = deque((run, Future[Result]()) for run in runs)
    futures = [future for _, future in waiting]

    def work() -> None:
        while True:
            try:
                run, future = waiting.popleft()
            except IndexError:
                return
            try:
                future.set_result(run())
            except Exception as bug:  # noqa: BLE001  (who waits for it raises it)
                future.set_exception(bug)

    workers = ThreadCache("once")
    for _ in range(min(MAX_CONCURRENT_PROBES, len(runs))):
        workers.submit(work)
    return [future.result() for future in futures]


def rules(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    try:
        text = _rules(args)
    except (UsageError, ValueError) as error:
        return _complain(error)
    print(text, end="")
    return EXIT_OK


def _rules(args: argparse.Namespace) -> str:
    text = resource_path("rules/inference-probe.rules.yml").read_text()
    if args.format == "kubernetes":
        labels = prometheus_rule.read_labels(args.label) if args.label else {}
        return prometheus_rule.render(text, namespace=args.namespace, labels=labels)
    for flag in ("label", "namespace"):
        if getattr(args, flag) is not None:
            raise UsageError(
                f"--{flag} needs --format=kubernetes: it is for the resource, not for the rules; "
                "to label all alerts, set external_labels in prometheus.yml"
            )
    return text


def _settings(args: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Settings, Path | None]:
    """The settings, and the file that they come from, if one."""
    if not args.url:
        for flag in ("name", "slo", "interval", "json"):
            if getattr(args, flag) is not None:
                raise UsageError(f"--{flag} needs --url; in a config file it stands with its probe")
        path = _config(args)
        settings = load(path, environ=environ)
        if path == resource_path(DEFAULT_CONFIG_PATH):
            logger.warning("no config was given: this is the packaged example")
        return settings, path
    if args.config_file:
        raise UsageError(f"--url beside the config {args.config_file}: write one of the two")
    return from_flags(
        url=args.url,
        slo=args.slo,
        interval=args.interval,
        json=args.json,
        name=args.name,
        environ=environ,
    ), None


def _config(args: argparse.Namespace) -> Path:
    """The flag's or variable's file, else the one of the working directory, else the packaged."""
    if args.config_file:
        return Path(args.config_file)
    local = Path(DEFAULT_CONFIG_PATH)
    return local if local.exists() else resource_path(DEFAULT_CONFIG_PATH)


def _runs(
    settings: Settings, names: list[str], source: Path | None, environ: Mapping[str, str]
) -> list[Callable[[], Result]]:
    known = [probe.name for probe in settings.probes]
    unknown = [name for name in names if name not in known]
    if unknown:
        said = f"no probe {', '.join(map(repr, unknown))} in {source or 'the flags'}"
        raise UsageError(f"{said}; there are: {', '.join(known)} (a file is --config.file=FILE)")
    base = source.parent if source else Path()
    workshop = ProberFactory(environ=environ, base=base, clock=Clock())
    made = workshop.make(settings, names or known)
    return [made[name].run for name in names or known]


def _complain(error: Exception | str) -> int:
    print(error, file=sys.stderr)
    return EXIT_USAGE
