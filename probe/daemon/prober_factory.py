"""Builds the probers of a config, and computes fingerprints by which changes are detected."""

import hashlib
import io
import pickle
import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult

from probe.clock import Clock
from probe.config.choices import ConnectionMode, IpFamily
from probe.config.secrets import Secrets
from probe.config.settings import Probe, Settings, Tls, shared_values
from probe.config.tls import CA_BUNDLE_VARIABLES, client_ssl_context
from probe.http.client import Transport
from probe.http.connection import Dialer
from probe.http.network_policy import NetworkPolicy
from probe.http.pool import MAX_IDLE_PER_ORIGIN, ConnectionPool
from probe.http.resolver import Resolver
from probe.http.stopwatch import Stopwatch
from probe.prober.evaluator import Evaluator
from probe.prober.prober import ClientFactory, Prober
from probe.scheduler.runner import CompiledProbe
from probe.scheduler.token_estimate import estimate_counted_tokens
from probe.threads import ThreadCache

_FAMILIES = {
    IpFamily.ANY: socket.AF_UNSPEC,
    IpFamily.V4: socket.AF_INET,
    IpFamily.V6: socket.AF_INET6,
}

# `iter`, or `yield_gil` if runs proceed meanwhile.
IterateProbes = Callable[[Iterable[Probe]], Iterable[Probe]]


class ProberFactory:
    """Builds probers that share one resolver and one evaluator.

    Secret files with a relative path are in the directory `base`. With `connection: reuse`, a probe
    keeps up to `max_idle_connections` to each origin.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        base: Path,
        clock: Clock,
        max_idle_connections: int = MAX_IDLE_PER_ORIGIN,
    ) -> None:
        self._environ = environ
        self._base = base
        self._clock = clock
        self._max_idle_connections = max_idle_connections
        self._resolver = Resolver(ThreadCache("resolver"), clock)
        self._evaluator = Evaluator()

    def close(self) -> None:
        """End the worker process of the evaluator, if there is one."""
        self._evaluator.close()

    def fingerprints(
        self, settings: Settings, *, iterate: IterateProbes = iter
    ) -> dict[str, object]:
        """Return a fingerprint for each probe by name.

        If it is unchanged, the prober need not be rebuilt. It covers the config of the probe and
        the contents of the files that are read once. Raises OSError if a file cannot be read.
        """

        @cache
        def content(path: Path) -> bytes | None:
            # OpenSSL reads a directory of certificates whenever it needs one.
            return None if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()

        # Similar probes share the values of most fields. These are pickled once, so that a
        # fingerprint takes 7 instead of 57 µs of CPU. It does not depend on the ids: in the next
        # config, other probes may share the values.
        digests: dict[tuple[int, ...], bytes] = {}
        others = settings.networks, settings.tracing.is_sampled

        def digest(probe: Probe) -> bytes:
            ids = probe.shared_value_ids()
            shared = digests.get(ids)
            if shared is None:
                shared = digests[ids] = _digest((shared_values(probe), *others))
            return _digest((probe.name, probe.url.source, probe.labels, shared))

        return {
            probe.name: (digest(probe), tuple(map(content, self._files(probe))))
            for probe in iterate(settings.probes)
        }

    def _files(self, probe: Probe) -> Iterator[Path]:
        """Yield the files that are read once, when the prober is built."""
        tls = probe.tls
        yield from filter(None, (probe.body_file, tls.ca_file, tls.cert_file, tls.key_file))
        if not tls.ca_file and probe.may_need_tls:
            yield from (
                Path(self._environ[name]) for name in CA_BUNDLE_VARIABLES if self._environ.get(name)
            )

    def build(
        self, settings: Settings, names: Collection[str], *, iterate: IterateProbes = iter
    ) -> dict[str, CompiledProbe]:
        """Build the probes `names`. Raises OSError and TlsError for files."""
        secrets = Secrets(self._environ, self._base)
        policy = NetworkPolicy(deny=settings.networks.deny, allow=settings.networks.allow)

        # Shared by all probes: a context takes 18 ms and 0.7 MB.
        @cache
        def context(tls: Tls) -> ssl.SSLContext:
            return client_ssl_context(tls, self._environ)

        # One copy of a large body, however many probes send it.
        read_file = cache(Path.read_bytes)

        def compile_probe(probe: Probe) -> CompiledProbe:
            tls, other_host_tls = probe.tls, probe.tls.other_host_tls
            if probe.may_need_tls:
                # Create the contexts now, so that they do not delay the first run.
                context(tls)
                context(other_host_tls if probe.redirects else tls)
            dialer = Dialer(
                self._resolver,
                policy,
                ssl_context=lambda *, same_host: context(tls if same_host else other_host_tls),
                server_name=probe.tls.server_name,
                family=_FAMILIES[probe.ip_family],
            )
            pool = None
            if probe.connection is ConnectionMode.REUSE:
                pool = ConnectionPool(
                    self._clock,
                    interval=probe.interval,
                    max_idle_per_origin=self._max_idle_connections,
                )
            open_client = _client_factory(dialer, pool, in_batches=probe.stream is not None)
            return CompiledProbe(
                probe=probe,
                prober=Prober(
                    probe,
                    secrets,
                    open_client,
                    self._clock,
                    self._evaluator,
                    read_file=read_file,
                    is_sampled=settings.tracing.is_sampled,
                ),
                close=pool.close if pool else _no_connections,
                estimate=estimate_counted_tokens(probe),
            )

        return {
            probe.name: compile_probe(probe)
            for probe in iterate(settings.probes)
            if probe.name in names
        }


def _client_factory(
    dialer: Dialer, pool: ConnectionPool | None, *, in_batches: bool
) -> ClientFactory:
    def open_client(
        stopwatch: Stopwatch, proxy: SplitResult | None, *, use_pool: bool
    ) -> Transport:
        return Transport(
            dialer,
            stopwatch,
            pool=pool if use_pool else None,
            proxy=proxy,
            in_batches=in_batches,
        )

    return open_client


def _no_connections() -> None:
    """Do nothing: without a pool each run closes its connections."""


def _digest(value: object) -> bytes:
    """Return a hash of the values in `value` and of their types.

    With `==`, settings of other types may be equal: in Python `1 == True`. A structure of types and
    values takes twice the CPU time, and kilobytes for each probe.
    """
    content = io.BytesIO()
    pickler = pickle.Pickler(content, pickle.HIGHEST_PROTOCOL)
    # The content must not depend on which of the equal values are the same object.
    pickler.fast = True
    pickler.dump(value)
    return hashlib.sha256(content.getbuffer()).digest()
