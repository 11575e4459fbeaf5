"""Opens connections: name lookup, connect, proxy and TLS, each timed as a phase."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, unquote

from urllib3.util.ssltransport import SSL_BLOCKSIZE, SSLTransport

from probe.http.certificate_expiry import CertificateExpiries
from probe.http.errors import (
    AddressDenied,
    ProxyError,
    ResponseError,
    describe_error,
    is_unreachable,
)
from probe.http.network_policy import NetworkPolicy
from probe.http.resolver import Address, Resolver
from probe.http.response_reader import (
    RECEIVE_BYTES,
    ResponseReader,
    Stream,
    early_response_error,
)
from probe.http.stopwatch import Stopwatch, Timestamp
from probe.http.timed_socket import NON_BLOCKING_STREAM, TimedSocket
from probe.result import Phase

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Connection:
    """A connection to a server: the stream to read and write, and the timed socket under it."""

    stream: Stream
    sock: TimedSocket
    certificate_not_after: float | None = None

    def is_usable(self) -> bool:
        """Return True if the server has neither closed the idle connection nor sent anything."""
        return not (self._has_unread_tls_data() or self.sock.has_input())

    def require_no_response(self) -> None:
        """Raise EarlyResponse or NotHttp if the server has sent data before the request.

        A TLS server may send session tickets before the first request. They are processed here.
        """
        has_input = self.sock.has_input()
        data = b""
        if isinstance(self.stream, SSLTransport):
            if has_input:
                self.stream.incoming.write(self.sock.recv(SSL_BLOCKSIZE))
            if self._has_unread_tls_data():
                data = _read_content(self.stream)
        elif has_input:  # or the end of the connection
            data = socket.socket.recv(self.sock, RECEIVE_BYTES, socket.MSG_PEEK)
        if data:
            raise early_response_error(data)

    def _has_unread_tls_data(self) -> bool:
        """Return True if TLS records were received and not completely read."""
        stream = self.stream
        return isinstance(stream, SSLTransport) and bool(
            stream.incoming.pending or stream.sslobj.pending()
        )

    def close(self) -> None:
        self.sock.close()


def _read_content(stream: SSLTransport) -> bytes:
    """Return the content of the TLS records that were received; empty for session tickets."""
    try:
        return stream.sslobj.read(RECEIVE_BYTES)
    except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
        return b""


class SslContextFactory(Protocol):
    """Returns the context for the configured host (`same_host`), or for the target of a redirect.

    Only the context for the configured host has the client certificate.
    """

    def __call__(self, *, same_host: bool) -> ssl.SSLContext: ...


class Dialer:
    """Opens the connections of one probe."""

    def __init__(
        self,
        resolver: Resolver,
        policy: NetworkPolicy,
        *,
        ssl_context: SslContextFactory,
        server_name: str | None = None,
        family: int = socket.AF_UNSPEC,
    ) -> None:
        """Only the certificate of the configured host is checked against `server_name`.

        Other certificates are checked against the host of the URL.
        """
        self._resolver = resolver
        self._policy = policy
        self._ssl_context = ssl_context
        self._server_name = server_name
        self._family = family
        self._expiries = CertificateExpiries()

    def dial(
        self,
        url: SplitResult,
        stopwatch: Stopwatch,
        proxy: SplitResult | None = None,
        *,
        same_host: bool = True,
    ) -> Connection:
        """Connect to the server of `url`; `same_host` if it is the configured host.

        Raises OSError, TimeoutError and ProbeError.
        """
        if proxy is None:
            sock = self._connect(host_port(url), stopwatch)
        else:
            sock = self._connect_via_proxy(proxy, url, stopwatch)
        try:
            if url.scheme == "https":
                return self._start_tls(url, sock, same_host=same_host)
            return Connection(sock, sock)
        except BaseException:
            sock.close()
            raise

    def _connect(self, host_port: tuple[str, int], stopwatch: Stopwatch) -> TimedSocket:
        # One lookup: the addresses that the policy allows are the ones that are connected to.
        addresses = self._allowed(self._resolver.resolve(*host_port, self._family, stopwatch))
        sock, connected = _connect_first(addresses, stopwatch)
        stopwatch.end_phase(connected)
        return sock

    def _allowed(self, addresses: Sequence[Address]) -> list[Address]:
        """Return the addresses that the policy allows; raise AddressDenied if it denies all."""
        allowed = [address for address in addresses if self._policy.allows(address.host)]
        if addresses and not allowed:
            denied = ", ".join(sorted({address.host for address in addresses}))
            raise AddressDenied(f"the `networks` of the config do not permit {denied}")
        return allowed

    def _connect_via_proxy(
        self, proxy: SplitResult, url: SplitResult, stopwatch: Stopwatch
    ) -> TimedSocket:
        """Connect to `proxy`; for https, open a tunnel, which is part of the phase `connect`."""
        # The proxy resolves names, and no policy applies to their addresses here. An IP address in
        # the URL is checked here, also with a trailing dot, because proxies remove it.
        host, port = host_port(url)
        self._allowed(self._resolver.parse_address(host.rstrip("."), port, socket.AF_UNSPEC))
        try:
            sock = self._connect(host_port(proxy), stopwatch)
        except OSError as error:
            if not (isinstance(error, (ConnectionError, socket.gaierror)) or is_unreachable(error)):
                raise
            reason = describe_error(error)
            raise ProxyError(f"the proxy {proxy.hostname} cannot be reached: {reason}") from error
        if url.scheme != "https":
            return sock
        try:
            stopwatch.start_phase(Phase.CONNECT)
            _open_tunnel(sock, proxy, host_port(url))
            stopwatch.end_phase()
        except (ConnectionError, ResponseError) as error:
            sock.close()
            raise ProxyError(
                f"the proxy {proxy.hostname} closed the tunnel or sent an invalid response: {error}"
            ) from error
        except BaseException:
            sock.close()
            raise
        return sock

    def _start_tls(self, url: SplitResult, sock: TimedSocket, *, same_host: bool) -> Connection:
        context, stopwatch = self._ssl_context(same_host=same_host), sock.stopwatch
        name = (same_host and self._server_name) or url.hostname
        stopwatch.start_phase(Phase.TLS)
        sock.first_sent = None
        # TLS over memory buffers, not over the file descriptor: its bytes pass the timed socket.
        sock.stamps_all_sends = False
        stream = SSLTransport(sock, context, name)
        sock.stamps_all_sends = True
        # From the first byte sent to the last one received: the phase excludes the client's own
        # computation before and after.
        if sock.first_sent:
            stopwatch.start_later(sock.first_sent.kernel)
        stopwatch.end_phase(sock.last_received)
        expiry = self._expiries.find(stream, same_host=same_host)
        return Connection(stream, sock, expiry)  # type: ignore[arg-type]  # urllib3's unions


def host_port(url: SplitResult) -> tuple[str, int]:
    """Return host and port, the default port if the URL has none."""
    return url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]


def authority(url: SplitResult) -> str:
    """Return host and port as in the Host header."""
    host = _format_host(url.hostname or "")
    return host if url.port in (None, DEFAULT_PORTS[url.scheme]) else f"{host}:{url.port}"


def _format_host(host: str) -> str:
    """Return `host` as in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _connect_first(addresses: list[Address], stopwatch: Stopwatch) -> tuple[TimedSocket, Timestamp]:
    """Connect to the first address that accepts, tried in order.

    Each attempt gets an equal share of the time that is left. So an address that drops packets
    leaves time for the others.
    """
    errors: list[OSError] = []
    for count, address in enumerate(addresses):
        try:
            return _connect_address(address, stopwatch, share=1 / (len(addresses) - count))
        except OSError as error:
            errors.append(error)
    try:
        raise min(reversed(errors), key=_error_rank)
    finally:
        # error -> traceback -> this frame -> errors -> error would be a reference cycle.
        errors.clear()


