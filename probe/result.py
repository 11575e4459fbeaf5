"""Result of one probe run, the enums that label it, and the use of the probe's budget.

The value of an enum member is its label value in the metrics and its name in the JSON.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, Self

from probe.value_class import value_class


class _DescribedEnum(StrEnum):
    """Enum whose members carry a `description`, from which docs/metrics.md is generated."""

    _value_: str
    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        # The default is for calls that look a member up: Reason("dns").
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class Phase(StrEnum):
    """Phase of a request, in the order of their occurrence."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    WAIT = "wait"
    RECEIVE = "receive"
    FIRST_TOKEN = "first_token"
    """Of a stream: from the first byte of the response to the first token."""
    GENERATE = "generate"
    """Of a stream: from the first token to the last one."""


# A stream has these phases instead of `receive`.
STREAM_PHASES = (Phase.FIRST_TOKEN, Phase.GENERATE)


class ClockSource(StrEnum):
    """Source of the timestamps of a run: the kernel, or this process."""

    KERNEL = "kernel"
    USER = "user"


class Outcome(StrEnum):
    """Outcome of a run: one latency histogram for each."""

    SUCCESS = "success"
    FAILURE = "failure"


class Signal(StrEnum):
    """Time that an objective is about."""

    LATENCY = "latency"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"
    TIME_PER_OUTPUT_TOKEN = "time_per_output_token"

    @property
    def words(self) -> str:
        """The name in a sentence: "time to first token"."""
        return self.replace("_", " ")


# Signals that only streams have; the names of fields of StreamResult.
STREAM_SIGNALS = (Signal.TIME_TO_FIRST_TOKEN, Signal.TIME_PER_OUTPUT_TOKEN)


class Component(StrEnum):
    """Part of the server's processing time, as reported by the server."""

    QUEUE = "queue"
    PREPROCESS = "preprocess"
    COMPUTE = "compute"
    POSTPROCESS = "postprocess"
    LOAD = "load"
    TOTAL = "total"


class Reason(_DescribedEnum):
    """Reason of a failure. A closed set: dashboards and alert routes may rely on it."""

    DNS = "dns", "The name does not exist, or the lookup took until the deadline."
    REFUSED = "refused", "The connection was refused."
    UNREACHABLE = "unreachable", "There is no route to the address."
    RESET = (
        "reset",
        "The connection was reset during the handshake, the request or the response.",
    )
    TLS = "tls", "The certificate is invalid, or the handshake failed."
    PROTOCOL = (
        "protocol",
        "The response is not valid HTTP, is incomplete, or arrived before its request.",
    )
    PROXY = "proxy", "The proxy refused the request, or cannot be reached."
    TOO_LARGE = "too_large", "The body is larger than `max_bytes`."
    DENIED = "denied", "`networks` does not permit the address."
    CONNECT_TIMEOUT = "connect_timeout", "The deadline passed while connecting."
    TLS_TIMEOUT = "tls_timeout", "The deadline passed during the TLS handshake."
    SEND_TIMEOUT = "send_timeout", "The deadline passed while sending the request."
    FIRST_BYTE_TIMEOUT = (
        "first_byte_timeout",
        "The deadline passed before the response began: usually a slow model.",
    )
    BODY_TIMEOUT = "body_timeout", "The deadline passed while receiving the response."
    FIRST_TOKEN_TIMEOUT = (
        "first_token_timeout",
        "The first token of a stream came too late: after `first_token_timeout`, or the deadline.",
    )
    STALL_TIMEOUT = "stall_timeout", "No token of a stream came for `stall_timeout`."
    STREAM_ERROR = "stream_error", "An event of a stream reports an error, or is invalid."
    TRUNCATED = "truncated", "A stream ended without the event that ends a complete one."
    EMPTY = "empty", "A stream ended without a token."
    HTTP_3XX = (
        "http_3xx",
        "A redirect not followed: more than `redirects`, invalid URL, or a body for another host.",
    )
    HTTP_401_403 = "http_401_403", "Status 401 or 403: the credentials are wrong."
    HTTP_4XX = "http_4xx", "Another status 4xx: the request is wrong."
    HTTP_5XX = "http_5xx", "Status 5xx: the model server failed."
    RATE_LIMITED = "rate_limited", "Status 429, or an error of this type in a stream."
    OVERLOADED = "overloaded", "Status 503 or 529, or an error of this type in a stream."
    ASSERTION = "assertion", "The response does not meet `expect`."
    INTERNAL = (
        "internal",
        "The daemon or its host failed: no thread, no file, no secret, too many large responses.",
    )
    COLD = (
        "cold",
        "The request failed while the model was starting. After 5 minutes, its own reason is used.",
    )
    STARTUP = "startup", "The model has not succeeded yet, and `startup_grace` has not elapsed."

    @property
    def is_stream_only(self) -> bool:
        """True for failures that only streams can have."""
        return self in _STREAM_REASONS

    @property
    def counts_against_slo(self) -> bool:
        """False for failures that are not the target's: they are not in the histograms."""
        return self not in (Reason.INTERNAL, Reason.STARTUP, Reason.COLD)


