"""Flags that say where an HTTP server is and how to connect to it: URL, TLS files and user.

Imports only small modules: `healthy` runs every few seconds.
"""

import argparse
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from probe.cli.command import UsageError
from probe.cli.flags import ENVIRONMENT_PREFIX, FlagAdder

if TYPE_CHECKING:
    import ssl

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<userinfo>[^/@]*@)?(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]+))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?",
    re.ASCII,
)


_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): *([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")


class ServerUrl(NamedTuple):
    """The parts of the URL of a server.

    `path` is a prefix of all paths, without a `/` at its end.
    """

    text: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """Host and port, as in the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ServerFlags(NamedTuple):  # the import of dataclasses takes 5 ms of CPU
    """The flags of one server, which begin with `--PREFIX.`."""

    prefix: str
    server: str
    """What help texts call it, such as "the daemon"."""
    default_url: str

    @property
    def password_variable(self) -> str:
        """The variable with the password.

        There is no flag for it: all users of a machine see arguments.
        """
        return f"{ENVIRONMENT_PREFIX}{self.prefix.upper()}_PASSWORD"

    @property
    def user_advice(self) -> str:
        """How to write user and password."""
        return (
            f"write {self.flag('username')}, and {self.flag('password-file')} or"
            f" {self.password_variable}"
        )

    def flag(self, name: str) -> str:
        return f"--{self.prefix}.{name}"

    def value(self, args: argparse.Namespace, name: str) -> Any:
        """Return the value of the flag `name` in `args`."""
        return getattr(args, f"{self.prefix}_{name.replace('-', '_')}")

    def add_to(self, flags: FlagAdder) -> None:
        """Add all flags but that of the URL."""
        server, variable = self.server, self.password_variable
        for name, description in (
            ("ca-file", "CA certificates (PEM) to trust; default those of the system"),
            ("cert-file", "client certificate (PEM)"),
            ("key-file", "private key (PEM) of the client certificate"),
            ("server-name", f"name in the certificate of {server}, if not the URL's host"),
            ("username", f"user of {server}"),
            ("password-file", f"file with the password; or set {variable}"),
        ):
            flags.add(self.flag(name), description)

    def add_header_flag(self, flags: FlagAdder) -> None:
        """Add the flag of additional headers."""
        flags.add(
            self.flag("header"),
            "additional header, such as 'X-Scope-OrgID: team-a'; may be given several times",
            repeated=True,
        )

    def headers(self, args: argparse.Namespace) -> dict[str, str]:
        """Return the additional headers, which are joined with commas. Raises UsageError."""
        text: str | None = self.value(args, "header")
        headers = {}
        for header in text.split(",") if text else ():
            match = _HEADER.fullmatch(header.strip())
            # The value may be a secret, so it is not quoted.
            if match is None:
                raise UsageError(
                    f"{self.flag('header')}: not a header; write NAME: VALUE without commas, such"
                    " as 'X-Scope-OrgID: team-a'"
                )
            headers[match[1]] = match[2]
        return headers

    def parse_url(self, text: str, flag: str | None = None) -> ServerUrl:
        """Return the parts of the URL in `flag`, by default `--PREFIX.url`. Raises UsageError."""
        flag = flag or self.flag("url")
        match = _URL.fullmatch(text)
        if not match or not 0 < int(match["port"] or 1) < 65536:
            message = f"not an http or https URL; write one such as {self.default_url}"
            raise UsageError(f"{flag}: {message}")
        if match["userinfo"] is not None:
            message = "a URL with a password is visible to other users"
            raise UsageError(f"{flag}: {message}; {self.user_advice}")
        return ServerUrl(
            text=text,
            scheme=match["scheme"],
            host=match["ipv6"] or match["host"],
            port=int(match["port"] or DEFAULT_PORTS[match["scheme"]]),
            path=(match["path"] or "").rstrip("/"),
        )

    def basic_credentials(self, args: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
        """Return user and password as the value of the header `Authorization`; None without a user.

        Raises UsageError.
        """
        password = environ.get(self.password_variable)
        if self.value(args, "password-file"):
            password = self.read_secret(args, "password-file", "password")
        username = self.value(args, "username")
        if not username:
            if password is not None:
                raise UsageError(f"a password needs a user: write {self.flag('username')}")
            return None
        if ":" in username:  # the separator of RFC 7617
            raise UsageError(
                f"{self.flag('username')}: a user name has no colon; write the user only"
            )
        if password is None:
            advice = f"write {self.flag('password-file')}, or set {self.password_variable}"
            raise UsageError(f"{self.flag('username')} needs a password: {advice}")
        pair = f"{username}:{password}".encode()
        return f"Basic {binascii.b2a_base64(pair, newline=False).decode('ascii')}"

    def read_secret(self, args: argparse.Namespace, name: str, secret: str) -> str:
        """Return the content of the file that the flag `name` names. Raises UsageError.

        `secret` is what the file has, such as "password".
        """
        try:
            # pathlib takes 5 ms of CPU
            with open(self.value(args, name), encoding="utf-8") as file:  # noqa: PTH123
                return file.read().rstrip("\r\n")  # the line end is the editor's
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            # The argument may be the secret itself, so it is not quoted.
            message = f"cannot read the file: {reason}; write the name of a file with the {secret}"
            raise UsageError(f"{self.flag(name)}: {message}") from None

    def ssl_context(self, args: argparse.Namespace) -> "ssl.SSLContext":
        """Return the context for the files of `args`. Raises UsageError that names the flag."""
        import ssl  # noqa: PLC0415  (takes 10 ms of CPU, and http needs none of it)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca_file := self.value(args, "ca-file"):
            self._trust_authorities(context, ca_file)
        else:
            context.load_default_certs()
        cert_file, key_file = self.value(args, "cert-file"), self.value(args, "key-file")
        if key_file and not cert_file:
            raise UsageError(f"{self.flag('key-file')} needs {self.flag('cert-file')}")
        if cert_file:
            try:
                context.load_cert_chain(cert_file, key_file, password=str)  # no passphrase
            except (OSError, ValueError) as error:  # SSLError is an OSError
                names = " and ".join(filter(None, (cert_file, key_file)))
                reason = (isinstance(error, OSError) and error.strerror) or error
                message = f"no certificate with its private key (PEM) in {names}: {reason}"
                raise UsageError(f"{self.flag('cert-file')}: {message}") from None
        return context

    def _trust_authorities(self, context: "ssl.SSLContext", path: str) -> None:
        import ssl  # noqa: PLC0415  (already imported)

        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError:
            message = f"no certificates (PEM) in {path}"
            raise UsageError(f"{self.flag('ca-file')}: {message}") from None
        except OSError as error:
            message = f"cannot read {path}: {error.strerror}"
            raise UsageError(f"{self.flag('ca-file')}: {message}") from None
