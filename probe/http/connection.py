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

    def alive(self) -> bool:
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
        watch: Stopwatch,
        proxy: SplitResult | None = None,
        *,
        home: bool = True,
    ) -> Connection:
        """Connect to the server of a URL, which is the one of the config if it is `home`.

        Raises OSError, TimeoutError and ProbeErrors.
        """
        if proxy is None:
            timed = self._connect(_place(url), watch)
        else:
            timed = self._through(proxy, url, watch)
        try:
            if url.scheme == "https":
                return self._secure(url, timed, home=home)
            return Connection(timed, timed)
        except BaseException:
            timed.close()
            raise

    def _connect(self, place: tuple[str, int], watch: Stopwatch) -> TimedSocket:
        # looked up once: what was checked is what is connected to
        addresses = self._permitted(self._resolver.resolve(*place, self._family, watch))
        timed, connected = _first(addresses, watch)
        watch.end(connected)
        return timed

    def _permitted(self, found: Sequence[Address]) -> list[Address]:
        """Those of the addresses that the policy permits; raises Denied when it permits none."""
        permitted = [address for address in found if self._policy.permits(address.host)]
        if found and not permitted:
            denied = ", ".join(sorted({address.host for address in found}))
            raise AddressDenied(f"the `networks` of the config do not permit {denied}")
        return permitted

    def _through(self, proxy: SplitResult, url: SplitResult, watch: Stopwatch) -> TimedSocket:
        """To a proxy; for https on through a tunnel, which belongs to the phase `connect`."""
        # a name is the proxy's to look up, and to judge; the dot of a full name is none of it
        host, port = _place(url)
        self._permitted(self._resolver.literal(host.rstrip("."), port, socket.AF_UNSPEC))
        try:
            timed = self._connect(_place(proxy), watch)
        except OSError as error:
            if not (isinstance(error, (ConnectionError, socket.gaierror)) or is_unreachable(error)):
                raise
            raise ProxyError(f"the proxy {proxy.hostname} cannot be reached: {error}") from error
        if url.scheme != "https":
            return timed
        try:
            watch.begin(Phase.CONNECT)
            _tunnel(timed, proxy, _place(url))
            watch.end()
        except (ConnectionError, HTTPException) as error:
            timed.close()
            raise ProxyError(f"the proxy {proxy.hostname} broke the tunnel: {error}") from error
        except BaseException:
            timed.close()
            raise
        return timed

    def _secure(self, url: SplitResult, timed: TimedSocket, *, home: bool) -> Connection:
        context, watch = self._context(home), timed.watch
        name = (home and self._server_name) or url.hostname
        watch.begin(Phase.TLS)
        timed.first_departed = None
        # TLS over memory, not over the socket's own: so its bytes pass the timed socket too
        secured = SSLTransport(timed, context, name)
        # from the first byte sent to the last received: our own arithmetic is not the server's
        if timed.first_departed:
            watch.since(timed.first_departed.kernel)
        watch.end(timed.arrived)
        certificate = secured.getpeercert() or {}
        not_after = certificate.get("notAfter")
        expiry = ssl.cert_time_to_seconds(not_after) if isinstance(not_after, str) else None
        return Connection(secured, timed, expiry)  # type: ignore[arg-type]  # urllib3's unions


def _place(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]


def authority(url: SplitResult) -> str:
    """Host and port as the Host header has them."""
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    return host if url.port in (None, DEFAULT_PORTS[url.scheme]) else f"{host}:{url.port}"


def _first(addresses: list[Address], watch: Stopwatch) -> tuple[TimedSocket, Timestamp]:
    """The first address that answers, tried in order.

    Each gets its share of the time that is left, so that one which drops packets does not use up
    the turn of the others.
    """
    errors: list[OSError] = []
    for count, address in enumerate(addresses):
        try:
            return _open(address, watch, share=1 / (len(addresses) - count))
        except OSError as error:
            errors.append(error)
    try:
        raise min(reversed(errors), key=_silence)
    finally:
        errors.clear()  # an error holds this frame, which holds it: only the collector frees them


def _silence(error: OSError) -> int:
    """How little an error says of the server.

    One that refuses is down, also where its other address is of a family that we do not have.
    """
    if isinstance(error, (ConnectionError, TimeoutError)):
        return 0
    return 1 if is_unreachable(error) else 2


def _open(address: Address, watch: Stopwatch, *, share: float) -> tuple[TimedSocket, Timestamp]:
    watch.begin(Phase.CONNECT)
    timed = TimedSocket(address.family, socket.SOCK_STREAM)
    timed.watch = watch
    try:
        timed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return timed, timed.connect_within(address.sockaddr, share)
    except BaseException:
        timed.close()
        raise


def proxy_credentials(proxy: SplitResult) -> str | None:
    """The value of Proxy-Authorization for user and password in a proxy's URL."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def _tunnel(timed: TimedSocket, proxy: SplitResult, place: tuple[str, int]) -> None:
    """Ask the proxy for a tunnel (RFC 9110, 9.3.6)."""
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    lines = [f"CONNECT {host}:{place[1]} HTTP/1.1", f"Host: {host}:{place[1]}"]
    credentials = proxy_credentials(proxy)
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    timed.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    answer = StrictHTTPResponse(ResponseReader(timed, timed, watch=None), method="CONNECT")
    answer.begin()
    if not 200 <= answer.status < 300:
        raise ProxyError(f"the proxy answered the request for a tunnel with {answer.status}")