_STREAM_REASONS = (
    Reason.FIRST_TOKEN_TIMEOUT,
    Reason.STALL_TIMEOUT,
    Reason.STREAM_ERROR,
    Reason.TRUNCATED,
    Reason.EMPTY,
)


class ResultKind(StrEnum):
    """Kind of a result with respect to the objectives of its probe."""

    GOOD = "good"
    SLOW = "slow"
    """A success that is slower than the strictest objective of a signal."""
    FAILED = "failed"
    NOT_COUNTED = "not_counted"
    """A failure or a cold start that does not count against the SLO."""


class Measurement(Protocol):
    """What objectives need to know about a result."""

    @property
    def reason(self) -> Reason | None:
        """Reason of the failure; None for a success."""

    @property
    def is_excluded(self) -> bool:
        """Whether a success does not count, because it is a cold start."""

    def seconds(self, signal: Signal) -> float | None:
        """Return the value of `signal`; None if it is unknown."""


def classify_result(result: Measurement, thresholds: Mapping[Signal, float]) -> ResultKind:
    """Return the kind of a result. `thresholds` (seconds) are the largest good values.

    A success without a value of a signal is not slow.
    """
    if result.is_excluded:
        return ResultKind.NOT_COUNTED
    if result.reason is not None:
        return ResultKind.FAILED if result.reason.counts_against_slo else ResultKind.NOT_COUNTED
    for signal, threshold in thresholds.items():
        seconds = result.seconds(signal)
        if seconds is not None and seconds > threshold:
            return ResultKind.SLOW
    return ResultKind.GOOD


class SkipReason(_DescribedEnum):
    """Reason why a due time of the schedule caused no request."""

    OVERLAP = "overlap", "The probe already has the maximum number of requests in flight."
    LATE = (
        "late",
        "The daemon's host was too busy: the tick was late by half an interval, or by a second.",
    )
    PAUSED = "paused", "Probing is paused by `/-/pause`."
    COLD = (
        "cold",
        "No request is sent, so that the service scales to zero and its next start is measured.",
    )
    BUDGET = "budget", "The request could exceed the `budget` of the probe."
    SHUTDOWN = "shutdown", "The daemon is shutting down."


class BudgetKind(StrEnum):
    """Limit of a budget: the name of its key."""

    TOKENS_PER_DAY = "tokens_per_day"
    COST_PER_DAY = "cost_per_day"
    REQUESTS_PER_HOUR = "requests_per_hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Reason of a failure, with a sentence that describes it."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRequest:
    """The first request of a run, without its secrets."""

    method: str
    url: str
    """The URL without user, password and query, with references instead of their values."""
    user_agent: str | None
    """None if the config has its own, which may have secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectHop:
    """One request of a redirect chain, with its phases in seconds.

    `url` is without user, password and query. `status` is None without a response.
    """

    url: str
    status: int | None
    phases: Mapping[Phase, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Headers and beginning of the body of a response, with secrets redacted."""

    headers: Mapping[str, str]
    body: str
    is_truncated: bool = False
    """Whether `body` is only the beginning of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Numbers of tokens as reported by the server; None for those that it does not report."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    """The part of `input` that the server had in its cache."""
    reasoning: int | None = None
    """The part of `output` that is reasoning."""


_NO_COUNTS = TokenCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Tokens of one run, as they count towards its budget, and their cost."""

    input: int
    output: int
    cached: int
    """The part of `input` that the server had in its cache."""
    estimated: bool
    """Whether a number of tokens is an estimate, because the server did not report it."""
    cost: float | None
    """None without `price`."""
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """How much of one limit is used. `used` includes what requests in flight may use."""

    kind: BudgetKind
    used: Decimal
    limit: Decimal

    @property
    def ratio(self) -> float:
        """Used share: 1 if all is used, and for a limit of 0."""
        return float(self.used / self.limit) if self.limit else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """State of the budget of a probe."""

    is_exhausted: bool
    """Whether the last tick was skipped because of the budget."""
    uses: tuple[BudgetUse, ...]


NO_BUDGET = BudgetStatus(is_exhausted=False, uses=())


