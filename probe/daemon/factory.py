"""Makes what runs a probe, from what the config says of it."""

import hashlib
import socket
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult

from pydantic import BaseModel

from probe.clock import Clock
from probe.config.schema import Condition, ConnectionMode, IpFamily, Probe, Settings, Tls
from probe.config.secrets import Secrets
from probe.config.tls import CA_BUNDLE_VARIABLES, client_ssl_context
from probe.http.client import Transport
from probe.http.connection import Dialer
from probe.http.network_policy import NetworkPolicy
from probe.http.pool import ConnectionPool
from probe.http.resolver import Resolver
from probe.http.timing import Stopwatch
from probe.prober.prober import ClientFactory, Prober
from probe.result import Result
from probe.threads import ThreadCache

_FAMILIES = {
    IpFamily.ANY: socket.AF_UNSPEC,
    IpFamily.V4: socket.AF_INET,
    IpFamily.V6: socket.AF_INET6,
}


class RunProbe(Protocol):
    """Probes once; `due` is the instant (monotonic, ns) of a scheduled run."""

    def __call__(self, due: int | None = None) -> Result: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledProbe:
    """A probe as a config has it, ready to be run."""

    probe: Probe
    run: RunProbe
    close: Callable[[], None]
    """Closes idle connections; runs under way are not disturbed."""


class ProberFactory:
    """Makes instruments; secrets in files are looked for in `base`."""

    def __init__(self, *, environ: Mapping[str, str], base: Path, clock: Clock) -> None:
        self._environ = environ
        self._base = base
        self._clock = clock
        self._resolver = Resolver(ThreadCache("resolver"), clock)

    def fingerprints(self, settings: Settings) -> dict[str, object]:
        """By name what makes a probe what it is: while it is equal, nothing has to be made anew.

        Raises OSError when a file cannot be read.
        """

        @cache
        def content(path: Path) -> bytes | None:
            # a directory of certificates is looked into by OpenSSL, each time that it needs one
            return None if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()

        return {
            probe.name: (
                _exact(probe),
                _exact(settings.networks),
                tuple(map(content, self._files(probe))),
            )
            for probe in settings.probes
        }

    def _files(self, probe: Probe) -> Iterator[Path]:
        """The files that are read once, when the instrument is made."""
        tls = probe.tls
        yield from filter(None, (probe.body_file, tls.ca_file, tls.cert_file, tls.key_file))
        if not tls.ca_file and probe.may_need_tls:
            yield from (
                Path(self._environ[name]) for name in CA_BUNDLE_VARIABLES if self._environ.get(name)
            )

    def make(self, settings: Settings, names: Collection[str]) -> dict[str, CompiledProbe]:
        """The instruments of these probes; raises OSError and TlsError for files."""
        secrets = Secrets(self._environ, self._base)
        policy = NetworkPolicy(deny=settings.networks.deny, allow=settings.networks.allow)

        @cache
        def context(tls: Tls) -> ssl.SSLContext:
            """One costs 18 ms and 0.7 MB: probes share them."""
            return client_ssl_context(tls, self._environ)

        def instrument(probe: Probe) -> CompiledProbe:
            tls, other_host_tls = probe.tls, probe.tls.other_host_tls
            if probe.may_need_tls:
                context(tls)  # now, and not in the first probe's time
                context(other_host_tls if probe.redirects else tls)
            dialer = Dialer(
                self._resolver,
                policy,
                context=lambda same_host: context(tls if same_host else other_host_tls),
                server_name=probe.tls.server_name,
                family=_FAMILIES[probe.ip_family],
            )
            pool = ConnectionPool() if probe.connection is ConnectionMode.REUSE else None
            prober = Prober(probe, secrets, _transports(dialer, pool), self._clock)
            return CompiledProbe(
                probe=probe, run=prober.run, close=pool.close if pool else _nothing
            )

        return {probe.name: instrument(probe) for probe in settings.probes if probe.name in names}


def _transports(dialer: Dialer, pool: ConnectionPool | None) -> ClientFactory:
    def open_transport(watch: Stopwatch, proxy: SplitResult | None) -> Transport:
        return Transport(dialer, watch, pool=pool, proxy=proxy)

    return open_transport


def _nothing() -> None:
    pass


def _exact(value: Any) -> object:
    """Something that is equal for equal settings only: to Python, but not to JSON, 1 is True."""
    if isinstance(value, Condition):
        return _exact(value.operators)
    if isinstance(value, BaseModel):
        return tuple(_exact(item) for _, item in value)
    if isinstance(value, Mapping):
        return tuple((key, _exact(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_exact, value))
    return type(value), value
