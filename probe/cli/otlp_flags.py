"""Flags of the OTLP receivers: their URLs, and how to authenticate."""

import argparse
from collections.abc import Mapping

from probe.cli.flags import FlagAdder
from probe.cli.server_flags import ServerFlags
from probe.otlp.receiver import OtlpReceiver

TRACES_FLAG = "--otlp.traces-endpoint"
TRACES_PATH = "/v1/traces"

OTLP_FLAGS = ServerFlags(
    prefix="otlp", server="the OTLP receiver", default_url="http://collector:4318"
)


def add_otlp_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags."""
    group = parser.add_argument_group("OpenTelemetry, such as its Collector, with OTLP/HTTP")
    flags = FlagAdder(group, environ)
    flags.add(TRACES_FLAG, f"URL to which traces are exported, such as {OTLP_FLAGS.default_url}")
    OTLP_FLAGS.add_to(flags)
    OTLP_FLAGS.add_header_flag(flags)


def read_traces_receiver(
    args: argparse.Namespace, environ: Mapping[str, str]
) -> OtlpReceiver | None:
    """Return the receiver of traces; None if there is none. Raises UsageError."""
    return _receiver(args, environ, args.otlp_traces_endpoint, TRACES_FLAG, TRACES_PATH)


def _receiver(
    args: argparse.Namespace, environ: Mapping[str, str], text: str | None, flag: str, path: str
) -> OtlpReceiver | None:
    """Return the receiver at the URL `text` of `flag`. OTLP defines `path`, which is added."""
    if text is None:
        return None
    url = OTLP_FLAGS.parse_url(text, flag)
    return OtlpReceiver(
        url=f"{url.text.rstrip('/').removesuffix(path)}{path}",
        authorization=OTLP_FLAGS.basic_credentials(args, environ),
        headers=OTLP_FLAGS.headers(args),
        tls=OTLP_FLAGS.ssl_context(args) if url.scheme == "https" else None,
        server_name=args.otlp_server_name,
    )
