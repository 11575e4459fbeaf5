"""`inference-probe once`: run each probe once and print the result."""

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

from probe.cli import waterfall
from probe.cli.command import EXIT_FAILED, EXIT_OK, UsageError, usage_error
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.flags import add_config_flags, add_output_flag
from probe.clock import Clock
from probe.config.errors import ConfigError
from probe.config.tls import TlsError
from probe.daemon.prober_factory import ProberFactory
from probe.result import Result
from probe.serialization import result_json
from probe.threads import ThreadCache

MAX_CONCURRENT_PROBES = 16


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = "Exit code: 0 all probes succeeded, 1 a probe failed, 2 bad usage or config."
    flags = add_config_flags(parser, environ)
    add_output_flag(flags)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these probes")


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the probes that `args` names, or all, and print their results."""
    try:
        probes = _build_probes(load_config(args, environ), args.names, environ)
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return usage_error(error)
    results = run_concurrently(probes)
    if args.output == "json":
        print(json.dumps([result_json(result) for result in results], indent=2))
    else:
        now, encoding = datetime.now(UTC), sys.stdout.encoding
        print(waterfall.render_waterfall(results, now=now, encoding=encoding))
    return EXIT_FAILED if any(result.failure for result in results) else EXIT_OK


def run_concurrently(probes: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run `probes`, at most MAX_CONCURRENT_PROBES at a time, and return their results in order.

    The threads are daemonic, so Ctrl-C does not wait for a probe. A bug in a probe is raised.
    """
    waiting = deque((probe, Future[Result]()) for probe in probes)
    futures = [future for _, future in waiting]

    def work() -> None:
        while True:
            try:
                probe, future = waiting.popleft()
            except IndexError:
                return
            try:
                future.set_result(probe())
            except Exception as bug:  # noqa: BLE001  (future.result() raises it)
                future.set_exception(bug)

    threads = ThreadCache("once")
    try:
        for _ in range(min(MAX_CONCURRENT_PROBES, len(probes))):
            threads.submit(work)
    except RuntimeError:  # the system has no thread left, so this thread runs probes, too
        work()
    return [future.result() for future in futures]


def _build_probes(
    config: LoadedConfig, names: list[str], environ: Mapping[str, str]
) -> list[Callable[[], Result]]:
    known = [probe.name for probe in config.settings.probes]
    unknown = [name for name in names if name not in known]
    if unknown:
        quoted = ", ".join(map(repr, unknown))
        raise UsageError(
            f"no probe {quoted} in {config.name}; there are: {', '.join(known)}"
            " (to use another config: --config.file=FILE)"
        )
    factory = ProberFactory(environ=environ, base=config.base, clock=Clock())
    compiled = factory.build(config.settings, names or known)
    return [compiled[name].prober.run for name in names or known]
