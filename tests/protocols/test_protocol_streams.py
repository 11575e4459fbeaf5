"""Responses of the protocols, written from their documentation and replayed with pauses."""

import json
import zlib
from typing import Any

import pytest

from probe.result import Phase, Reason
from tests.http.conftest import Serve
from tests.prober.test_streams import (
    GAP_SECONDS,
    HEAD,
    STOP,
    TOLERANCE_SECONDS,
    USAGE,
    chunk,
    event,
    stream,
)
from tests.probing import detail, reason, run
from tests.raw_servers import Peer

pytestmark = pytest.mark.timing

JSON_HEAD = HEAD.replace(b"text/event-stream", b"application/x-ndjson")
AWS_HEAD = HEAD.replace(b"text/event-stream", b"application/vnd.amazon.eventstream")
HEADS = {
    "ollama-chat": JSON_HEAD,
    "ollama-generate": JSON_HEAD,
    "bedrock-converse": AWS_HEAD,
    "sagemaker-stream": AWS_HEAD,
}


def frame(payload: bytes, **headers: str) -> bytes:
    """Return a frame of an AWS event stream; `message_type` is the header `:message-type`."""
    encoded = b""
    for name, value in headers.items():
        key = f":{name.replace('_', '-')}".encode()
        encoded += bytes([len(key)]) + key + b"\x07" + len(value).to_bytes(2) + value.encode()
    prelude = (16 + len(encoded) + len(payload)).to_bytes(4) + len(encoded).to_bytes(4)
    prelude += zlib.crc32(prelude).to_bytes(4)
    message = prelude + encoded + payload
    return message + zlib.crc32(message).to_bytes(4)


def aws(event_type: str, document: Any) -> bytes:
    data = json.dumps(document).encode()
    return frame(data, message_type="event", event_type=event_type)


def aws_exception(kind: str, document: Any) -> bytes:
    data = json.dumps(document).encode()
    return frame(data, message_type="exception", exception_type=kind)


def named(document: dict[str, Any]) -> bytes:
    """Return a server-sent event whose type is in its JSON, too."""
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


def line(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"


def payload_part(data: bytes) -> bytes:
    return frame(data, message_type="event", event_type="PayloadPart")


def gemini(text: str, **keys: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **keys}]}


def tgi(text: str, *, special: bool = False, **keys: Any) -> dict[str, Any]:
    return {"token": {"id": 1, "text": text, "special": special}, **keys}