def _error_rank(error: OSError) -> int:
    """Return the rank of an error: 0 tells most about the server, 2 least.

    If one address refuses and another has no route, the server is down: report the refusal.
    """
    if isinstance(error, (ConnectionError, TimeoutError)):
        return 0
    return 1 if is_unreachable(error) else 2


def _connect_address(
    address: Address, stopwatch: Stopwatch, *, share: float
) -> tuple[TimedSocket, Timestamp]:
    """Connect within a `share` (0 to 1) of the time that is left."""
    stopwatch.start_phase(Phase.CONNECT)
    sock = TimedSocket(address.family, NON_BLOCKING_STREAM)
    sock.stopwatch = stopwatch
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, sock.connect_within(address.sockaddr, share)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and _error_rank(error) < 2:
            error.filename = f"{_format_host(address.host)}:{address.sockaddr[1]}"
        raise


def proxy_authorization(proxy: SplitResult) -> str | None:
    """Return the value of Proxy-Authorization for user and password of the URL, None without."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def _open_tunnel(sock: TimedSocket, proxy: SplitResult, host_port: tuple[str, int]) -> None:
    """Request a tunnel to `host_port` from the proxy (RFC 9110, 9.3.6)."""
    host, port = host_port
    target = f"{_format_host(host)}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    credentials = proxy_authorization(proxy)
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    response = ResponseReader(sock, sock, stopwatch=None).read_head("CONNECT")
    if not 200 <= response.status < 300:
        raise ProxyError(f"the proxy answered the request for a tunnel with {response.status}")
