"""The options of `inference-probe compare`, from its flags."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from probe.cli.command import UsageError, quote_argument
from probe.cli.compare_sides import SideArgument
from probe.cli.flag_values import flag_name, optional, positive
from probe.cli.flags import FlagAdder, add_config_file_flag, add_output_flag
from probe.cli.group_selector import add_selector_flag, read_selector
from probe.cli.prometheus_flags import PROMETHEUS_URL_VARIABLE, add_prometheus_flags
from probe.clock import DAY_SECONDS
from probe.compare.comparison import PERCENTILES, Margins
from probe.compare.prometheus_source import MIN_PART_SECONDS
from probe.config.units import (
    format_duration,
    parse_count,
    parse_duration,
    parse_percentage,
    parse_rate,
)

DEFAULT_REQUESTS = 500
DEFAULT_LAST_SECONDS: float = DAY_SECONDS

# More requests per second need several processes, as in `load`.
MAX_RATE = 100.0

# The margin of each percentile has to be below 100 %.
MAX_MARGIN = 1 / max(multiple for _, _, multiple in PERCENTILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How to compare."""

    sides: tuple[SideArgument, SideArgument]
    margins: Margins
    requests: int
    """Requests of each side, measured now."""
    rate: float | None
    """Requests per second of both sides together. None: derived from their latency."""
    last_seconds: float
    """Duration of the recorded period of a side without one."""
    target_labels: Mapping[str, str]
    """Labels of the scrape targets whose recorded requests are compared."""


def add_compare_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags. Those of the config and the output format have variables in `environ`."""
    parser.add_argument(
        "a",
        metavar="A",
        help="what to compare with: the probe NAME, NAME@version=V, NAME@segment=S, NAME@payload=P,"
        " or the month NAME@2026-10",
    )
    parser.add_argument("b", metavar="B", help="what may be worse")
    parser.add_argument(
        "--margin",
        default="5%",
        help="largest difference of the median latency that does not matter; that of p95 is twice,"
        " and that of p99 four times as large; default %(default)s",
    )
    parser.add_argument(
        "--bad-margin",
        default="1%",
        help="largest difference of the share of bad requests that does not matter; default"
        " %(default)s",
    )
    add_output_flag(FlagAdder(parser, environ))
    now = parser.add_argument_group("measured now")
    now.add_argument("--now", action="store_true", help="send requests")
    now.add_argument("--requests", help=f"requests to each of A and B; default {DEFAULT_REQUESTS}")
    now.add_argument(
        "--rate",
        help="requests per second to A and B together, such as 5/s; default: one at a time, and at"
        " most 10/s",
    )
    now.add_argument(
        "--yes", action="store_true", help="do not ask before requests to another machine"
    )
    add_config_file_flag(FlagAdder(now, environ))
    recorded = parser.add_argument_group("recorded by Prometheus, which --prometheus.url names")
    recorded.add_argument(
        "--last",
        help="period of a side without a month, until now, such as 2h; default"
        f" {format_duration(DEFAULT_LAST_SECONDS)}",
    )
    add_selector_flag(recorded)
    add_prometheus_flags(parser, environ)


def read_options(args: argparse.Namespace, environ: Mapping[str, str]) -> CompareOptions:
    """Return the options in `args`. Raises UsageError.

    `--now` ignores the URL of Prometheus in `environ`.
    """
    margin = positive(args, "margin", parse_percentage, percentage_example="5%")
    bad_margin = positive(args, "bad_margin", parse_percentage, percentage_example="1%")
    if margin >= MAX_MARGIN:
        raise UsageError(
            f"--margin is {MAX_MARGIN:.0%} or more; write less, such as 10%: that of p99 is"
            " four times as large"
        )
    if bad_margin >= 1:
        raise UsageError("--bad-margin is 100% or more; write less, such as 1%")
    sides = SideArgument.parse(args.a), SideArgument.parse(args.b)
    if args.a == args.b:
        raise UsageError(f"A and B are both {quote_argument(args.a)}; name two sides")
    _check_source(args, environ)
    last_seconds = optional(args, "last", parse_duration) or DEFAULT_LAST_SECONDS
    if last_seconds < MIN_PART_SECONDS:
        shortest = format_duration(MIN_PART_SECONDS)
        raise UsageError(f"--last: {args.last} is too short; write at least {shortest}")
    rate = optional(args, "rate", parse_rate)
    if rate and rate > MAX_RATE:
        raise UsageError(
            f"--rate is more than {MAX_RATE:g}/s; write less. `inference-probe load` measures an"
            " endpoint under load"
        )
    return CompareOptions(
        sides=sides,
        margins=Margins(latency=margin, bad_share=bad_margin),
        requests=optional(args, "requests", parse_count) or DEFAULT_REQUESTS,
        rate=rate,
        last_seconds=last_seconds,
        target_labels=read_selector(args),
    )


def _check_source(args: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Raise UsageError unless the flags are those of one source of data."""
    if args.now:
        for name in ("last", "selector"):
            if getattr(args, name):
                raise UsageError(
                    f"{flag_name(name)} is about recorded requests; omit it, or omit --now"
                )
        if args.prometheus_url != environ.get(PROMETHEUS_URL_VARIABLE):
            raise UsageError("--prometheus.url is about recorded requests; omit it, or omit --now")
        return
    if not args.prometheus_url:
        raise UsageError(
            "write --now to send requests to A and B, or --prometheus.url to compare what"
            " Prometheus has recorded"
        )
    for name in ("requests", "rate", "yes"):
        if getattr(args, name):
            raise UsageError(f"{flag_name(name)} is about requests that are sent; add --now")
