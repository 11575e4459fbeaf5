"""HTTP client of the commands that talk to the running daemon.

Uses plain sockets: importing `http.client` would double the CPU time of `healthy`. It sends
requests of HTTP/1.0, follows no redirects and uses no proxies of the environment.
"""

import argparse
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from probe.cli.command import EXIT_FAILED, printable
from probe.cli.daemon_flags import DAEMON_FLAGS
from probe.cli.server_flags import ServerUrl

# A larger response is not from the daemon: a result has 2 KiB, and 1,000 probes have 1.5 MB.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
# Status line and headers. The daemon sends less than 1 KiB.
MAX_HEAD_BYTES = 64 * 1024
# Characters of an error page in an error message, unless it is the daemon's.
MAX_MESSAGE_CHARS = 2000

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n(?:[^\r\n]*\r\n)*?\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\s*\r\n", re.IGNORECASE)
_PLAIN_TEXT = re.compile(rb"\r\ncontent-type:\s*text/plain\b", re.IGNORECASE)


class DaemonError(Exception):
    """The daemon cannot be reached, or it refuses the request. The message is for users."""


class NotFoundError(DaemonError):
    """The daemon has no such page, or it is another server."""


class DaemonResponse(NamedTuple):
    """Status code and body of a response, and whether the body is plain text."""

    status: int
    text: str
    is_plain_text: bool


def daemon_error(error: DaemonError) -> int:
    """Print `error` to stderr and return the exit code."""
    print(f"inference-probe: {error}", file=sys.stderr)
    return EXIT_FAILED


class DaemonClient:
    """Sends requests to the daemon that the flags name, each on a new connection."""

    def __init__(self, args: argparse.Namespace, environ: Mapping[str, str]) -> None:
        """Read the flags and the files they name. Raises UsageError."""
        self._url = DAEMON_FLAGS.parse_url(args.daemon_url)
        credentials = DAEMON_FLAGS.basic_credentials(args, environ)
        self._authorization = credentials and f"Authorization: {credentials}"
        self._server_name = args.daemon_server_name or self._url.host
        self._tls = DAEMON_FLAGS.ssl_context(args) if self._url.scheme == "https" else None

    def request(self, method: str, path: str, *, timeout_seconds: float) -> str:
        """Return the body of a response with the status 200.

        Raises NotFoundError for the status 404, and DaemonError for another status, and if there is
        no response within the timeout.
        """
        url = self._url
        try:
            response = self._exchange(method, path, time.monotonic() + timeout_seconds)
        except (OSError, ValueError) as error:
            reason = _explain(error, url, timeout_seconds)
            raise DaemonError(f"cannot reach the daemon at {url.text}: {reason}") from None
        if response.status == 404:
            message = f"has no such page (status 404): {_shortened(response.text)}"
            raise NotFoundError(f"{url.text} {message}; is it inference-probe?")
        if response.status != 200:
            has_user = self._authorization is not None
            raise DaemonError(_status_error(response, url, has_user=has_user))
        return response.text

    def _exchange(self, method: str, path: str, deadline: float) -> DaemonResponse:
        """Send a request and return its response.

        `deadline` is on the monotonic clock (seconds). Raises OSError, and ValueError if the
        response is not HTTP or is not complete.
        """
        lines = [f"{method} {self._url.path}{path} HTTP/1.0", f"Host: {self._url.address}"]
        lines += ["User-Agent: inference-probe", *filter(None, [self._authorization])]
        request = "\r\n".join([*lines, "", ""]).encode()
        with _connect(self._url, deadline) as plain:
            plain.settimeout(_seconds_left(deadline))
            if not self._tls:
                return _receive(plain, request, deadline)
            with self._tls.wrap_socket(plain, server_hostname=self._server_name) as secured:
                return _receive(secured, request, deadline)


def _connect(url: ServerUrl, deadline: float) -> socket.socket:
    """Return a connection to the first address of the host that accepts one.

    Each attempt has an equal share of the time that is left. Raises OSError, that of the last
    address.
    """
    addresses = _look_up(url, deadline)
    for remaining in range(len(addresses), 0, -1):
        family, kind, protocol, _, address = addresses[-remaining]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_seconds_left(deadline) / remaining)
            sock.connect(address)
            return sock
        except OSError:
            sock.close()
            if remaining == 1:
                raise
    raise OSError(f"{url.host} has no address")


