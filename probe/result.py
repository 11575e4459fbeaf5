"""The words that cross rooms.

An enum's value is its label value in the metrics and its name in the JSON, so that code, metrics
and documentation cannot drift apart. Nothing here does anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """What a probe is doing, in the order in which it happens."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    WAIT = "wait"
    RECEIVE = "receive"


class Outcome(StrEnum):
    """Which of the two latency histograms a result goes to."""

    SUCCESS = "success"
    FAILURE = "failure"


class Component(StrEnum):
    """What a server says it spent its time on."""

    QUEUE = "queue"
    PREPROCESS = "preprocess"
    COMPUTE = "compute"
    POSTPROCESS = "postprocess"
    LOAD = "load"
    TOTAL = "total"


class Reason(StrEnum):
    """Why a probe failed. A closed set: dashboards and routes may rely on it."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TLS = "tls"
    PROTOCOL = "protocol"
    PROXY = "proxy"
    TOO_LARGE = "too_large"
    DENIED = "denied"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_TIMEOUT = "tls_timeout"
    SEND_TIMEOUT = "send_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    BODY_TIMEOUT = "body_timeout"
    HTTP_3XX = "http_3xx"
    HTTP_401_403 = "http_401_403"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    ASSERTION = "assertion"
    INTERNAL = "internal"
    STARTUP = "startup"

    @property
    def charged(self) -> bool:
        """Whether the failure is the target's: it is observed in the histograms."""
        return self not in (Reason.INTERNAL, Reason.STARTUP)


class SkipReason(StrEnum):
    """Why a tick of the grid did not become a request."""

    OVERLAP = "overlap"
    LATE = "late"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a probe failed: the label for machines, and a sentence for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectHop:
    """One request of a chain of redirects: where it went and what it cost (seconds by phase).

    The URL is without user, password and query; the status is None where no answer came.
    """

    url: str
    status: int | None
    phases: Mapping[Phase, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """What an answer looked like: its headers and the beginning of its body, secrets masked."""

    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one probe came to. Times are seconds; a failed probe is a result like any other."""

    probe: str
    started: datetime
    phases: Mapping[Phase, float]
    due: datetime | None = None
    failure: Failure | None = None
    status: int | None = None
    server: Mapping[Component, float] = field(default_factory=dict)
    server_ignored: int = 0
    """Times that the server told and that made no sense."""
    hops: tuple[RedirectHop, ...] = ()
    """The redirects that were followed."""
    landing: RedirectHop | None = None
    """Where they led: the last request, if there was one before."""
    clock: str = "user"
    correction: float = 0.0
    merged_reads: int = 0
    size: int = 0
    certificate_not_after: float | None = None
    excerpt: Excerpt | None = None
    """What came back, where the probe failed: not for everybody's eyes."""

    @property
    def latency(self) -> float:
        """What a client would have felt: the sum of the phases, those of every hop included."""
        return sum(self.phases.values())

    @property
    def outcome(self) -> Outcome:
        return Outcome.FAILURE if self.failure else Outcome.SUCCESS
