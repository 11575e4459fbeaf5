"""Numbers of tokens in streams, as the servers document them, and their cost."""

from decimal import Decimal
from typing import Any

import pytest

from probe.clock import Clock
from probe.metrics import catalogue
from probe.metrics.stream_metrics import StreamMetrics
from probe.result import STREAM_SIGNALS, Result, TokenCounts
from probe.scheduler.spending import SpendingMeter
from probe.scheduler.token_estimate import NO_ESTIMATE
from tests.http.conftest import Serve
from tests.prober.test_streams import HEAD, stream
from tests.probing import run
from tests.protocols.test_expansion import read
from tests.protocols.test_protocol_streams import HEADS, STREAMS, aws, gemini, line, named, tgi

# Prices at which the digits of a cost are those of the numbers of tokens.
PRICE = {"input": 1, "cached": 0.01, "output": 10000, "per": "1", "currency": "USD"}

OPENAI_USAGE = {
    "prompt_tokens": 80,
    "completion_tokens": 9,
    "total_tokens": 89,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0},
}
OPENAI_TOKENS = TokenCounts(input=80, output=9, cached=64, reasoning=5)
ANTHROPIC_INPUT = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 6,
    "cache_read_input_tokens": 64,
}
ANTHROPIC_TOKENS = TokenCounts(input=80, output=9, cached=64)
CHAT_END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def anthropic(start: dict[str, int], end: dict[str, int]) -> list[bytes]:
    """Return the events of a message with the usage of its start and of its end."""
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        named({"type": "message_start", "message": {"usage": start}}),
        STREAMS["anthropic-messages"][1],
        named({"type": "message_delta", "delta": delta, "usage": end}),
        named({"type": "message_stop"}),
    ]


def gemini_end(**usage: int) -> list[Any]:
    return [gemini("a"), {**gemini("b", finishReason="STOP"), "usageMetadata": usage}]


# Protocol, events, and the numbers that a result has.
USAGES: dict[str, tuple[str, list[Any], TokenCounts]] = {
    "OpenAI: input contains cached tokens, and output reasoning": (
        "openai-chat",
        [
            {"choices": [{"delta": {"content": "a"}}]},
            CHAT_END,
            {"choices": [], "usage": OPENAI_USAGE},
        ],
        OPENAI_TOKENS,
    ),
    "completions": (
        "openai-completions",
        [
            {"choices": [{"text": "a", "finish_reason": "stop"}]},
            {"choices": [], "usage": OPENAI_USAGE},
        ],
        OPENAI_TOKENS,
    ),
    "llama.cpp: a cached prompt in its timings only": (
        "openai-chat",
        [
            {"choices": [{"delta": {"content": "a"}}]},
            {
                **CHAT_END,
                "usage": {"prompt_tokens": 80, "completion_tokens": 9},
                "timings": {"cache_n": 64, "prompt_n": 16, "predicted_n": 9},
            },
        ],
        TokenCounts(input=80, output=9, cached=64),
    ),
    "responses": (
        "openai-responses",
        [
            named({"type": "response.output_text.delta", "delta": "a"}),
            named(
                {
                    "type": "response.completed",
                    "response": {
                        "status": "completed",
                        "usage": {
                            "input_tokens": 80,
                            "input_tokens_details": {"cached_tokens": 64},
                            "output_tokens": 9,
                            "output_tokens_details": {"reasoning_tokens": 5},
                            "total_tokens": 89,
                        },
                    },
                }
            ),
        ],
        OPENAI_TOKENS,
    ),
    "Anthropic: input contains no cached tokens": (
        "anthropic-messages",
        anthropic({**ANTHROPIC_INPUT, "output_tokens": 1}, {"output_tokens": 9}),
        ANTHROPIC_TOKENS,
    ),
    "Anthropic: the end repeats the numbers": (
        "anthropic-messages",
        anthropic({**ANTHROPIC_INPUT, "output_tokens": 1}, {**ANTHROPIC_INPUT, "output_tokens": 9}),
        ANTHROPIC_TOKENS,
    ),
    "Anthropic: a gateway has the numbers at the end": (
        "anthropic-messages",
        anthropic({"input_tokens": 0}, {**ANTHROPIC_INPUT, "output_tokens": 9}),
        ANTHROPIC_TOKENS,
    ),
    "Bedrock: input contains no cached tokens": (
        "bedrock-converse",
        [
            STREAMS["bedrock-converse"][1],
            aws("messageStop", {"stopReason": "end_turn"}),
            aws(
                "metadata",
                {
                    "usage": {
                        "inputTokens": 10,
                        "outputTokens": 9,
                        "totalTokens": 89,
                        "cacheReadInputTokens": 64,
                        "cacheWriteInputTokens": 6,
                    },
                    "metrics": {"latencyMs": 12},
                },
            ),
        ],
        ANTHROPIC_TOKENS,
    ),
    "Gemini: output contains no thoughts": (
        "gemini",
        gemini_end(
            promptTokenCount=80,
            cachedContentTokenCount=64,
            candidatesTokenCount=4,
            thoughtsTokenCount=5,
            totalTokenCount=89,
        ),
        OPENAI_TOKENS,
    ),
    "Gemini: nothing but thoughts": (
        "gemini",
        gemini_end(promptTokenCount=80, thoughtsTokenCount=9, totalTokenCount=89),
        TokenCounts(input=80, output=9, reasoning=9),
    ),
    "Ollama: input contains cached tokens": (
        "ollama-chat",
        [
            line({"message": {"content": "a"}, "done": False}),
            line(
                {
                    "message": {"content": ""},
                    "done": True,
                    "done_reason": "stop",
                    "prompt_eval_count": 80,
                    "prompt_eval_cached_count": 64,
                    "eval_count": 9,
                }
            ),
        ],
        TokenCounts(input=80, output=9, cached=64),
    ),
    "TGI: no cached tokens": (
        "tgi",
        [
            tgi(
                "a",
                generated_text="a",
                details={"finish_reason": "length", "generated_tokens": 9, "input_length": 80},
            )
        ],
        TokenCounts(input=80, output=9),
    ),
}