CHAT_PARTS = b"".join(
    f"data: {json.dumps(document)}\n\n".encode()
    for document in (
        {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )
)

# Events before the first token, the first token, events after a pause, expected output tokens and
# finish reason. The text is always "ab".
STREAMS: dict[str, tuple[list[Any], Any, list[Any], int | None, str | None]] = {
    "openai-completions": (
        [],
        {"choices": [{"text": "a"}]},
        [
            {"choices": [{"text": "b", "finish_reason": "length"}]},
            {"choices": [], "usage": {"completion_tokens": 2}},
            b"data: [DONE]\n\n",
        ],
        2,
        "length",
    ),
    "openai-responses": (
        [
            named({"type": "response.created", "response": {"status": "in_progress"}}),
            named({"type": "response.output_item.added", "item": {"type": "message"}}),
        ],
        named({"type": "response.output_text.delta", "delta": "a"}),
        [
            named({"type": "response.output_text.delta", "delta": "b"}),
            named({"type": "response.output_text.done", "text": "ab"}),
            named(
                {
                    "type": "response.completed",
                    "response": {"status": "completed", "usage": {"output_tokens": 2}},
                }
            ),
        ],
        2,
        "completed",
    ),
    "anthropic-messages": (
        [
            named({"type": "message_start", "message": {"usage": {"input_tokens": 5}}}),
            named({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}),
            named({"type": "ping"}),
        ],
        named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
        [
            named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}}),
            named({"type": "content_block_stop", "index": 0}),
            named(
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 2},
                }
            ),
            named({"type": "message_stop"}),
        ],
        2,
        "end_turn",
    ),
    "ollama-chat": (
        [],
        line({"message": {"content": "a"}, "done": False}),
        [
            line({"message": {"content": "b"}, "done": False}),
            line(
                {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 2}
            ),
        ],
        2,
        "stop",
    ),
    "ollama-generate": (
        [],
        line({"response": "a", "done": False}),
        [
            line({"response": "b", "done": False}),
            line({"response": "", "done": True, "done_reason": "length", "eval_count": 2}),
        ],
        2,
        "length",
    ),
    "tgi": (
        [],
        tgi("a"),
        [
            tgi("b"),
            tgi(
                "</s>",
                special=True,
                generated_text="ab",
                details={"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 4},
            ),
        ],
        3,
        "eos_token",
    ),
    "triton-generate": ([], {"text_output": "a"}, [{"text_output": "b"}], None, None),
    "gemini": (
        [],
        gemini("a"),
        [{**gemini("b", finishReason="STOP"), "usageMetadata": {"candidatesTokenCount": 2}}],
        2,
        "STOP",
    ),
    "bedrock-converse": (
        [aws("messageStart", {"role": "assistant"})],
        aws("contentBlockDelta", {"delta": {"text": "a"}, "contentBlockIndex": 0}),
        [
            aws("contentBlockDelta", {"delta": {"text": "b"}, "contentBlockIndex": 0}),
            aws("contentBlockStop", {"contentBlockIndex": 0}),
            aws("messageStop", {"stopReason": "end_turn"}),
            aws("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2}}),
        ],
        2,
        "end_turn",
    ),
    "sagemaker-stream": (
        [payload_part(b'data: {"choices": [{"del')],
        payload_part(b'ta": {"content": "a"}}]}\n\n'),
        [payload_part(CHAT_PARTS[:20]), payload_part(CHAT_PARTS[20:])],
        2,
        "stop",
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(serve: Serve, name: str) -> None:
    """Tokens are found and timed, and usage and finish reason are read."""
    before, first, after, tokens, finish = STREAMS[name]
    parts = (*before, GAP_SECONDS, first, GAP_SECONDS, *after)
    server = serve(stream(*parts, head=HEADS.get(name, HEAD)))
    fields = {"prompt": "hi"} if name == "tgi" else {"model": "m", "prompt": "hi"}
    result = run(server.url(""), protocol={name: fields}, expect={"body_matches": "^ab$"})

    assert result.failure is None
    assert result.stream
    assert (result.stream.tokens.output, result.stream.finish_reason) == (tokens, finish)
    assert result.stream.longest_gap == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)
    (request,) = server.requests
    assert "hi" in request.body.decode()


@pytest.mark.parametrize(
    ("name", "summary", "tokens"),
    [
        (
            "openai-responses",
            named({"type": "response.reasoning_summary_text.delta", "delta": "x"}),
            [
                *[named({"type": "response.output_text.delta", "delta": text}) for text in "ab"],
                named(
                    {
                        "type": "response.completed",
                        "response": {
                            "status": "completed",
                            "usage": {
                                "output_tokens": 202,
                                "output_tokens_details": {"reasoning_tokens": 200},
                            },
                        },
                    }
                ),
            ],
        ),
        (
            "gemini",
            {"candidates": [{"content": {"parts": [{"text": "x", "thought": True}]}}]},
            [
                gemini("a"),
                gemini("b"),
                {
                    "candidates": [{"finishReason": "STOP"}],
                    "usageMetadata": {"candidatesTokenCount": 2, "thoughtsTokenCount": 200},
                },
            ],
        ),
    ],
    ids=["openai-responses", "gemini"],
)
def test_summaries_of_reasoning(serve: Serve, name: str, summary: Any, tokens: list[Any]) -> None:
    """They are no tokens: the number of their tokens is not in usage."""
    first, second, end = tokens
    parts = (summary, 2 * GAP_SECONDS, first, GAP_SECONDS, second, end)
    server = serve(stream(*parts))
    fields = {"model": "m", "prompt": "hi"}
    result = run(server.url(""), protocol={name: fields}, expect={"body_matches": "^ab$"})

    assert result.failure is None
    assert result.stream
    assert result.stream.time_per_output_token == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)
    assert result.stream.tokens.output == 202


def test_content_in_parts(serve: Serve) -> None:
    """Some servers of openai-chat send a list of parts, and reasoning in parts of another type."""
    parts = [{"type": "text", "text": "a"}], [{"type": "text", "text": "b"}]
    tokens = [{"choices": [{"delta": {"content": part}}]} for part in parts]
    server = serve(stream(tokens[0], GAP_SECONDS, tokens[1], STOP, USAGE))
    fields = {"model": "m", "prompt": "hi"}
    result = run(server.url(""), protocol={"openai-chat": fields}, expect={"body_matches": "^ab$"})

    assert result.failure is None
    assert result.phases[Phase.GENERATE] == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("openai-chat", ({"choices": [{"delta": {"refusal": "I cannot"}}]}, STOP)),
        (
            "openai-responses",
            (
                named({"type": "response.refusal.delta", "delta": "I cannot"}),
                named({"type": "response.completed", "response": {"status": "completed"}}),
            ),
        ),
    ],
)
def test_refusals(serve: Serve, name: str, parts: tuple[Any, ...]) -> None:
    """The text is in another event or key, and the finish reason is that of a success."""
    server = serve(stream(*parts))
    result = run(server.url(""), protocol={name: {"model": "m", "prompt": "hi"}})

    assert reason(result) is Reason.ASSERTION
    assert detail(result) == "the finish reason is refusal"


