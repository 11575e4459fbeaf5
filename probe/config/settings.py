"""Settings of the daemon and its probes, as all other packages use them.

They are frozen; times are in seconds. `probe.config.loader` makes them from a config, with the
models of `probe.config.schema`, which describe the keys. They are separate from those models so
that a process can use settings without the memory of the validation.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Network
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

from probe.config.choices import (
    AlertLevel,
    ConnectionMode,
    Dimension,
    IpFamily,
    TlsVersion,
    TraceSampling,
)
from probe.config.cost_settings import Budget, Capacity, Price
from probe.config.errors import ConfigProblem
from probe.config.link_template import TRACE_ID_PLACEHOLDER
from probe.config.response_settings import Cold, Expect, ResponseValue, ServerTiming, Stream
from probe.config.secrets import Reference, Template
from probe.result import Measurement, Signal

# A target up to this one is probably the error budget: 0.5% instead of 99.5%.
MAX_BUDGET_AS_TARGET = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS settings of the connections to the endpoint."""

    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None
    server_name: str | None
    insecure_skip_verify: bool
    min_version: TlsVersion

    @property
    def other_host_tls(self) -> "Tls":
        """Settings for other hosts, after redirects: without client certificate and server name."""
        return replace(self, cert_file=None, key_file=None, server_name=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A service level objective: the share of probes that must be good."""

    name: str
    target: float
    latency: float | None
    time_to_first_token: float | None
    time_per_output_token: float | None
    alert: AlertLevel

    @property
    def signal(self) -> Signal:
        """The time that the objective is about. Without a threshold it is the latency."""
        # Read for each result, hence no loop over all signals.
        if self.time_to_first_token is not None:
            return Signal.TIME_TO_FIRST_TOKEN
        if self.time_per_output_token is not None:
            return Signal.TIME_PER_OUTPUT_TOKEN
        return Signal.LATENCY

    @property
    def threshold(self) -> float | None:
        """The largest good value of the signal (seconds). Without one, every success is good."""
        threshold: float | None = getattr(self, self.signal)
        return threshold

    @property
    def event_key(self) -> tuple[str, Signal, float | None]:
        """The name, and what decides which events are good. With another one, counts restart."""
        return self.name, self.signal, self.threshold

    def is_good(self, result: Measurement) -> bool | None:
        """Return whether a result that counts against the SLO is good.

        None for a success without a value of the signal: it is no event.
        """
        if result.reason is not None:
            return False
        threshold = self.threshold
        if threshold is None:
            return True
        seconds = result.seconds(self.signal)
        return None if seconds is None else seconds <= threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One of several bodies that a probe sends in turn."""

    name: str
    json_body: Any
    body: Template | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolChoice:
    """The protocol that provided a part of the settings of a probe."""

    name: str
    accepts_cached_prompts: bool
    """Whether `nonce` is false explicitly: the prompt may be in the cache of the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A request that is sent at regular intervals, and the conditions on its response."""

    name: str
    url: Template
    interval: float
    timeout: float
    connection: ConnectionMode
    startup_grace: float
    tls: Tls
    proxy: Template | None
    ip_family: IpFamily
    redirects: int
    max_bytes: int
    headers: Mapping[str, Template]
    json_body: Any
    body: Template | None
    body_file: Path | None
    payloads: tuple[Payload, ...]
    method: str
    expect: Expect
    protocol: ProtocolChoice | None
    stream: Stream | None
    first_token_timeout: float | None
    stall_timeout: float | None
    version: ResponseValue | None
    segment: ResponseValue | None
    histogram_by: tuple[Dimension, ...]
    cold: Cold | None
    price: Price | None
    budget: Budget | None
    capacity: Capacity | None
    buckets: tuple[float, ...] | None
    phase_buckets: tuple[float, ...] | None
    server_timing: tuple[ServerTiming, ...]
    labels: Mapping[str, str]
    alert_labels: tuple[str, ...]
    objectives: tuple[Objective, ...]
    down: AlertLevel

    def with_individual_values(
        self, *, name: str, url: Template, labels: Mapping[str, str]
    ) -> "Probe":
        """Return a probe with other INDIVIDUAL_FIELDS, and all other values of this one."""
        # `dataclasses.replace` takes 20 instead of 7 µs.
        probe = object.__new__(Probe)
        for set_value, value in zip(_SETTERS, shared_values(self), strict=True):
            set_value(probe, value)
        for field, individual in (("name", name), ("url", url), ("labels", labels)):
            object.__setattr__(probe, field, individual)
        return probe

    def shared_value_ids(self) -> tuple[int, ...]:
        """Return the ids of all values except the INDIVIDUAL_FIELDS: the same for similar probes.

        No other probe has them as long as this one exists, because it keeps its values.
        """
        # The values themselves take longer to hash and compare, and JSON has no hash.
        return tuple(map(id, shared_values(self)))

    def payload_probes(self) -> tuple[Self, ...]:
        """Return this probe with each of its payloads as the only body; itself without payloads."""
        if not self.payloads:
            return (self,)
        return tuple(
            replace(self, payloads=(), json_body=payload.json_body, body=payload.body)
            for payload in self.payloads
        )

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of the requests count: they have a price, or a limit."""
        return self.price is not None or (self.budget is not None and self.budget.limits_tokens)

    @property
    def may_need_tls(self) -> bool:
        return may_need_tls(self.url.source, self.redirects)

    def thresholds(self, signal: Signal) -> list[float]:
        """Return the different thresholds of the objectives on `signal` (seconds, ascending)."""
        return sorted(
            {
                objective.threshold
                for objective in self.objectives
                if objective.signal is signal and objective.threshold is not None
            }
        )

    @property
    def strictest_thresholds(self) -> Mapping[Signal, float]:
        """The smallest threshold of the objectives (seconds), by signal."""
        # Read for each result: one pass, and no sorting.
        thresholds: dict[Signal, float] = {}
        for objective in self.objectives:
            if objective.threshold is not None:
                strictest = thresholds.get(objective.signal, math.inf)
                thresholds[objective.signal] = min(objective.threshold, strictest)
        return thresholds


# Fields whose values differ between similar probes, such as those of a fleet.
INDIVIDUAL_FIELDS = ("name", "url", "labels")
_SHARED_FIELDS = tuple(field.name for field in fields(Probe) if field.name not in INDIVIDUAL_FIELDS)

# Returns the values of the other fields of a probe.
shared_values = attrgetter(*_SHARED_FIELDS)
_SETTERS = tuple(getattr(Probe, name).__set__ for name in _SHARED_FIELDS)


def may_need_tls(url: str, redirects: object) -> bool:
    """Return whether a request to `url`, as written in the config, may use TLS.

    References in `url` may change the scheme, and redirects may lead to https.
    """
    return bool(redirects) or not url.lower().startswith("http://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Addresses that may be probed. `deny` takes precedence; an empty `allow` allows all others."""

    deny: tuple[IPv4Network | IPv6Network, ...]
    allow: tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Traces of the requests. By default, servers are not asked to record them."""

    sample: TraceSampling = TraceSampling.NEVER
    link: str | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether `traceparent` asks servers to record the trace."""
        return self.sample is not TraceSampling.NEVER

    def url(self, trace_id: str) -> str | None:
        """Return the URL of a trace; None without `link`."""
        return self.link and self.link.replace(TRACE_ID_PLACEHOLDER, trace_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole config."""

    probes: tuple[Probe, ...]
    networks: Networks
    tracing: Tracing
    likely_mistakes: tuple[ConfigProblem, ...] = ()
    """Values that are valid, but probably not intended."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the values that similar probes share once.

        Of 10,000 such probes, this takes 0.2 s less CPU, also because it needs no Python code for
        each field. The unpickled probes share them again.
        """
        numbers: dict[tuple[int, ...], int] = {}
        similar: list[Probe] = []
        individual: list[tuple[Any, ...]] = []
        for probe in self.probes:
            number = numbers.setdefault(probe.shared_value_ids(), len(similar))
            if number == len(similar):
                similar.append(probe)
            individual.append((number, probe.name, probe.url.source, probe.url.parts, probe.labels))
        return _unpickle, (similar, individual, self.networks, self.tracing, self.likely_mistakes)


def _unpickle(
    similar: Sequence[Probe],
    individual: Iterable[tuple[int, str, str, tuple[str | Reference, ...], Mapping[str, str]]],
    networks: Networks,
    tracing: Tracing,
    likely_mistakes: tuple[ConfigProblem, ...],
) -> Settings:
    """Return the settings from the arguments that `Settings.__reduce__` returns."""
    probes = (
        similar[number].with_individual_values(
            name=name, url=Template(source, parts), labels=labels
        )
        for number, name, source, parts, labels in individual
    )
    return Settings(
        probes=tuple(probes), networks=networks, tracing=tracing, likely_mistakes=likely_mistakes
    )
