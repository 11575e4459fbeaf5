"""Flags of the OTLP receivers: their URLs, and how to authenticate."""

import argparse
from collections.abc import Mapping

from probe.cli.flags import FlagAdder
from probe.cli.server_flags import ServerFlags

METRICS_FLAG = "--otlp.endpoint"
INTERVAL_FLAG = "--otlp.interval"
TRACES_FLAG = "--otlp.traces-endpoint"

OTLP_FLAGS = ServerFlags(
    prefix="otlp", server="the OTLP receiver", default_url="http://collector:4318"
)


def add_otlp_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags."""
    group = parser.add_argument_group("OpenTelemetry, such as its Collector, with OTLP/HTTP")
    flags = FlagAdder(group, environ)
    example = OTLP_FLAGS.default_url
    flags.add(METRICS_FLAG, f"URL to which all metrics are pushed, such as {example}")
    flags.add(INTERVAL_FLAG, "time between two pushes, from 1s to 1m", default="15s")
    flags.add(TRACES_FLAG, f"URL to which traces are exported, such as {example}")
    OTLP_FLAGS.add_to(flags)
    OTLP_FLAGS.add_header_flag(flags)
