"""Flags of the commands that talk to the running daemon: its URL, TLS files and user."""

import argparse
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from probe.cli.command import UsageError
from probe.cli.flags import ENVIRONMENT_PREFIX, FlagAdder

if TYPE_CHECKING:
    import ssl

DEFAULT_URL = "http://127.0.0.1:10115"
DEFAULT_PORTS = {"http": 80, "https": 443}

# The variable with the password. There is no flag for it: all users of a machine see arguments.
PASSWORD_VARIABLE = f"{ENVIRONMENT_PREFIX}DAEMON_PASSWORD"

# How to write user and password.
USER_ADVICE = f"write --daemon.username, and --daemon.password-file or {PASSWORD_VARIABLE}"

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<userinfo>[^/@]*@)?(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]+))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?",
    re.ASCII,
)


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


def parse_url(text: str) -> DaemonUrl:
    """Return the parts of --daemon.url. Raises UsageError."""
    match = _URL.fullmatch(text)
    if not match or not 0 < int(match["port"] or 1) < 65536:
        message = f"not an http or https URL; write one such as {DEFAULT_URL}"
        raise UsageError(f"--daemon.url: {message}")
    if match["userinfo"] is not None:
        message = "a URL with a password is visible to other users"
        raise UsageError(f"--daemon.url: {message}; {USER_ADVICE}")
    return DaemonUrl(
        text=text,
        scheme=match["scheme"],
        host=match["ipv6"] or match["host"],
        port=int(match["port"] or DEFAULT_PORTS[match["scheme"]]),
        path=(match["path"] or "").rstrip("/"),
    )


def authorization_header(args: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    """Return the header with user and password; None without a user. Raises UsageError."""
    password = environ.get(PASSWORD_VARIABLE)
    if args.daemon_password_file:
        password = _read_password(args.daemon_password_file)
    if not args.daemon_username:
        if password is not None:
            raise UsageError("a password needs a user: write --daemon.username")
        return None
    if ":" in args.daemon_username:  # the separator of RFC 7617
        raise UsageError("--daemon.username: a user name has no colon; write the user only")
    if password is None:
        advice = f"write --daemon.password-file, or set {PASSWORD_VARIABLE}"
        raise UsageError(f"--daemon.username needs a password: {advice}")
    pair = f"{args.daemon_username}:{password}".encode()
    return f"Authorization: Basic {binascii.b2a_base64(pair, newline=False).decode('ascii')}"


def _read_password(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (pathlib takes 5 ms of CPU)
            return file.read().rstrip("\r\n")  # the line end is the editor's
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        # The argument may be the password itself, so it is not quoted.
        message = f"cannot read the file: {reason}; write the name of a file with the password"
        raise UsageError(f"--daemon.password-file: {message}") from None


def ssl_context(args: argparse.Namespace) -> "ssl.SSLContext":
    """Return the context for the files of `args`. Raises UsageError that names the flag."""
    import ssl  # noqa: PLC0415  (takes 10 ms of CPU, and http needs none of it)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if args.daemon_ca_file:
        _trust_authorities(context, args.daemon_ca_file)
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
            reason = (isinstance(error, OSError) and error.strerror) or error
            message = f"no certificate with its private key (PEM) in {names}: {reason}"
            raise UsageError(f"--daemon.cert-file: {message}") from None
    return context


def _trust_authorities(context: "ssl.SSLContext", path: str) -> None:
    import ssl  # noqa: PLC0415  (already imported)

    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise UsageError(f"--daemon.ca-file: no certificates (PEM) in {path}") from None
    except OSError as error:
        raise UsageError(f"--daemon.ca-file: cannot read {path}: {error.strerror}") from None
