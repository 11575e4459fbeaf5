"""Objectives of load tests."""

from datetime import UTC, datetime

import pytest

from probe.load.objective import LoadObjective
from probe.result import Failure, Phase, Reason, Result, Signal, StreamResult, TokenCounts

STREAM = StreamResult(
    time_to_first_byte=0.05,
    time_to_first_chunk=0.1,
    time_to_first_token=0.1,
    time_to_first_output_token=0.1,
    time_per_output_token=0.02,
    longest_gap=None,
    chunks=3,
    merged_events=0,
    tokens=TokenCounts(),
    finish_reason=None,
)


def result(
    *, seconds: float = 0.1, reason: Reason | None = None, stream: StreamResult | None = None
) -> Result:
    return Result(
        probe="model",
        started=datetime.now(UTC),
        phases={Phase.WAIT: seconds},
        failure=Failure(reason=reason, detail="") if reason else None,
        stream=stream,
    )


@pytest.mark.parametrize(
    "text",
    ["95% < 120ms", "99.9%", "95% time_to_first_token < 250ms", "99% time_per_output_token < 40ms"],
)
def test_text(text: str) -> None:
    """The text of an objective is that of --slo."""
    assert LoadObjective.parse(text).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p95 < 1s", 'write "95% < 1s"'),
        ("100% < 1s", "no number of requests shows this target; write one such as 99%"),
        ("95% < 0s", "write one such as 500ms"),
        ("95% < 120", "write a number with a unit"),
        ("95% latency < 1s", "not an objective"),
        ("fast", "not an objective"),
    ],
)
def test_invalid_text(text: str, message: str) -> None:
    """A mistake is explained."""
    with pytest.raises(ValueError, match=message):
        LoadObjective.parse(text)


def test_error_limit() -> None:
    """The limit of errors allows its share, and only failures are bad."""
    limit = LoadObjective.error_limit(0.001)
    assert (limit.allowed, limit.text) == (0.001, "errors <= 0.1%")
    assert limit.is_good(result(seconds=9), 0.0) is True
    assert limit.is_good(result(reason=Reason.RESET), 0.0) is False


def test_latency_counts_from_the_due_time() -> None:
    """The delay of the start is part of the latency."""
    objective = LoadObjective.parse("95% < 120ms")
    assert objective.is_good(result(seconds=0.1), 0.019) is True
    assert objective.is_good(result(seconds=0.1), 0.021) is False


def test_stream_signals() -> None:
    """The first token counts from the due time. The time per token has no start."""
    first_token = LoadObjective.parse("95% time_to_first_token < 120ms")
    assert first_token.is_good(result(stream=STREAM), 0.019) is True
    assert first_token.is_good(result(stream=STREAM), 0.021) is False
    per_token = LoadObjective.parse("95% time_per_output_token < 25ms")
    assert per_token.is_good(result(stream=STREAM), 9.0) is True


def test_success_without_the_signal_is_no_event() -> None:
    """A response without a time per token is neither good nor bad."""
    objective = LoadObjective(
        target=0.95, signal=Signal.TIME_PER_OUTPUT_TOKEN, threshold_seconds=0.1
    )
    assert objective.is_good(result(), 0.0) is None
    assert objective.is_good(result(reason=Reason.TRUNCATED), 0.0) is False
