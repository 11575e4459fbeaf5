"""What the events of a stream mean: where their JSON has the text, the usage and the errors."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.config.choices import TokenPart
from probe.http.aws_event_stream import AwsEventStreamParser, AwsSseParser
from probe.http.stream import EventParser, NdjsonParser, SseParser
from probe.prober.stream_paths import EventPath, EventPaths

if TYPE_CHECKING:
    from probe.config.response_settings import Stream

_PARSERS: dict[str, type[EventParser]] = {
    "sse": SseParser,
    "ndjson": NdjsonParser,
    "aws-event-stream": AwsEventStreamParser,
    "aws-event-stream-sse": AwsSseParser,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """The compiled `stream` of a probe."""

    new_parser: type[EventParser]
    paths: EventPaths
    """Paths by their keys in `stream`. The keys in `usage` have a prefix: `usage.input`."""
    usage: tuple[tuple[str, str], ...]
    """The keys in `usage`, without and with the prefix."""
    separate: frozenset[TokenPart]
    """Counts that the server does not include in those of the input and the output."""
    has_finish: bool
    """Whether events have a finish reason."""
    end: bytes | None
    """Data of the last event."""

    @property
    def has_end(self) -> bool:
        """Whether a complete stream has an event that says so, and not only the end of the body."""
        return self.has_finish or self.end is not None

    @classmethod
    def compile(cls, stream: "Stream") -> "StreamFormat":
        usage = dataclasses.asdict(stream.usage)
        separate = frozenset(usage.pop("separate"))
        usage_keys = tuple((key, f"usage.{key}") for key in usage)
        texts = {
            "content": stream.content,
            "refusal": stream.refusal,
            "reasoning": stream.reasoning,
            "tool_call": stream.tool_call,
            "skip": stream.skip,
            "error": stream.error,
            "finish": stream.finish,
            **{prefixed: usage[key] for key, prefixed in usage_keys},
        }
        return cls(
            new_parser=_PARSERS[stream.format],
            paths=EventPaths(
                (key, EventPath(path)) for key, paths in texts.items() for path in paths
            ),
            usage=usage_keys,
            separate=separate,
            has_finish=bool(stream.finish),
            end=stream.end.encode() if stream.end else None,
        )
