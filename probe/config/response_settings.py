"""Settings of how a response is read and evaluated. They are frozen; times are in seconds.

`probe.config.schema` describes the keys of the config that they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probe.config.choices import EventFormat, ResponsePart, TimingUnit, TokenPart
from probe.config.regex import TimedRegex
from probe.result import Component

# One step of a path to a value in the events of a stream.
EVENT_PATH_STEP_PATTERN = r"\.[A-Za-z_][A-Za-z0-9_-]*|\[(?:[0-9]{1,6}|\*)\]"


@dataclass(frozen=True, slots=True)
class StatusPattern:
    """An expected status code, "200", or a class of them, "2xx"."""

    text: str

    def allows(self, status: int) -> bool:
        code = str(status)
        if self.text.endswith("x"):
            return len(code) == 3 and code[0] == self.text[0]
        return code == self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Condition on a header or on a value in the JSON of the response."""

    operators: Mapping[str, Any]
    """The keys that are present, with their values: {"equals": None} requires null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTokens:
    """Condition on the number of generated tokens."""

    min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """Conditions on the response."""

    status: tuple[StatusPattern, ...]
    body_matches: TimedRegex | None
    headers: Mapping[str, Condition]
    json_paths: Mapping[str, Condition]
    tokens: ExpectedTokens | None
    finish: tuple[str, ...]
    secrets: tuple[str, ...]
    """Values of the references at load time, sorted."""

    def allows(self, status: int) -> bool:
        for pattern in self.status:  # noqa: SIM110 (each run calls it: `any` has three calls more)
            if pattern.allows(status):
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUsage:
    """Paths of the numbers of tokens in the events of a stream."""

    input: tuple[str, ...]
    output: tuple[str, ...]
    cached: tuple[str, ...]
    cache_write: tuple[str, ...]
    reasoning: tuple[str, ...]
    separate: tuple[TokenPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Format of a response that arrives token by token."""

    format: EventFormat
    content: tuple[str, ...]
    refusal: tuple[str, ...]
    reasoning: tuple[str, ...]
    tool_call: tuple[str, ...]
    skip: tuple[str, ...]
    usage: StreamUsage
    error: tuple[str, ...]
    finish: tuple[str, ...]
    end: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTiming:
    """A time that the server reports in the response."""

    from_: ResponsePart
    key: str
    unit: TimingUnit
    component: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseValue:
    """Where each response names its origin, such as the version of the model."""

    from_: ResponsePart
    key: str
    max_values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdValue:
    """A value in the JSON of the response that says whether it waited for a cold start."""

    key: str
    min: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """How cold starts are recognised, and whether they count."""

    header: str | None
    json_value: ColdValue | None
    status: tuple[StatusPattern, ...]
    error: tuple[str, ...]
    after_idle: float | None
    slow_factor: float
    counts_in_objectives: bool
    probe: bool
    interval: float

    @property
    def is_expected(self) -> bool:
        """Whether the service scales to zero, so that cold starts are a part of its operation."""
        return self.after_idle is not None
