"""`inference-probe once`: run each probe once and print the result."""

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TypeVar
from urllib.parse import urlsplit

from requests.utils import should_bypass_proxies

from probe.cli import waterfall
from probe.cli.command import EXIT_FAILED, EXIT_OK, UsageError, quote_argument, usage_error
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.flags import add_config_flags, add_output_flag
from probe.clock import Clock
from probe.config import loader
from probe.config.errors import ConfigError, TlsError
from probe.config.settings import Settings
from probe.daemon.prober_factory import ProberFactory
from probe.result import Result
from probe.serialization import result_json
from probe.threads import ThreadCache

T = TypeVar("T")

MAX_CONCURRENT_PROBES = 16


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = (
        "For a failure, the beginning of the response's body is shown. Secrets are masked.\n"
        "Examples:\n"
        "  inference-probe once\n"
        "  inference-probe once sentiment --config.file=probe.yml\n"
        "  inference-probe once --url=http://localhost:8080/ --slo='99% < 500ms'\n"
        "Exit code: 0 all probes succeeded, 1 a probe failed, 2 bad usage or config.\n"
        "A missed objective does not change it: one request does not decide an objective."
    )
    flags = add_config_flags(parser, environ)
    add_output_flag(flags)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these probes")


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the probes that `args` names, or all, and print their results."""
    try:
        config = load_config(args, environ, loader)
        probes = _build_probes(config, args.names, environ)
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return usage_error(error)
    for note in unused_proxies(config.settings, args.names, environ):
        print(note, file=sys.stderr)
    results = list(chain.from_iterable(run_concurrently(probes)))
    if args.output == "json":
        print(json.dumps([result_json(result) for result in results], indent=2))
    else:
        now, encoding = datetime.now(UTC), sys.stdout.encoding
        objectives = {probe.name: probe.objectives for probe in config.settings.probes}
        print(
            waterfall.render_waterfall(
                results,
                objectives=objectives,
                now=now,
                encoding=encoding,
                tracing=config.settings.tracing,
            )
        )
    return EXIT_FAILED if any(result.failure for result in results) else EXIT_OK


def run_concurrently(probes: Sequence[Callable[[], T]]) -> list[T]:
    """Run `probes`, at most MAX_CONCURRENT_PROBES at a time, and return their results in order.

    The threads are daemonic, so Ctrl-C does not wait for a probe. A bug in a probe is raised.
    """
    waiting = deque((probe, Future[T]()) for probe in probes)
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


def unused_proxies(
    settings: Settings, names: Sequence[str], environ: Mapping[str, str]
) -> Iterator[str]:
    """Yield a note for each variable of a proxy that other clients would use, and probes do not.

    `names` are the probes that run; empty: all probes.
    """
    unused: dict[str, str] = {}
    for probe in settings.probes:
        if not probe.proxy and probe.name in (names or [probe.name]):
            for name in _proxy_variables(probe.url.source, environ):
                if environ.get(name):
                    unused.setdefault(name, probe.name)
    for name, probe_name in unused.items():
        yield f"{name} is set but not used; to use it, write proxy: in the probe {probe_name}"


def _proxy_variables(url: str, environ: Mapping[str, str]) -> list[str]:
    """Return the variables with the proxy of a URL, which may have references (`${env:NAME}`)."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if "${" in url:
        schemes = ["http", "https"]
    elif should_bypass_proxies(url, no_proxy=no_proxy):
        return []
    else:
        schemes = [urlsplit(url).scheme]
    variables = [f"{scheme}_proxy" for scheme in (*schemes, "all")]
    return [name for variable in variables for name in (variable.upper(), variable)]


def _build_probes(
    config: LoadedConfig, names: list[str], environ: Mapping[str, str]
) -> list[Callable[[], list[Result]]]:
    """Return a function for each probe that sends its request, or each of its payloads."""
    known = [probe.name for probe in config.settings.probes]
    unknown = [name for name in names if name not in known]
    if unknown:
        quoted = ", ".join(map(quote_argument, unknown))
        is_url = any("://" in name for name in unknown)
        advice = "probe a URL: --url=URL" if is_url else "use another config: --config.file=FILE"
        raise UsageError(
            f"no probe {quoted} in {config.name}; there are: {', '.join(known)} (to {advice})"
        )
    clock = Clock()
    factory = ProberFactory(environ=environ, base=config.base, clock=clock)
    compiled = factory.build(config.settings, names or known)
    return [partial(compiled[name].run_payloads, clock) for name in names or known]
