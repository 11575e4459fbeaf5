"""The options of `inference-probe compare`, from its flags."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from probe.cli.command import UsageError
from probe.cli.flag_values import optional, positive
from probe.cli.flags import FlagAdder, add_config_file_flag, add_output_flag
from probe.compare.comparison import PERCENTILES, Margins
from probe.config.units import parse_count, parse_percentage, parse_rate

# For more requests per second, several processes are needed, as `load` has them.
MAX_RATE = 100.0

# Multiples of the margin have to be below 100 %.
MAX_MARGIN = 1 / max(multiple for _, _, multiple in PERCENTILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How to compare."""

    requests: int
    """Requests of each side."""
    rate: float | None
    """Requests per second of both sides together. None: as their latency permits."""
    margins: Margins


def add_compare_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags. Those of the config and the output format have variables in `environ`."""
    parser.add_argument("a", metavar="A", help="the probe to compare with, such as sentiment")
    parser.add_argument("b", metavar="B", help="the probe that may be worse")
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
    now.add_argument(
        "--requests", default="500", help="requests to each of A and B; default %(default)s"
    )
    now.add_argument(
        "--rate",
        help="requests per second to A and B together, such as 5/s; default: one at a time, and at"
        " most 10/s",
    )
    now.add_argument(
        "--yes", action="store_true", help="do not ask before requests to another machine"
    )
    add_config_file_flag(FlagAdder(now, environ))


def read_options(args: argparse.Namespace) -> CompareOptions:
    """Return the options in `args`. Raises UsageError."""
    margin = positive(args, "margin", parse_percentage, example="5%")
    bad_margin = positive(args, "bad_margin", parse_percentage, example="1%")
    if margin >= MAX_MARGIN:
        raise UsageError(
            f"--margin is {MAX_MARGIN:.0%} or more; write less, such as 10%: that of p99 is"
            " four times as large"
        )
    if bad_margin >= 1:
        raise UsageError("--bad-margin is 100% or more; write less, such as 1%")
    rate = optional(args, "rate", parse_rate)
    if rate and rate > MAX_RATE:
        raise UsageError(
            f"--rate is more than {MAX_RATE:g}/s; write less. `inference-probe load` measures an"
            " endpoint under load"
        )
    return CompareOptions(
        requests=positive(args, "requests", parse_count),
        rate=rate,
        margins=Margins(latency=margin, bad_share=bad_margin),
    )
