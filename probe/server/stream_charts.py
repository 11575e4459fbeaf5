"""Coordinates of the timelines of streams on the page of a probe. Drawn as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from probe.result import Result, StreamResult

# Streams on the page of a probe.
MAX_TIMELINES = 12
# X coordinate of the end of the longest stream. The template stretches it to the available width.
TIMELINE_WIDTH = 1000
TIMELINE_HEIGHT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimeline:
    """One stream on a time axis that begins with its first network action.

    `first_byte`, `first_token` and `end` are x coordinates. `tokens` and `longest_gap` are SVG
    paths; they are empty without tokens and without a gap.
    """

    result: Result
    stream: StreamResult
    first_byte: float
    first_token: float | None
    end: float
    tokens: str
    longest_gap: str


def stream_timelines(results: Sequence[Result]) -> list[StreamTimeline]:
    """Return the timelines of the latest streams in `results`, all on one scale, latest first.

    `results` are in the order of their arrival.
    """
    latest = [result for result in results if result.stream][: -MAX_TIMELINES - 1 : -1]
    longest = max((result.latency for result in latest), default=0.0)
    scale = TIMELINE_WIDTH / longest if longest else 0.0
    return [_timeline(result, result.stream, scale) for result in latest if result.stream]


def _timeline(result: Result, stream: StreamResult, scale: float) -> StreamTimeline:
    first_token = stream.time_to_first_token
    gaps = pairwise(stream.token_times)
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))
    return StreamTimeline(
        result=result,
        stream=stream,
        first_byte=round(stream.time_to_first_byte * scale, 1),
        first_token=None if first_token is None else round(first_token * scale, 1),
        end=round(result.latency * scale, 1),
        tokens="".join(f"M{time * scale:.1f} 1v8" for time in stream.token_times),
        longest_gap=f"M{start * scale:.1f} 5H{end * scale:.1f}" if end > start else "",
    )
