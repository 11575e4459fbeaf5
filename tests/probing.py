"""Probers built as in the daemon, with parts that a test can replace."""

import socket
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from probe.clock import Clock
from probe.config.loader import ReferenceResolver
from probe.config.protocol_expansion import expand_protocol
from probe.config.schema import NetworksModel, ProbeModel
from probe.config.secrets import Secrets
from probe.config.settings import Probe
from probe.config.tls import client_ssl_context
from probe.http.client import Transport
from probe.http.connection import Dialer
from probe.http.network_policy import NetworkPolicy
from probe.http.pool import ConnectionPool
from probe.http.resolver import Getaddrinfo, Resolver
from probe.http.stopwatch import Stopwatch
from probe.prober.evaluator import Evaluator
from probe.prober.prober import Prober
from probe.result import Reason, Result
from probe.threads import ThreadCache

# Shared by all probers of a test process, so that there is at most one worker process.
EVALUATOR = Evaluator()

RUNS = 5
FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


def read_probe(url: str, secrets: Secrets, base: Path, keys: Mapping[str, Any]) -> Probe:
    """Return a probe with these config keys, which may contain references."""
    config = {"name": "tested", "url": url, "timeout": "3s", **keys}
    resolver = ReferenceResolver(secrets)
    keys_read = expand_protocol(resolver.resolve(config))
    probe: Probe = ProbeModel.model_validate(keys_read, context={"base": base}).to_settings()
    assert not resolver.errors, resolver.errors
    return probe


def make_prober(
    url: str,
    *,
    environ: Mapping[str, str] | None = None,
    base: Path = Path(),
    secrets: Secrets | None = None,
    resolver: Resolver | None = None,
    getaddrinfo: Getaddrinfo = socket.getaddrinfo,
    networks: Mapping[str, Any] | None = None,
    pool: ConnectionPool | None = None,
    clock: Clock | None = None,
    is_sampled: bool = False,
    **keys: Any,
) -> Prober:
    """Return a prober of a URL with these config keys. With a pool, it reuses connections."""
    secrets = secrets or Secrets(environ or {}, base)
    if pool:
        keys["connection"] = "reuse"
    probe = read_probe(url, secrets, base, keys)
    networks_config = NetworksModel.model_validate(networks or {}).to_settings()

    @cache
    def context(*, same_host: bool) -> ssl.SSLContext:
        return client_ssl_context(probe.tls if same_host else probe.tls.other_host_tls, {})

    if probe.may_need_tls:
        context(same_host=True)  # as in the daemon: not during the first run
    dialer = Dialer(
        resolver or Resolver(ThreadCache("resolver"), Clock(), getaddrinfo),
        NetworkPolicy(deny=networks_config.deny, allow=networks_config.allow),
        ssl_context=context,
        server_name=probe.tls.server_name,
        family=FAMILIES[probe.ip_family],
    )

    def open_client(
        stopwatch: Stopwatch, proxy: SplitResult | None, *, use_pool: bool
    ) -> Transport:
        return Transport(
            dialer,
            stopwatch,
            pool=pool if use_pool else None,
            proxy=proxy,
            in_batches=probe.stream is not None,
        )

    return Prober(probe, secrets, open_client, clock or Clock(), EVALUATOR, is_sampled=is_sampled)


def run(url: str, **options: Any) -> Result:
    """Return the result of one run of a new prober."""
    return make_prober(url, **options).run()


def run_scheduled(prober: Prober) -> Result:
    """Return the result of a run that is due now. Only scheduled runs use the pool."""
    return prober.run(due=Clock().monotonic())


def run_median(url: str, **options: Any) -> Result:
    """Return the result with the median latency of several runs of a new prober.

    The latency of a single run can be high because of other processes on the machine. Runs in which
    this process was late itself (`internal`) do not count if there are others.
    """
    prober = make_prober(url, **options)
    results = sorted((prober.run() for _ in range(RUNS)), key=lambda result: result.latency)
    results = [result for result in results if reason(result) is not Reason.INTERNAL] or results
    assert len({reason(result) for result in results}) == 1, results
    return results[len(results) // 2]


def reason(result: Result) -> Reason | None:
    return result.failure.reason if result.failure else None


def detail(result: Result) -> str:
    assert result.failure, "the probe has succeeded"
    return result.failure.detail


def fake_getaddrinfo(**addresses: str) -> Getaddrinfo:
    """Return a `getaddrinfo` that resolves these names to these addresses.

    In `model_test="127.0.0.1"`, the underscore stands for a dot.
    """
    addresses = {name.replace("_", "."): address for name, address in addresses.items()}

    def getaddrinfo(host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if not rest[-1] & socket.AI_NUMERICHOST:
            host = addresses.get(host, host)
        return list(socket.getaddrinfo(host, *rest))

    return getaddrinfo
