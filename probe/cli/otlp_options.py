"""What the flags of the OTLP receivers export.

This is separate from the flags, because the daemon imports it while its config is validated.
"""

import argparse
from collections.abc import Mapping

from probe.cli.command import UsageError
from probe.cli.otlp_flags import INTERVAL_FLAG, METRICS_FLAG, OTLP_FLAGS, TRACES_FLAG
from probe.config.units import parse_duration
from probe.otlp.client import OtlpClient
from probe.otlp.exporters import OtlpOptions
from probe.remote_server import RemoteServer

# Paths that OTLP/HTTP defines. They are added to the URLs.
METRICS_PATH = "/v1/metrics"
TRACES_PATH = "/v1/traces"

# Seconds. The rules need several samples in 2 minutes.
MIN_INTERVAL_SECONDS = 1.0
MAX_INTERVAL_SECONDS = 60.0


def read_otlp_options(args: argparse.Namespace, environ: Mapping[str, str]) -> OtlpOptions:
    """Return what `args` export. Raises UsageError."""
    return OtlpOptions(
        traces=_client(args, environ, args.otlp_traces_endpoint, TRACES_FLAG, TRACES_PATH),
        metrics=_client(args, environ, args.otlp_endpoint, METRICS_FLAG, METRICS_PATH),
        interval_seconds=_interval(args.otlp_interval),
    )


def _interval(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{INTERVAL_FLAG}: {error}") from None
    if not MIN_INTERVAL_SECONDS <= seconds <= MAX_INTERVAL_SECONDS:
        raise UsageError(f"{INTERVAL_FLAG}: {text} is not between 1s and 1m; write 15s")
    return seconds


def _client(
    args: argparse.Namespace, environ: Mapping[str, str], text: str | None, flag: str, path: str
) -> OtlpClient | None:
    """Return the client for the URL `text` of `flag`. OTLP defines `path`, which is added."""
    if text is None:
        return None
    url = OTLP_FLAGS.parse_url(text, flag)
    return OtlpClient(
        RemoteServer(
            url=f"{url.text.rstrip('/').removesuffix(path)}{path}",
            authorization=OTLP_FLAGS.basic_credentials(args, environ),
            headers=OTLP_FLAGS.headers(args),
            tls=OTLP_FLAGS.ssl_context(args) if url.scheme == "https" else None,
            server_name=args.otlp_server_name,
        )
    )
