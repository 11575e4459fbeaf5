"""What the events of a stream mean: where their JSON has the text, the usage and the errors.

Events are read while the stream arrives, in the daemon and for every token. So their paths are
simpler than JSONPath, and take no library: names, indices and `[*]`.
"""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.config.choices import TokenPart
from probe.config.http_types import EVENT_PATH_STEP_PATTERN
from probe.http.aws_event_stream import AwsEventStreamParser, AwsSseParser
from probe.http.stream import EventParser, NdjsonParser, SseParser

if TYPE_CHECKING:
    from probe.config.response_settings import Stream

_PARSERS: dict[str, type[EventParser]] = {
    "sse": SseParser,
    "ndjson": NdjsonParser,
    "aws-event-stream": AwsEventStreamParser,
    "aws-event-stream-sse": AwsSseParser,
}

# A name, an index, or None for all items.
_Steps = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class EventDocument:
    """The JSON of an event, and the type of the event."""

    type: str
    value: Any


class EventPath:
    """Path to values in the JSON of an event, such as `$.choices[*].delta.content`.

    With a prefix such as `message_delta:`, it applies to events of this type only.
    """

    def __init__(self, text: str) -> None:
        """Compile `text`, a path of a valid config."""
        prefix, _, path = text.partition("$")
        self._type = prefix.removesuffix(":")
        self._steps: _Steps = tuple(map(_step, re.findall(EVENT_PATH_STEP_PATTERN, path)))

    def find(self, document: EventDocument) -> Iterator[Any]:
        """Yield the values at this path."""
        if self._type and document.type != self._type:
            return iter(())
        return _find(document.value, self._steps)


def _step(text: str) -> str | int | None:
    """Return the step that is written as `.name`, `[0]` or `[*]`."""
    if text.startswith("."):
        return text[1:]
    return None if text == "[*]" else int(text[1:-1])


def _find(value: Any, steps: _Steps) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from _find(value[step], rest)
    elif isinstance(value, list):
        items = value if step is None else value[step : step + 1]
        for item in items:
            yield from _find(item, rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """The compiled `stream` of a probe."""

    new_parser: type[EventParser]
    content: tuple[EventPath, ...]
    refusal: tuple[EventPath, ...]
    reasoning: tuple[EventPath, ...]
    tool_call: tuple[EventPath, ...]
    skip: tuple[EventPath, ...]
    usage: tuple[tuple[str, EventPath], ...]
    """Paths by the name of the count: a key of `usage`."""
    separate: frozenset[TokenPart]
    """Counts that the server does not include in those of the input and the output."""
    error: tuple[EventPath, ...]
    finish: tuple[EventPath, ...]
    end: bytes | None
    """Data of the last event."""

    @property
    def has_end(self) -> bool:
        """Whether a complete stream has an event that says so, and not only the end of the body."""
        return bool(self.finish or self.end)

    @classmethod
    def compile(cls, stream: "Stream") -> "StreamFormat":
        usage = dataclasses.asdict(stream.usage)
        separate = frozenset(usage.pop("separate"))
        return cls(
            new_parser=_PARSERS[stream.format],
            content=tuple(map(EventPath, stream.content)),
            refusal=tuple(map(EventPath, stream.refusal)),
            reasoning=tuple(map(EventPath, stream.reasoning)),
            tool_call=tuple(map(EventPath, stream.tool_call)),
            skip=tuple(map(EventPath, stream.skip)),
            usage=tuple((name, EventPath(path)) for name, paths in usage.items() for path in paths),
            separate=separate,
            error=tuple(map(EventPath, stream.error)),
            finish=tuple(map(EventPath, stream.finish)),
            end=stream.end.encode() if stream.end else None,
        )