def probe(serve: Serve, name: str, events: list[Any], **keys: Any) -> Result:
    server = serve(stream(*events, head=HEADS.get(name, HEAD)))
    fields = {"prompt": "hi"} if name == "tgi" else {"model": "m", "prompt": "hi"}
    return run(server.url(""), protocol={name: fields}, **keys)


@pytest.mark.parametrize("case", USAGES)
def test_usage(serve: Serve, case: str) -> None:
    """Cached tokens are a part of the input, and reasoning of the output, in counters and cost."""
    name, events, expected = USAGES[case]
    result = probe(serve, name, events)

    assert result.failure is None
    assert result.stream
    assert result.stream.tokens == expected
    metrics = StreamMetrics((1.0,), dict.fromkeys(STREAM_SIGNALS, ()))
    metrics.record(result, {})
    lines = metrics.lines(catalogue.TOKENS, 'probe="m"', with_exemplars=False)
    counters = "".join(lines)
    for kind in ("input", "output", "cached", "reasoning"):
        assert f'{{probe="m",kind="{kind}"}} {float(getattr(expected, kind) or 0)}\n' in counters
    meter = SpendingMeter(read(name, price=PRICE), NO_ESTIMATE, Clock())
    spending = meter.settle(None, result)
    assert spending
    assert (spending.input, spending.output) == (80, 9)
    assert not spending.estimated
    cached = 64 if expected.cached else 0
    assert meter.totals().cost == 80 - cached + cached * Decimal("0.01") + 90000


def test_separate_numbers_of_another_format(serve: Serve) -> None:
    """A config states which numbers its server does not count as parts."""
    usage = {"input": "$.i", "output": "$.o", "cached": "$.c", "reasoning": "$.r"}
    events = [{"t": "a", "i": 10, "o": 4, "c": 3, "r": 2}]

    def tokens(*separate: str) -> TokenCounts:
        stream_format = {"content": "$.t", "usage": {**usage, "separate": list(separate)}}
        result = probe(serve, "openai-chat", events, stream=stream_format)
        assert result.stream
        return result.stream.tokens

    assert tokens() == TokenCounts(input=10, output=4, cached=3, reasoning=2)
    assert tokens("cached") == TokenCounts(input=13, output=4, cached=3, reasoning=2)
    assert tokens("cached", "reasoning") == TokenCounts(input=13, output=6, cached=3, reasoning=2)


def test_a_part_that_is_larger_than_its_whole(serve: Serve) -> None:
    """The server counts it separately, whatever the config says."""
    details = {"cached_tokens": 64}
    usage = {"prompt_tokens": 16, "completion_tokens": 4, "prompt_tokens_details": details}
    events = [{"choices": [{"delta": {"content": "a"}}]}, {**CHAT_END, "usage": usage}]
    result = probe(serve, "openai-chat", events)
    assert result.stream
    assert result.stream.tokens == TokenCounts(input=80, output=4, cached=64)
