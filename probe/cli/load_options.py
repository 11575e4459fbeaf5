"""The options of `inference-probe load`, from its flags."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from probe.cli.command import UsageError
from probe.cli.flag_values import flag_name, optional, parsed, positive
from probe.cli.flags import ENVIRONMENT_PREFIX, FlagAdder, add_output_flag
from probe.cli.prometheus_flags import add_prometheus_flags
from probe.config.flags import parse_listen_address
from probe.config.units import parse_count, parse_duration, parse_percentage, parse_rate
from probe.load.arrivals import Arrivals
from probe.load.generator import Share
from probe.load.objective import LoadObjective
from probe.load.report import Demand

# Minimum of --max-duration: a step, and the shortest confirmation.
MIN_DURATION_SECONDS = 180.0

# Formats of a script for another load generator.
EXPORT_FORMATS = ("k6", "locust")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What to measure. Rates are requests per second."""

    objectives: tuple[LoadObjective, ...]
    """Of the flag --slo; empty: those of the probe."""
    max_error_ratio: float | None
    first_rate: float | None
    """None: it depends on the latency of single requests."""
    rates: tuple[float, ...]
    """Rates to measure, ascending; empty: search."""
    step_seconds: float | None
    """Duration of each of `rates`; None: as long as the verdict needs."""
    arrivals: Arrivals
    max_rate: float
    max_requests: int | None
    max_tokens: int | None
    max_in_flight: int
    max_seconds: float
    processes: int | None
    """None: `default_processes`."""
    demand: Demand | None
    share: Share | None
    """The part of the rate that this process sends; None: all of it."""
    start: float | None
    """Start of the first step of all shares, or of the run in Prometheus (Unix time)."""
    listen_address: tuple[str, int] | None
    """Where a share serves its metrics."""


