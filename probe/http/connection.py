"""Opens connections: name, address, proxy, TLS; each under the stopwatch."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import SplitResult, unquote

from urllib3.util.ssltransport import SSLTransport

from probe.http.errors import AddressDenied, ProxyError, is_unreachable
from probe.http.network_policy import NetworkPolicy
from probe.http.resolver import Address, Resolver
from probe.http.response import StrictHTTPResponse
from probe.http.response_reader import ResponseReader, Stream
from probe.http.timed_socket import TimedSocket
from probe.http.timing import Stopwatch, Timestamp
from probe.result import Phase

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Connection:
    """A way to a server: what to read and write, and the timed socket under it."""

    stream: Stream
    timed: TimedSocket
    certificate_not_after: float | None = None

    def is_usable(self) -> bool:
        """Whether the server has neither closed an idle connection nor sent what none asked for."""
        try:
            socket.socket.recv(self.timed, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        self.timed.close()


class Dialer:
    """Opens the connections of one probe."""

    def __init__(
        self,
        resolver: Resolver,
        policy: NetworkPolicy,
        *,
        context: Callable[[bool], ssl.SSLContext],
        server_name: str | None = None,
        family: int = socket.AF_UNSPEC,
    ) -> None:
        """`context` is asked for https, with whether the server is the one of the config: no other
        sees our certificate. Of that one `server_name` is checked in place of the URL's host.
        """
        self._resolver = resolver
        self._policy = policy
        self._context = context
        self._server_name = server_name
        self._family = family

    def dial(
        self,
        url: SplitResult,
        stopwatch: Stopwatch,
        proxy: SplitResult | None = None,
        *,
        same_host: bool = True,
    ) -> Connection:
        """Connect to the server of a URL, which is the one of the config if it is `same_host`.

        Raises OSError, TimeoutError and ProbeErrors.
        """
        if proxy is None:
            timed = self._connect(_host_port(url), stopwatch)
        else:
            timed = self._connect_via_proxy(proxy, url, stopwatch)
        try:
            if url.scheme == "https":
                return self._start_tls(url, timed, same_host=same_host)
            return Connection(timed, timed)
        except BaseException:
            timed.close()
            raise

    def _connect(self, place: tuple[str, int], stopwatch: Stopwatch) -> TimedSocket:
        # looked up once: what was checked is what is connected to
        addresses = self._allowed_addresses(self._resolver.resolve(*place, self._family, stopwatch))
        timed, connected = _connect_first(addresses, stopwatch)
        stopwatch.end_phase(connected)
        return timed

    def _allowed_addresses(self, found: Sequence[Address]) -> list[Address]:
        """Those of the addresses that the policy permits; raises Denied when it permits none."""
        permitted = [address for address in found if self._policy.allows(address.host)]
        if found and not permitted:
            denied = ", ".join(sorted({address.host for address in found}))
            raise AddressDenied(f"the `networks` of the config do not permit {denied}")
        return permitted

    def _connect_via_proxy(
        self, proxy: SplitResult, url: SplitResult, stopwatch: Stopwatch
    ) -> TimedSocket:
        """To a proxy; for https on through a tunnel, which belongs to the phase `connect`."""
        # a name is the proxy's to look up, and to judge; the dot of a full name is none of it
        host, port = _host_port(url)
        self._allowed_addresses(
            self._resolver.parse_address(host.rstrip("."), port, socket.AF_UNSPEC)
        )
        try:
            timed = self._connect(_host_port(proxy), stopwatch)
        except OSError as error:
            if not (isinstance(error, (ConnectionError, socket.gaierror)) or is_unreachable(error)):
                raise
            raise ProxyError(f"the proxy {proxy.hostname} cannot be reached: {error}") from error
        if url.scheme != "https":
            return timed
        try:
            stopwatch.start_phase(Phase.CONNECT)
            _open_tunnel(timed, proxy, _host_port(url))
            stopwatch.end_phase()
        except (ConnectionError, HTTPException) as error:
            timed.close()
            raise ProxyError(f"the proxy {proxy.hostname} broke the tunnel: {error}") from error
        except BaseException:
            timed.close()
            raise
        return timed

    def _start_tls(self, url: SplitResult, timed: TimedSocket, *, same_host: bool) -> Connection:
        context, stopwatch = self._context(same_host), timed.stopwatch
        name = (same_host and self._server_name) or url.hostname
        stopwatch.start_phase(Phase.TLS)
        timed.first_sent = None
        # TLS over memory, not over the socket's own: so its bytes pass the timed socket too
        secured = SSLTransport(timed, context, name)
        # from the first byte sent to the last received: our own arithmetic is not the server's
        if timed.first_sent:
            stopwatch.start_later(timed.first_sent.kernel)
        stopwatch.end_phase(timed.last_received)
        certificate = secured.getpeercert() or {}
        not_after = certificate.get("notAfter")
        expiry = ssl.cert_time_to_seconds(not_after) if isinstance(not_after, str) else None
        return Connection(secured, timed, expiry)  # type: ignore[arg-type]  # urllib3's unions


def _host_port(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]


def authority(url: SplitResult) -> str:
    """Host and port as the Host header has them."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    return host if url.port in (None, DEFAULT_PORTS[url.scheme]) else f"{host}:{url.port}"


def _connect_first(addresses: list[Address], stopwatch: Stopwatch) -> tuple[TimedSocket, Timestamp]:
    """The first address that answers, tried in order.

    Each gets its share of the time that is left, so that one which drops packets does not use up
    the turn of the others.
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
        errors.clear()  # an error holds this frame, which holds it: only the collector frees them


def _error_rank(error: OSError) -> int:
    """How little an error says of the server.

    One that refuses is down, also where its other address is of a family that we do not have.
    """
    if isinstance(error, (ConnectionError, TimeoutError)):
        return 0
    return 1 if is_unreachable(error) else 2


def _connect_address(
    address: Address, stopwatch: Stopwatch, *, share: float
) -> tuple[TimedSocket, Timestamp]:
    stopwatch.start_phase(Phase.CONNECT)
    timed = TimedSocket(address.family, socket.SOCK_STREAM)
    timed.stopwatch = stopwatch
    try:
        timed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return timed, timed.connect_within(address.sockaddr, share)
    except BaseException:
        timed.close()
        raise


def proxy_authorization(proxy: SplitResult) -> str | None:
    """The value of Proxy-Authorization for user and password in a proxy's URL."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def _open_tunnel(timed: TimedSocket, proxy: SplitResult, place: tuple[str, int]) -> None:
    """Ask the proxy for a tunnel (RFC 9110, 9.3.6)."""
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    lines = [f"CONNECT {host}:{place[1]} HTTP/1.1", f"Host: {host}:{place[1]}"]
    credentials = proxy_authorization(proxy)
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    timed.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    answer = StrictHTTPResponse(ResponseReader(timed, timed, watch=None), method="CONNECT")
    answer.begin()
    if not 200 <= answer.status < 300:
        raise ProxyError(f"the proxy answered the request for a tunnel with {answer.status}")