def _look_up(url: ServerUrl, deadline: float) -> list[Any]:
    """Return the addresses of the host, as `getaddrinfo` does. Raises OSError and ValueError.

    A thread calls `getaddrinfo`, which has no timeout.
    """
    addresses: list[Any] = []
    errors: list[Exception] = []

    def call() -> None:
        try:
            addresses.extend(socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(_seconds_left(deadline))
    if thread.is_alive():
        raise socket.gaierror(socket.EAI_AGAIN, "timeout")
    if errors:
        raise errors[0]
    return addresses


def _receive(sock: socket.socket, request: bytes, deadline: float) -> DaemonResponse:
    """Send `request` and return the response, which ends with the connection."""
    sock.settimeout(_seconds_left(deadline))
    sock.sendall(request)
    received = bytearray()
    while True:
        sock.settimeout(_seconds_left(deadline))
        data = sock.recv(64 * 1024)
        if not data:
            break
        received += data
        if len(received) > MAX_RESPONSE_BYTES:
            raise ValueError("the response is too large for one of inference-probe")
    head = _HEAD.match(received[:MAX_HEAD_BYTES])
    if not head:
        message = "the connection was closed" if not received else "the response is not HTTP"
        raise ValueError(message)
    body = bytes(received[head.end() :])
    length = _CONTENT_LENGTH.search(head[0])
    if length and len(body) != int(length[1]):
        raise ValueError("the response is not complete")
    is_plain_text = _PLAIN_TEXT.search(head[0]) is not None
    return DaemonResponse(int(head[1]), body.decode(errors="replace"), is_plain_text)


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _status_error(response: DaemonResponse, url: ServerUrl, *, has_user: bool) -> str:
    """Return what a response with another status than 200 and 404 says, and what to do."""
    message = _shortened(response.text)
    match response.status:
        case 401 if not has_user:
            return f"the daemon at {url.text} needs a user: {DAEMON_FLAGS.user_advice}"
        case 401 | 403:
            return f"the daemon at {url.text} refuses: {message}"
        case status if 300 <= status < 400:
            advice = "redirects are not followed; write the final address as --daemon.url"
            return f"{url.text} redirects (status {status}); {advice}"
        case 500 if response.is_plain_text:  # the daemon's list of the mistakes in a config
            message = printable(response.text.strip())
    return message or f"the daemon at {url.text} responds with the status {response.status}"


def _shortened(text: str) -> str:
    """Return the printable beginning of `text`."""
    text = printable(text.strip())
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]} ..."


def _explain(error: Exception, url: ServerUrl, timeout_seconds: float) -> str:
    """Return the reason of a failed request in words, and what to try."""
    match error:
        case ConnectionRefusedError():
            return (
                f"connection refused, nothing listens on {url.address};"
                " start it with `inference-probe run`, or name its address with --daemon.url"
            )
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return f"{url.host} could not be looked up: the name server does not respond"
        case socket.gaierror():
            return f"the name {url.host} is unknown ({error.strerror}); correct --daemon.url"
        case TimeoutError():
            return f"no response within {timeout_seconds:g} s; is its machine overloaded?"
        case ConnectionError() | ValueError() if url.scheme == "http":
            return f"{_error_text(error)}; if it uses TLS, write https:// in --daemon.url"
    return _explain_tls(error) if url.scheme == "https" else _error_text(error)


def _explain_tls(error: Exception) -> str:
    # Already imported for a URL with https. Others do not pay for the imports.
    import ssl  # noqa: PLC0415

    from probe.http.errors import NO_TLS_REASONS  # noqa: PLC0415

    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted ({error.verify_message}); name its CA with"
                " --daemon.ca-file, or the name in the certificate with --daemon.server-name"
            )
        case ssl.SSLError(reason=reason) if reason in NO_TLS_REASONS:
            return "it does not use TLS; write http:// in --daemon.url"
        case ssl.SSLError():
            return (
                f"TLS failed ({error.reason or error}); if it requires a client certificate,"
                " write --daemon.cert-file and --daemon.key-file"
            )
    return _error_text(error)


def _error_text(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return _shortened(reason or str(error) or type(error).__name__)