GEMINI_ERROR = {"error": {"code": 503, "message": "no capacity", "status": "UNAVAILABLE"}}
ERRORS: tuple[tuple[str, Any, Reason, str], ...] = (
    (
        "openai-responses",
        named({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}),
        Reason.RATE_LIMITED,
        "slow down",
    ),
    (
        "openai-responses",
        named(
            {
                "type": "response.failed",
                "response": {"error": {"code": "server_error", "message": "it broke"}},
            }
        ),
        Reason.STREAM_ERROR,
        "it broke",
    ),
    (
        "openai-responses",
        named(
            {
                "type": "response.incomplete",
                "response": {
                    "status": "incomplete",
                    "incomplete_details": {"reason": "content_filter"},
                },
            }
        ),
        Reason.ASSERTION,
        "content_filter",
    ),
    (
        "anthropic-messages",
        named({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
        Reason.OVERLOADED,
        "busy",
    ),
    ("ollama-chat", line({"error": "runner has stopped"}), Reason.STREAM_ERROR, "has stopped"),
    (
        "tgi",
        {"error": "Model is busy", "error_type": "overloaded"},
        Reason.OVERLOADED,
        "Model is busy",
    ),
    (
        "tgi",
        {"error": "too long", "error_type": "validation"},
        Reason.STREAM_ERROR,
        "too long (validation)",
    ),
    ("triton-generate", {"error": "out of memory"}, Reason.STREAM_ERROR, "out of memory"),
    (
        "gemini",
        json.dumps(GEMINI_ERROR, indent=2).encode(),
        Reason.OVERLOADED,
        "no capacity (UNAVAILABLE)",
    ),
    (
        "gemini",
        json.dumps([GEMINI_ERROR], indent=2).replace("[\n  {", "[{").encode() + b"\n",
        Reason.OVERLOADED,
        "no capacity (UNAVAILABLE)",
    ),
    (
        "gemini",
        {"promptFeedback": {"blockReason": "SAFETY"}},
        Reason.ASSERTION,
        "the finish reason is SAFETY",
    ),
    (
        "bedrock-converse",
        aws_exception("throttlingException", {"message": "too many requests"}),
        Reason.RATE_LIMITED,
        "too many requests (throttlingException)",
    ),
    (
        "bedrock-converse",
        aws_exception("serviceUnavailableException", {"message": "try later"}),
        Reason.OVERLOADED,
        "try later",
    ),
    (
        "bedrock-converse",
        aws_exception("modelStreamErrorException", {"message": "it broke"}),
        Reason.STREAM_ERROR,
        "it broke",
    ),
    (
        "bedrock-converse",
        aws("messageStop", {"stopReason": "guardrail_intervened"}),
        Reason.ASSERTION,
        "guardrail_intervened",
    ),
    (
        "sagemaker-stream",
        aws_exception("ModelStreamError", {"ErrorCode": "ModelInvocationTimeExceeded"}),
        Reason.STREAM_ERROR,
        "ModelInvocationTimeExceeded",
    ),
)


@pytest.mark.parametrize(
    "case", ERRORS, ids=[f"{index} {item[0]}" for index, item in enumerate(ERRORS)]
)
@pytest.mark.parametrize("after_token", [False, True], ids=["first", "after a token"])
def test_errors(serve: Serve, case: tuple[str, Any, Reason, str], after_token: bool) -> None:
    """Each documented error has its reason, and its text is in the message."""
    name, error, expected, message = case
    tokens = [STREAMS[name][1]] if after_token and name != "sagemaker-stream" else []
    server = serve(stream(*tokens, error, head=HEADS.get(name, HEAD)))
    fields = {"prompt": "hi"} if name == "tgi" else {"model": "m", "prompt": "hi"}
    result = run(server.url(""), protocol={name: fields})

    assert reason(result) is expected, result.failure
    assert message in detail(result)


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "triton-generate"])
def test_truncated(serve: Serve, name: str) -> None:
    """A stream that ends after its first token is not complete."""
    before, first, *_ = STREAMS[name]
    server = serve(stream(*before, first, head=HEADS.get(name, HEAD)))
    fields = {"prompt": "hi"} if name == "tgi" else {"model": "m", "prompt": "hi"}

    assert reason(run(server.url(""), protocol={name: fields})) is Reason.TRUNCATED


@pytest.mark.parametrize("name", STREAMS)
def test_a_closed_connection(serve: Serve, name: str) -> None:
    """No protocol takes a body that is cut after the first token for a complete stream."""
    before, first, *_ = STREAMS[name]

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEADS.get(name, HEAD))
        for part in (*before, first):
            peer.send(chunk(part if isinstance(part, bytes) else event(part)))
        peer.connection.close()

    fields = {"prompt": "hi"} if name == "tgi" else {"model": "m", "prompt": "hi"}

    assert reason(run(serve(script).url(""), protocol={name: fields})) is Reason.TRUNCATED
