"""Flags of the commands that read from Prometheus: its URL, TLS files, credentials and headers."""

import argparse
import re
from collections.abc import Mapping

from probe.cli.command import UsageError
from probe.cli.flags import ENVIRONMENT_PREFIX, FlagAdder
from probe.cli.server_flags import ServerFlags
from probe.remote_server import RemoteServer

PROMETHEUS_FLAGS = ServerFlags(
    prefix="prometheus", server="Prometheus", default_url="http://prometheus:9090"
)

# The variable with the default of `--prometheus.url`.
PROMETHEUS_URL_VARIABLE = f"{ENVIRONMENT_PREFIX}PROMETHEUS_URL"

# The variable with the bearer token. There is no flag for it: all users of a machine see arguments.
TOKEN_VARIABLE = f"{ENVIRONMENT_PREFIX}PROMETHEUS_BEARER_TOKEN"


def add_prometheus_flags(
    parser: argparse.ArgumentParser, environ: Mapping[str, str], *, with_url: bool = True
) -> None:
    """Add the flags, with `--prometheus.url` only if no other flag has the URL."""
    group = parser.add_argument_group("Prometheus, or a server with its API, such as Mimir")
    flags = FlagAdder(group, environ)
    if with_url:
        flags.add("--prometheus.url", "URL of the server, such as http://prometheus:9090")
    PROMETHEUS_FLAGS.add_to(flags)
    flags.add(
        "--prometheus.bearer-token-file", f"file with a bearer token; or set {TOKEN_VARIABLE}"
    )
    PROMETHEUS_FLAGS.add_header_flag(flags)


def read_prometheus_server(
    args: argparse.Namespace, environ: Mapping[str, str], *, url_flag: str = "--prometheus.url"
) -> RemoteServer:
    """Return the server that `args` describe. `url_flag` has its URL. Raises UsageError."""
    text = getattr(args, url_flag.removeprefix("--").replace(".", "_").replace("-", "_"))
    if text is None:
        raise UsageError(f"write {url_flag}, such as {url_flag}={PROMETHEUS_FLAGS.default_url}")
    url = PROMETHEUS_FLAGS.parse_url(text, url_flag)
    return RemoteServer(
        url=url.text.rstrip("/"),
        authorization=_authorization(args, environ),
        headers=PROMETHEUS_FLAGS.headers(args),
        tls=PROMETHEUS_FLAGS.ssl_context(args) if url.scheme == "https" else None,
        server_name=args.prometheus_server_name,
    )


def _authorization(args: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    credentials = PROMETHEUS_FLAGS.basic_credentials(args, environ)
    token = environ.get(TOKEN_VARIABLE)
    if args.prometheus_bearer_token_file:
        token = PROMETHEUS_FLAGS.read_secret(args, "bearer-token-file", "bearer token")
    if token is None:
        return credentials
    if credentials:
        raise UsageError("Prometheus has either a user or a bearer token; remove one of them")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UsageError(
            "the bearer token is empty, or has blanks or characters other than ASCII; write the"
            " token only"
        )
    return f"Bearer {token}"
