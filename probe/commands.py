"""What each command does: from parsed flags to an exit code."""

import argparse
import dataclasses
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from probe import __version__, log, plan
from probe.clock import Clock
from probe.daemon import Daemon, build_probers
from probe.settings.loader import ConfigError, from_flags, load
from probe.settings.schema import Settings
from probe.shipped import shipped
from probe.vocabulary import Phase, Result
from probe.web.report import report
from probe.web.server import listen

logger = logging.getLogger(__name__)

OK, FAILED, BAD_USAGE = 0, 1, 2
MOST_AT_ONCE = 16
"""Probes that `once` runs at the same time."""


class UsageError(Exception):
    """Flags that make no sense together, or name what is not there."""


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    log.configure(args.log_level, args.log_format)
    try:
        settings, source = _settings(args, environ)
        listener = listen(args.web_listen_address)
    except (ConfigError, UsageError, ValueError) as error:
        return _complain(error)
    except OSError as error:
        return _complain(f"cannot listen on {args.web_listen_address}: {error.strerror or error}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    base = source.parent if source else Path()
    daemon = Daemon(settings, listener, environ=environ, base=base, clock=Clock())
    daemon.start()
    host, port = listener.getsockname()[:2]
    fields = {
        "version": __version__,
        "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "config": source or "flags",
        "probes": len(settings.probes),
    }
    logger.info("inference-probe is running", extra={"fields": fields})
    stop.wait()
    logger.info("stopping: waiting for the probes in flight")
    daemon.stop()
    logger.info("stopped")
    return OK


def check(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    path = _config(args)
    try:
        planned = plan.plan(load(path, environ=environ))
    except ConfigError as error:
        if args.output == "json":
            problems = [dataclasses.asdict(problem) for problem in error.problems]
            print(json.dumps({"valid": False, "problems": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return FAILED
    if args.output == "json":
        print(json.dumps(plan.document(planned), indent=2))
    else:
        print(plan.text(planned, str(path)))
    return FAILED if args.strict and planned.advice else OK


def once(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    path = _config(args)
    try:
        runs = _runs(load(path, environ=environ), args.names, path, environ)
    except (ConfigError, UsageError) as error:
        return _complain(error)
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        results = [future.result() for future in [pool.submit(one) for one in runs]]
    if args.output == "json":
        print(json.dumps([report(result) for result in results], indent=2))
    else:
        print("\n".join(_told(result) for result in results))
    return FAILED if any(result.failure for result in results) else OK


def rules(_args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    print(shipped("rules/inference-probe.rules.yml").read_text(), end="")
    return OK


def _settings(args: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Settings, Path | None]:
    """The settings, and the file that they come from, if one."""
    if not args.url:
        for flag in ("name", "slo", "interval", "json"):
            if getattr(args, flag) is not None:
                raise UsageError(f"--{flag} needs --url; in a config file it stands with its probe")
        path = _config(args)
        return load(path, environ=environ), path
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
    local = Path("config/probe.yml")
    return local if local.exists() else shipped("config/probe.yml")


def _runs(
    settings: Settings, names: list[str], path: Path, environ: Mapping[str, str]
) -> list[Callable[[], Result]]:
    probers = build_probers(settings, environ=environ, base=path.parent, clock=Clock())
    unknown = [name for name in names if name not in probers]
    if unknown:
        known = ", ".join(probers)
        raise UsageError(f"no probe {', '.join(map(repr, unknown))} in {path}; there are: {known}")
    return [probers[name].run for name in names or probers]


def _told(result: Result) -> str:
    """A result for people."""
    verdict = f"failed ({result.failure.reason})" if result.failure else "succeeded"
    status = f", status {result.status}" if result.status else ""
    lines = [f"{result.probe}: {verdict} after {result.latency * 1000:.1f} ms{status}"]
    if result.failure:
        lines.append(f"    {result.failure.detail}")
    lines += [
        f"    {phase:<8}{result.phases[phase] * 1000:10.3f} ms"
        for phase in Phase
        if phase in result.phases
    ]
    return "\n".join(lines)


def _complain(error: Exception | str) -> int:
    print(error, file=sys.stderr)
    return BAD_USAGE
