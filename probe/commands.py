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

from probe import __version__, log, memory, plan, plan_report, prometheus_rule, waterfall
from probe.advice import advise
from probe.clock import Clock
from probe.daemon import Daemon
from probe.reload import in_background
from probe.settings.loader import ConfigError, from_flags, load
from probe.settings.schema import Settings
from probe.settings.tls import TlsError
from probe.shipped import shipped
from probe.signals import ENDING, Signals
from probe.vocabulary import Result
from probe.web.report import report
from probe.web.server import listen
from probe.web.webconfig import WebConfig
from probe.workers import Workers
from probe.workshop import Workshop

logger = logging.getLogger(__name__)

OK, FAILED, BAD_USAGE = 0, 1, 2
CONFIG = "config/probe.yml"
MOST_AT_ONCE = 16
"""Probes that `once` runs at the same time."""


class UsageError(Exception):
    """Flags that make no sense together, or name what is not there."""


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    memory.settle()
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
    for advice in advise(settings):
        logger.warning(advice)
    daemon.start()
    reload = in_background(daemon.reload)
    while not (told := signals.wait()) & ENDING:
        if signal.SIGHUP in told:
            reload()
    logger.info("stopping: waiting for the probes in flight")
    daemon.stop()
    logger.info("stopped")
    return OK


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
        return FAILED
    if args.output == "json":
        print(json.dumps(plan_report.document(planned), indent=2))
    else:
        print(plan_report.text(planned, str(source or "the config of these flags")))
    return FAILED if args.strict and planned.advice else OK


def once(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        settings, source = _settings(args, environ)
        runs = _runs(settings, args.names, source, environ)
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return _complain(error)
    results = _results(runs)
    if args.output == "json":
        print(json.dumps([report(result) for result in results], indent=2))
    else:
        print(waterfall.text(results, now=datetime.now(UTC), encoding=sys.stdout.encoding))
    return FAILED if any(result.failure for result in results) else OK


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

    workers = Workers("once")
    for _ in range(min(MOST_AT_ONCE, len(runs))):
        workers.submit(work)
    return [future.result() for future in futures]


def rules(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    try:
        text = _rules(args)
    except (UsageError, ValueError) as error:
        return _complain(error)
    print(text, end="")
    return OK


def _rules(args: argparse.Namespace) -> str:
    text = shipped("rules/inference-probe.rules.yml").read_text()
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
        if path == shipped(CONFIG):
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
    local = Path(CONFIG)
    return local if local.exists() else shipped(CONFIG)


def _runs(
    settings: Settings, names: list[str], source: Path | None, environ: Mapping[str, str]
) -> list[Callable[[], Result]]:
    known = [probe.name for probe in settings.probes]
    unknown = [name for name in names if name not in known]
    if unknown:
        said = f"no probe {', '.join(map(repr, unknown))} in {source or 'the flags'}"
        raise UsageError(f"{said}; there are: {', '.join(known)} (a file is --config.file=FILE)")
    base = source.parent if source else Path()
    workshop = Workshop(environ=environ, base=base, clock=Clock())
    made = workshop.make(settings, names or known)
    return [made[name].run for name in names or known]


def _complain(error: Exception | str) -> int:
    print(error, file=sys.stderr)
    return BAD_USAGE
