"""Probers put together as the daemon does, with a hand on what a test wants to hold."""

import socket
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from probe.clock import Clock
from probe.config.loader import ReferenceResolver
from probe.config.schema import Networks, Probe
from probe.config.secrets import Secrets
from probe.config.tls import client_ssl_context
from probe.http.client import Transport
from probe.http.connection import Dialer
from probe.http.network_policy import NetworkPolicy
from probe.http.pool import ConnectionPool
from probe.http.resolver import Getaddrinfo, Resolver
from probe.http.timing import Stopwatch
from probe.prober.prober import Prober
from probe.result import Reason, Result
from probe.threads import ThreadCache

RUNS = 5
FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


def read_probe(url: str, secrets: Secrets, base: Path, keys: Mapping[str, Any]) -> Probe:
    """A probe as a config file has it, references and all."""
    written = {"name": "tested", "url": url, "timeout": "3s", **keys}
    resolver = ReferenceResolver(secrets)
    probe = Probe.model_validate(resolver.resolve(written), context={"base": base})
    assert not resolver.errors, resolver.errors
    return probe


def make_prober(
    url: str,
    *,
    environ: Mapping[str, str] | None = None,
    base: Path = Path(),
    resolver: Resolver | None = None,
    getaddrinfo: Getaddrinfo = socket.getaddrinfo,
    networks: Mapping[str, Any] | None = None,
    pool: ConnectionPool | None = None,
    clock: Clock | None = None,
    **keys: Any,
) -> Prober:
    """A prober of a URL; `keys` are those of the config. A pool makes it reuse connections."""
    secrets = Secrets(environ or {}, base)
    if pool:
        keys["connection"] = "reuse"
    probe = read_probe(url, secrets, base, keys)
    permitted = Networks.model_validate(networks or {})

    @cache
    def context(same_host: bool) -> ssl.SSLContext:
        return client_ssl_context(probe.tls if same_host else probe.tls.other_host_tls, {})

    context(True)  # as the daemon does: not in the first probe's time
    dialer = Dialer(
        resolver or Resolver(ThreadCache("resolver"), Clock(), getaddrinfo),
        NetworkPolicy(deny=permitted.deny, allow=permitted.allow),
        ssl_context=context,
        server_name=probe.tls.server_name,
        family=FAMILIES[probe.ip_family],
    )

    def open_client(
        stopwatch: Stopwatch, proxy: SplitResult | None, *, use_pool: bool
    ) -> Transport:
        return Transport(dialer, stopwatch, pool=pool if use_pool else None, proxy=proxy)

    return Prober(probe, secrets, open_client, clock or Clock())


def run(url: str, **how: Any) -> Result:
    """The result of one run of a new prober."""
    return make_prober(url, **how).run()


def run_scheduled(prober: Prober) -> Result:
    """The result of a run that is due now. Only such runs use the pool of their probe."""
    return prober.run(due=Clock().monotonic())


def usual(url: str, **how: Any) -> Result:
    """Of several runs of a new prober the one of median latency: for claims about its size, which
    whatever else the machine does at the moment makes false of a single run.
    """
    prober = make_prober(url, **how)
    results = sorted((prober.run() for _ in range(RUNS)), key=lambda one: one.latency)
    assert len({reason(result) for result in results}) == 1, results
    return results[RUNS // 2]


def reason(result: Result) -> Reason | None:
    return result.failure.reason if result.failure else None


def detail(result: Result) -> str:
    assert result.failure, "the probe has succeeded"
    return result.failure.detail


def names(**addresses: str) -> Getaddrinfo:
    """A name server that knows these names: `names(model="127.0.0.1")`; `_` stands for a dot."""
    known = {name.replace("_", "."): address for name, address in addresses.items()}

    def getaddrinfo(host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if not rest[-1] & socket.AI_NUMERICHOST:
            host = known.get(host, host)
        return list(socket.getaddrinfo(host, *rest))

    return getaddrinfo