def add_load_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags of the load test. Two of them have variables in `environ`."""
    _add_objective_flags(parser, environ)
    _add_rate_flags(parser)
    _add_limit_flags(parser)
    _add_plan_flags(parser)
    _add_share_flags(parser)
    add_prometheus_flags(parser, environ, with_url=False)
    _add_output_flags(parser, environ)


def _add(group: argparse._ArgumentGroup, flag: str, description: str, **options: str) -> None:
    group.add_argument(flag, help=description.replace("%", "%%"), **options)  # type: ignore[arg-type]  # only texts


def _add_objective_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    group = parser.add_argument_group("objectives")
    group.add_argument(
        "--slo",
        action="append",
        help='objective, such as "95%% < 120ms", "95%% time_to_first_token < 250ms" or "99.9%%";'
        " may be given several times; default: the objectives of the probe [INFERENCE_PROBE_SLO]",
    )
    slo = environ.get(f"{ENVIRONMENT_PREFIX}SLO")
    parser.set_defaults(default_slos=[slo] if slo else [])
    _add(group, "--errors", "largest share of failed requests, such as 0.1%")


def _add_rate_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rates")
    _add(
        group,
        "--from",
        "first rate of the search, such as 5/s; default: from the latency of single requests",
        dest="from_rate",
        metavar="RATE",
    )
    _add(group, "--rates", "measure these rates instead, such as 50,100,150,200")
    _add(
        group,
        "--step-duration",
        "duration of each of --rates after its warm-up, such as 60s; default: as needed",
    )
    group.add_argument(
        "--arrivals",
        choices=[str(arrivals) for arrivals in Arrivals],
        default=str(Arrivals.POISSON),
        help="times between requests: random as of many clients, or equal; default %(default)s",
    )


def _add_limit_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    _add(group, "--max-rate", "highest rate; default 1000/s", default="1000/s")
    _add(group, "--max-requests", "number of requests, such as 100k; default: no limit")
    _add(group, "--max-tokens", "number of input and output tokens; default: no limit")
    _add(
        group,
        "--max-in-flight",
        "requests in flight; further ones are not sent, and are bad; default 1000",
        default="1000",
    )
    _add(group, "--max-duration", "duration of the whole test; default 20m", default="20m")
    _add(group, "--processes", "processes that send requests; default: as --max-rate needs")
    group.add_argument(
        "--yes", action="store_true", help="do not ask before a test of another machine"
    )


def _add_plan_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("capacity plan")
    _add(
        group, "--expected", "rate to serve, such as 600/s; the exit code is 1 if it is not reached"
    )
    _add(group, "--headroom", "share of the capacity to keep free; default 20%", default="20%")
    _add(
        group,
        "--utilization",
        "share of the safe rate for each replica; default 100%",
        default="100%",
    )


def _add_share_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several machines")
    _add(group, "--share", "send share I of N, from 0/N, of --rates", metavar="I/N")
    _add(
        group,
        "--start-at",
        "time at which all shares start the first step, such as 2026-11-29T13:00:00Z",
        metavar="TIME",
    )
    _add(
        group,
        "--web.listen-address",
        "HOST:PORT on which a share serves its metrics; default: none",
        dest="web_listen_address",
        metavar="HOST:PORT",
    )
    _add(
        group,
        "--from-prometheus",
        "send nothing, and report the sum of all shares from this Prometheus",
        metavar="URL",
    )


def _add_output_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    group = parser.add_argument_group("output")
    add_output_flag(FlagAdder(group, environ))
    _add(group, "--report", "also write a report with charts to this HTML file", metavar="FILE")
    group.add_argument(
        "--export",
        choices=EXPORT_FORMATS,
        help="print a script for k6 or Locust with --rates, and send nothing",
    )


def read_options(args: argparse.Namespace) -> LoadOptions:
    """Return the options in `args`. Raises UsageError."""
    rates = _rates(args)
    if args.step_duration and not rates:
        raise UsageError("--step-duration needs --rates; a search decides itself")
    if args.export and not rates:
        raise UsageError(
            "--export needs --rates, such as --rates=50,100,150; only this command searches"
        )
    if rates and args.from_rate:
        raise UsageError("--from and --rates cannot be combined; give one of them")
    max_rate = positive(args, "max_rate", parse_rate)
    if rates and rates[-1] > max_rate:
        raise UsageError(
            f"--rates has {rates[-1]:g}/s, and --max-rate is {max_rate:g}/s; raise --max-rate"
        )
    demand = _demand(args)
    if demand and demand.rate > max_rate:
        raise UsageError(
            f"--expected is {demand.rate:g}/s, and --max-rate is {max_rate:g}/s; raise --max-rate"
        )
    first_rate = optional(args, "from_rate", parse_rate)
    if first_rate and first_rate > max_rate:
        raise UsageError(
            f"--from is {first_rate:g}/s, and --max-rate is {max_rate:g}/s; lower --from"
        )
    max_seconds = positive(args, "max_duration", parse_duration)
    if max_seconds < MIN_DURATION_SECONDS:
        raise UsageError("--max-duration is less than 3m; a step and its confirmation need that")
    return LoadOptions(
        objectives=tuple(map(_objective, args.slo or args.default_slos)),
        max_error_ratio=_error_ratio(args),
        first_rate=first_rate,
        rates=rates,
        step_seconds=optional(args, "step_duration", parse_duration),
        arrivals=Arrivals(args.arrivals),
        max_rate=max_rate,
        max_requests=optional(args, "max_requests", parse_count),
        max_tokens=optional(args, "max_tokens", parse_count),
        max_in_flight=positive(args, "max_in_flight", parse_count),
        max_seconds=max_seconds,
        processes=optional(args, "processes", parse_count),
        demand=demand,
        share=_share(args),
        start=parsed(args, "start_at", _parse_time),
        listen_address=parsed(args, "web_listen_address", parse_listen_address),
    )


def _share(args: argparse.Namespace) -> Share | None:
    """Return the share of this process, if it has one. Raises UsageError for other flags."""
    share = parsed(args, "share", _parse_share)
    if share is None:
        if args.start_at and not args.from_prometheus:
            raise UsageError("--start-at needs --share or --from-prometheus")
        if args.web_listen_address:
            raise UsageError("--web.listen-address needs --share; the result has all numbers")
        return None
    if args.from_prometheus or args.export:
        raise UsageError("--share sends requests; omit --from-prometheus and --export")
    for flag in ("rates", "step_duration", "start_at"):
        if not getattr(args, flag):
            raise UsageError(
                f"--share needs {flag_name(flag)}: all shares have the same steps at the same times"
            )
    return share


def _parse_share(text: str) -> Share:
    index, separator, count = text.partition("/")
    if not separator or not index.isdecimal() or not count.isdecimal():
        raise ValueError(f"not a share: {text!r}; write one such as 0/3")
    if int(index) >= int(count):
        last = f"{int(count) - 1}/{count}" if int(count) else "0/1"
        raise ValueError(f"there is no share {text}; the last one is {last}")
    return Share(index=int(index), count=int(count))


def _parse_time(text: str) -> float:
    advice = f"not a time with its zone: {text!r}; write one such as 2026-11-29T13:00:00Z"
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(advice) from None
    if time.tzinfo is None:
        raise ValueError(advice)
    return time.timestamp()


def _objective(slo: str) -> LoadObjective:
    try:
        return LoadObjective.parse(slo)
    except ValueError as error:
        raise UsageError(f"--slo: {error}") from None


def _rates(args: argparse.Namespace) -> tuple[float, ...]:
    if args.rates is None:
        return ()
    try:
        rates = [parse_rate(text.strip()) for text in args.rates.split(",")]
    except ValueError as error:
        raise UsageError(f"--rates: {error}") from None
    if min(rates) <= 0:
        raise UsageError("--rates has a rate of 0; write more")
    return tuple(sorted(set(rates)))


def _demand(args: argparse.Namespace) -> Demand | None:
    rate = optional(args, "expected", parse_rate)
    headroom = parsed(args, "headroom", parse_percentage, percentage_example="20%") or 0.0
    utilization = positive(args, "utilization", parse_percentage)
    if headroom >= 1:
        raise UsageError("--headroom is 100% or more; write less, such as 20%")
    if utilization > 1:
        raise UsageError("--utilization is more than 100%; write at most 100%")
    if rate is None:
        return None
    return Demand(rate=rate, headroom=headroom, utilization=utilization)


def _error_ratio(args: argparse.Namespace) -> float | None:
    ratio = optional(args, "errors", parse_percentage, percentage_example="0.1%")
    if ratio is not None and ratio >= 1:
        raise UsageError("--errors is 100% or more; write less, such as 0.1%")
    return ratio
