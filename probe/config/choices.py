"""Values of the keys that accept one of a few words."""

from enum import StrEnum


class ConnectionMode(StrEnum):
    """Whether each request opens a new connection or reuses one."""

    NEW = "new"
    REUSE = "reuse"


class IpFamily(StrEnum):
    """IP version of the addresses to connect to."""

    ANY = "any"
    V4 = "4"
    V6 = "6"


class TlsVersion(StrEnum):
    """Version of TLS."""

    TLS12 = "TLS12"
    TLS13 = "TLS13"


class AlertLevel(StrEnum):
    """Level of an alert, the highest first."""

    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"


class EventFormat(StrEnum):
    """Format of the events of a stream."""

    SSE = "sse"
    NDJSON = "ndjson"
    AWS_EVENT_STREAM = "aws-event-stream"
    AWS_EVENT_STREAM_SSE = "aws-event-stream-sse"


class TraceSampling(StrEnum):
    """Requests whose traces are recorded."""

    NEVER = "never"
    FAILURES = "failures"
    ALWAYS = "always"


class TokenPart(StrEnum):
    """Number of tokens that is a part of another one: of the input, or of the output."""

    CACHED = "cached"
    CACHE_WRITE = "cache_write"
    REASONING = "reasoning"


class ResponsePart(StrEnum):
    """Part of the response that contains a value."""

    HEADER = "header"
    JSON = "json"


class TimingUnit(StrEnum):
    """Unit of a time reported by the server."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


class Dimension(StrEnum):
    """Property of a request by which durations can be divided."""

    VERSION = "version"
    SEGMENT = "segment"
    PAYLOAD = "payload"


# Those that the response names.
RESPONSE_DIMENSIONS = (Dimension.VERSION, Dimension.SEGMENT)
