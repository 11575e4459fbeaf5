"""`inference-probe compare`: find out whether a probe, a version or a month is worse."""

import argparse
import json
import sys
from collections.abc import Mapping

from probe.cli.command import (
    EXIT_FAILED,
    EXIT_NOT_ENOUGH_DATA,
    EXIT_OK,
    UsageError,
    usage_error,
)
from probe.cli.compare_now import NoResponses, compare_now
from probe.cli.compare_options import add_compare_flags, read_options
from probe.cli.compare_recorded import compare_recorded
from probe.cli.compare_target import find_target
from probe.cli.prometheus_flags import read_prometheus_server
from probe.clock import Clock
from probe.compare.difference import NOT_WORSE_VERDICTS, Verdict
from probe.compare.output import render_json, render_text
from probe.config.errors import ConfigError, TlsError
from probe.prometheus.client import PrometheusError

_EPILOG = """\
Compares the share of bad requests (Fisher's exact test) and p50, p95 and p99 of the latency of
successes (order statistics), for streams also of the time to first token (TTFT) and of the time per
output token (TPOT). B is worse if a difference is larger than its margin, with a confidence of 95 %
for all of them together (Holm's method). With --now, the requests of A and B are sent in turn, so
that both have the same conditions. From Prometheus, the shares of slower requests are compared at
the bounds of buckets.

Examples:
  inference-probe compare sentiment sentiment-canary --now
  inference-probe compare sentiment sentiment-canary --now --requests=2000 --margin=10%
  inference-probe compare chat@version=1 chat@version=2 --prometheus.url=http://prometheus:9090
  inference-probe compare chat@2026-10 chat@2026-11 --prometheus.url=http://prometheus:9090
Exit code: 0 B is not worse, 1 B is worse, 2 bad usage or config, 3 not enough data."""


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, some of which have variables in `environ`."""
    parser.epilog = _EPILOG
    add_compare_flags(parser, environ)


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Compare the two sides that `args` name, and print the result."""
    try:
        options = read_options(args, environ)
        if args.now:
            target = find_target(args, environ, options)
            comparison = compare_now(target, options, environ, is_allowed=args.yes)
        else:
            server = read_prometheus_server(args, environ)
            comparison = compare_recorded(server, options, now=Clock().unix_seconds())
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return usage_error(error)
    except (NoResponses, PrometheusError) as error:
        print(f"inference-probe: {error}", file=sys.stderr)
        return EXIT_NOT_ENOUGH_DATA
    is_json = args.output == "json"
    print(json.dumps(render_json(comparison), indent=2) if is_json else render_text(comparison))
    if comparison.verdict is Verdict.WORSE:
        return EXIT_FAILED
    return EXIT_OK if comparison.verdict in NOT_WORSE_VERDICTS else EXIT_NOT_ENOUGH_DATA