# Times of tokens that a result keeps of one stream, for its timeline.
MAX_TOKEN_TIMES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """Times of one stream (seconds), from the first network action of the run; None if unknown.

    docs/measurement.md defines each of them.
    """

    time_to_first_byte: float
    time_to_first_chunk: float | None
    time_to_first_token: float | None
    time_to_first_output_token: float | None
    """The first token that is not reasoning."""
    time_per_output_token: float | None
    longest_gap: float | None
    """Longest time between two successive chunks with tokens."""
    chunks: int
    """Events with data."""
    merged_events: int
    """Events that arrived in the same read as an earlier one."""
    tokens: TokenCounts
    finish_reason: str | None
    token_times: tuple[float, ...] = ()
    """When tokens arrived, ascending: at most MAX_TOKEN_TIMES, without some that are close to
    others."""


@value_class(frozen=True, slots=True, kw_only=True)
class Result:
    """Result of one probe run, successful or failed. All times are in seconds."""

    probe: str
    started: datetime
    """Wall clock, UTC."""
    phases: Mapping[Phase, float]
    due: datetime | None = None
    """Wall clock, UTC. None for a run on demand."""
    failure: Failure | None = None
    status: int | None = None
    server: Mapping[Component, float] = field(default_factory=dict)
    """Times reported by the server, by component."""
    server_ignored: int = 0
    """Number of times reported by the server that were invalid."""
    hops: tuple[RedirectHop, ...] = ()
    """The redirects that were followed, without the last request."""
    final_hop: RedirectHop | None = None
    """The last request of a redirect chain. None without redirects."""
    clock: ClockSource = ClockSource.USER
    """Source of the timestamps."""
    correction: float = 0.0
    """Time of the run that is not part of the latency: scheduling delays of this process."""
    merged_reads: int = 0
    """First reads of a response that returned several TCP segments, of which only the last has a
    kernel timestamp."""
    size: int = 0
    """Bytes of the body as sent by the server."""
    stream: StreamResult | None = None
    """Measurements of a stream. None for other responses, and without a response."""
    usage: TokenCounts | None = None
    """Tokens that the server reported in the JSON of a response that is no stream. None for streams
    and if tokens do not count."""
    spending: Spending | None = None
    """Tokens and cost. None for a probe without `price` and without limits of tokens."""
    payload: str | None = None
    """Name of the payload that was sent; None without `payloads`."""
    version: str | None = None
    """Version of the model that the response names; None without one."""
    segment: str | None = None
    """Part of the endpoint that the response names; None without one."""
    cold: bool | None = None
    """Whether the response waited for a cold start; None without `cold`."""
    is_excluded: bool = False
    """Whether a success does not count, because it is a cold start."""
    certificate_not_after: float | None = None
    """Expiry of the server's certificate (Unix time)."""
    request: FirstRequest | None = None
    """The request that the config of the run has. None if the run could not start."""
    trace_id: str | None = None
    """Trace id in `traceparent` of the requests. None if the config has its own `traceparent`."""
    excerpt: Excerpt | None = None
    """Excerpt of the response to a failed probe. Only for authenticated users and local clients."""

    @property
    def latency(self) -> float:
        """The latency that a client experiences: the sum of all phases, including redirects."""
        return sum(self.phases.values())

    @property
    def reported_tokens(self) -> TokenCounts:
        """The tokens that the server reported, in events or in JSON."""
        return self.stream.tokens if self.stream else self.usage or _NO_COUNTS

    @property
    def reason(self) -> Reason | None:
        """Reason of the failure; None for a success."""
        return self.failure.reason if self.failure else None

    @property
    def counts(self) -> bool:
        """Whether the result counts against objectives, and in statistics of the latency."""
        return not self.is_excluded and (self.reason is None or self.reason.counts_against_slo)

    def seconds(self, signal: Signal) -> float | None:
        """Return the value of `signal`; None if it is unknown."""
        if signal is Signal.LATENCY:
            return self.latency
        return getattr(self.stream, signal, None)

    @property
    def outcome(self) -> Outcome:
        return Outcome.FAILURE if self.failure else Outcome.SUCCESS


@dataclass(slots=True)
class CertificateExpiry:
    """The expiry of the certificate at one URL, by the results of its probe.

    Runs that started before `url_since` (Unix seconds) requested another URL. They are ignored:
    an http probe would never overwrite their certificate.
    """

    url_since: float = 0.0
    not_after: float | None = None
    """Unix seconds. None without TLS, and until the first connection."""

    def record(self, result: Result) -> None:
        """Use the expiry in `result`.

        A failure without one may have had no connection; a success without one had no TLS.
        """
        if self.url_since and result.started.timestamp() < self.url_since:
            return
        if result.certificate_not_after is not None or result.failure is None:
            self.not_after = result.certificate_not_after


# Runs a probe that is due at an instant (monotonic ns), and returns its result.
RunProbe = Callable[[int], Result]
