"""HTTP client of the commands that talk to the running daemon.

It needs sockets only: with `http.client`, `healthy` would use twice the CPU time. It sends requests
of HTTP/1.0, follows no redirects and uses no proxies of the environment.
"""

import argparse
import binascii
import re
import socket
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from probe.cli.command import EXIT_FAILED, UsageError, printable
from probe.cli.flags import ENVIRONMENT_PREFIX, FlagAdder

if TYPE_CHECKING:
    import ssl

DEFAULT_URL = "http://127.0.0.1:10115"
DEFAULT_PORTS = {"http": 80, "https": 443}

# The variable with the password. There is no flag for it: all users of a machine see arguments.
PASSWORD_VARIABLE = f"{ENVIRONMENT_PREFIX}DAEMON_PASSWORD"

# A larger response is not from the daemon: a result has 2 KiB, and 1,000 probes have 1.5 MB.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
# Status line and headers. The daemon sends less than 1 KiB.
MAX_HEAD_BYTES = 64 * 1024
# Characters of an unexpected response in an error message.
MAX_MESSAGE_CHARS = 2000

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<userinfo>[^/@]*@)?(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]+))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?",
    re.ASCII,
)
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n(?:[^\r\n]*\r\n)*?\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\s*\r\n", re.IGNORECASE)


class DaemonError(Exception):
    """The daemon cannot be reached, or it refuses the request. The message is for users."""


class DaemonResponse(NamedTuple):
    """Status code and body of a response."""

    status: int
    text: str


class DaemonUrl(NamedTuple):
    """The parts of --daemon.url. `path` is a prefix of all paths, without a `/` at its end."""

    text: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """Host and port, as in the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def add_daemon_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> FlagAdder:
    """Add the flags that say where the daemon is, and how to authenticate."""
    flags = FlagAdder(parser, environ)
    flags.add("--daemon.url", "URL of the daemon", default=DEFAULT_URL)
    flags.add("--daemon.ca-file", "CA certificates (PEM) to trust; default those of the system")
    flags.add("--daemon.cert-file", "client certificate (PEM)")
    flags.add("--daemon.key-file", "private key (PEM) of the client certificate")
    flags.add("--daemon.server-name", "name in the daemon's certificate, if not the URL's host")
    flags.add("--daemon.username", "user of the daemon's web config")
    flags.add("--daemon.password-file", f"file with the password; or set {PASSWORD_VARIABLE}")
    return flags


def daemon_error(error: DaemonError) -> int:
    """Print `error` to stderr and return the exit code."""
    print(f"inference-probe: {error}", file=sys.stderr)
    return EXIT_FAILED


class DaemonClient:
    """Sends requests to the daemon that the flags name, each on a new connection."""

    def __init__(self, args: argparse.Namespace, environ: Mapping[str, str]) -> None:
        """Read the flags and the files they name. Raises UsageError."""
        self._url = _parse_url(args.daemon_url)
        self._headers = ["User-Agent: inference-probe", f"Host: {self._url.address}"]
        self._headers += _authorization(args, environ)
        self._server_name = args.daemon_server_name or self._url.host
        self._tls = _ssl_context(args) if self._url.scheme == "https" else None

    def request(self, method: str, path: str, *, timeout_seconds: float) -> str:
        """Return the body of a response with the status 200.

        Raises DaemonError for another status, and if there is no response within the timeout.
        """
        url = self._url
        try:
            response = self._exchange(method, path, time.monotonic() + timeout_seconds)
        except (OSError, ValueError) as error:
            reason = _explain(error, url, timeout_seconds)
            raise DaemonError(f"cannot reach the daemon at {url.text}: {reason}") from None
        if response.status != 200:
            raise DaemonError(_refusal(response, url))
        return response.text

    def _exchange(self, method: str, path: str, deadline: float) -> DaemonResponse:
        """Send a request and return its response.

        `deadline` is on the monotonic clock (seconds). Raises OSError, and ValueError if the
        response is not HTTP or is not complete.
        """
        head = "\r\n".join([f"{method} {self._url.path}{path} HTTP/1.0", *self._headers, "", ""])
        address = (self._url.host, self._url.port)
        with socket.create_connection(address, _seconds_left(deadline)) as plain:
            if not self._tls:
                return _receive(plain, head.encode(), deadline)
            with self._tls.wrap_socket(plain, server_hostname=self._server_name) as secured:
                return _receive(secured, head.encode(), deadline)


def _receive(sock: socket.socket, request: bytes, deadline: float) -> DaemonResponse:
    """Send `request` and return the response, which ends with the connection."""
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
    return DaemonResponse(int(head[1]), body.decode(errors="replace"))


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _refusal(response: DaemonResponse, url: DaemonUrl) -> str:
    """Return what a response with another status than 200 says, and what to do."""
    message = printable(response.text.strip())[:MAX_MESSAGE_CHARS]
    match response.status:
        case 401:
            advice = f"write --daemon.username, and --daemon.password-file or {PASSWORD_VARIABLE}"
            return f"the daemon at {url.text} refuses: {message}; {advice}"
        case 403:
            return f"the daemon at {url.text} refuses: {message}"
        case status if 300 <= status < 400:
            advice = "redirects are not followed; write the final address as --daemon.url"
            return f"{url.text} redirects (status {status}); {advice}"
        case 404:
            return f"{url.text} has no such page (status 404): {message}; is it inference-probe?"
    return message or f"the daemon at {url.text} responds with the status {response.status}"


def _parse_url(text: str) -> DaemonUrl:
    match = _URL.fullmatch(text)
    if not match or not 0 < int(match["port"] or 1) < 65536:
        message = f"not an http or https URL: {text!r}; write one such as {DEFAULT_URL}"
        raise UsageError(f"--daemon.url: {message}")
    if match["userinfo"] is not None:
        raise UsageError(
            "--daemon.url: a URL with a password is visible to other users;"
            f" write --daemon.username, and --daemon.password-file or {PASSWORD_VARIABLE}"
        )
    return DaemonUrl(
        text=text,
        scheme=match["scheme"],
        host=match["ipv6"] or match["host"],
        port=int(match["port"] or DEFAULT_PORTS[match["scheme"]]),
        path=(match["path"] or "").rstrip("/"),
    )


def _authorization(args: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    """Return the header with user and password, or none without a user."""
    password = environ.get(PASSWORD_VARIABLE)
    if args.daemon_password_file:
        # The line end is the editor's.
        password = _read(args.daemon_password_file, "--daemon.password-file").rstrip("\r\n")
    if not args.daemon_username:
        if password is not None:
            raise UsageError("a password needs a user: write --daemon.username")
        return []
    if password is None:
        advice = f"write --daemon.password-file, or set {PASSWORD_VARIABLE}"
        raise UsageError(f"--daemon.username needs a password: {advice}")
    pair = f"{args.daemon_username}:{password}".encode()
    return [f"Authorization: Basic {binascii.b2a_base64(pair, newline=False).decode('ascii')}"]


def _read(path: str, flag: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (pathlib takes 5 ms of CPU)
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{flag}: cannot read {path}: {reason}") from None


def _ssl_context(args: argparse.Namespace) -> "ssl.SSLContext":
    """Return the context for the files of `args`. Raises UsageError that names the flag."""
    import ssl  # noqa: PLC0415  (takes 10 ms of CPU, and http needs none of it)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if args.daemon_ca_file:
        try:
            context.load_verify_locations(cadata=_read(args.daemon_ca_file, "--daemon.ca-file"))
        except (ssl.SSLError, ValueError):
            message = f"no certificates (PEM) in {args.daemon_ca_file}"
            raise UsageError(f"--daemon.ca-file: {message}") from None
    else:
        context.load_default_certs()
    if args.daemon_key_file and not args.daemon_cert_file:
        raise UsageError("--daemon.key-file needs --daemon.cert-file")
    if args.daemon_cert_file:
        files = (args.daemon_cert_file, args.daemon_key_file)
        try:
            context.load_cert_chain(*files, password=str)  # no passphrase
        except (OSError, ValueError) as error:  # SSLError is an OSError
            names = " and ".join(filter(None, files))
            message = f"no certificate with its private key (PEM) in {names}: {_text(error)}"
            raise UsageError(f"--daemon.cert-file: {message}") from None
    return context


def _explain(error: Exception, url: DaemonUrl, timeout_seconds: float) -> str:
    """Return the reason of a failed request in words, and what to try."""
    match error:
        case ConnectionRefusedError():
            return (
                f"connection refused, nothing listens on {url.address};"
                " start it with `inference-probe run`, or name its address with --daemon.url"
            )
        case socket.gaierror():
            return f"the name {url.host} is unknown ({error.strerror}); correct --daemon.url"
        case TimeoutError():
            return f"no response within {timeout_seconds:g} s; is its machine overloaded?"
        case ConnectionError() | ValueError() if url.scheme == "http":
            return f"{_text(error)}; if it uses TLS, write https:// in --daemon.url"
    return _explain_tls(error) if url.scheme == "https" else _text(error)


def _explain_tls(error: Exception) -> str:
    import ssl  # noqa: PLC0415  (already imported for a URL with https)

    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted ({error.verify_message}); name its CA with"
                " --daemon.ca-file, or the name in the certificate with --daemon.server-name"
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "it does not use TLS; write http:// in --daemon.url"
        case ssl.SSLError():
            return (
                f"TLS failed ({error.reason or error}); if it requires a client certificate,"
                " write --daemon.cert-file and --daemon.key-file"
            )
    return _text(error)


def _text(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return printable(reason or str(error) or type(error).__name__)[:MAX_MESSAGE_CHARS]
