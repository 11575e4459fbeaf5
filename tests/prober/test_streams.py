"""Streams: tokens and their times, deadlines between them, and failures after the status 200."""

import json
from contextlib import closing
from typing import Any

import pytest

from probe.clock import Clock
from probe.http.pool import ConnectionPool
from probe.result import STREAM_PHASES, Phase, Reason, Result
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason, run, run_scheduled
from tests.raw_servers import Peer, Script

pytestmark = pytest.mark.timing

GAP_SECONDS = 0.06
TOLERANCE_SECONDS = 0.03

OPENAI: dict[str, Any] = {
    "content": "$.choices[*].delta.content",
    "refusal": "$.choices[*].delta.refusal",
    "reasoning": ["$.choices[*].delta.reasoning_content", "$.choices[*].delta.reasoning"],
    "tool_call": "$.choices[*].delta.tool_calls",
    "usage": {
        "input": "$.usage.prompt_tokens",
        "output": "$.usage.completion_tokens",
        "cached": "$.usage.prompt_tokens_details.cached_tokens",
        "reasoning": "$.usage.completion_tokens_details.reasoning_tokens",
    },
    "error": "$.error",
    "finish": "$.choices[*].finish_reason",
    "end": "[DONE]",
}
OLLAMA: dict[str, Any] = {
    "format": "ndjson",
    "content": "$.message.content",
    "usage": {"input": "$.prompt_eval_count", "output": "$.eval_count"},
    "error": "$.error",
    "finish": "$.done_reason",
}
TRITON: dict[str, Any] = {"content": "$.text_output", "error": "$.error"}

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ROLE = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"


def token(text: str = "a", **delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text, **delta}}]}


def event(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(*parts: Any, head: bytes = HEAD, end: bytes = b"0\r\n\r\n") -> Script:
    """Return a script that sends `parts` as chunks: bytes, events, and pauses (seconds)."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(head)
            for part in parts:
                if isinstance(part, float):
                    peer.pause(part)
                else:
                    peer.send(chunk(part if isinstance(part, bytes) else event(part)))
            peer.send(end)

    return script


def lines(*documents: Any) -> list[bytes]:
    return [json.dumps(document).encode() + b"\n" for document in documents]


def probe(serve: Serve, script: Script, config: Any = None, **keys: Any) -> Result:
    return run(serve(script).url(), stream=config or OPENAI, **keys)


COMPLETE = (ROLE, token(), token(), token(), STOP, USAGE, DONE)


def test_times_and_counts(serve: Serve) -> None:
    """Tokens are timed from the first to the last one, and counted by the server's usage."""
    result = probe(
        serve,
        stream(
            ROLE, GAP_SECONDS, token(), GAP_SECONDS, token(), 2 * GAP_SECONDS, token(), STOP, USAGE
        ),
    )

    assert result.failure is None
    assert [*result.phases] == [Phase.CONNECT, Phase.SEND, Phase.WAIT, *STREAM_PHASES]
    measured = result.stream
    assert measured
    before = sum(result.phases[phase] for phase in (Phase.CONNECT, Phase.SEND, Phase.WAIT))
    assert measured.time_to_first_byte == pytest.approx(before)
    assert measured.time_to_first_chunk
    assert measured.time_to_first_chunk < before + TOLERANCE_SECONDS
    assert measured.time_to_first_token == pytest.approx(before + result.phases[Phase.FIRST_TOKEN])
    assert result.phases[Phase.FIRST_TOKEN] == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)
    assert result.phases[Phase.GENERATE] == pytest.approx(3 * GAP_SECONDS, abs=TOLERANCE_SECONDS)
    assert measured.time_per_output_token == pytest.approx(result.phases[Phase.GENERATE] / 2)
    assert measured.longest_gap == pytest.approx(2 * GAP_SECONDS, abs=TOLERANCE_SECONDS)
    assert (measured.tokens.input, measured.tokens.output, measured.tokens.cached) == (7, 3, None)
    assert (measured.chunks, measured.finish_reason) == (6, "stop")


def test_latency_ends_with_the_last_token(serve: Serve) -> None:
    """Finish reason, usage and the end of the body may be later."""
    result = probe(serve, stream(token(), token(), GAP_SECONDS, STOP, 0.2, USAGE, DONE))

    assert result.failure is None
    assert result.latency < GAP_SECONDS
    assert result.stream
    assert result.stream.tokens.output == 3


def test_a_complete_stream_needs_no_end_of_the_body(serve: Serve) -> None:
    """A server that keeps the body open after [DONE] costs a second, and no failure."""
    result = probe(serve, stream(token(), token(), STOP, DONE, 5.0), timeout="4s")

    assert result.failure is None
    assert result.latency < GAP_SECONDS


@pytest.mark.parametrize(
    "end",
    [(STOP,), (STOP, DONE), (STOP, USAGE, DONE), ({**STOP, "usage": USAGE["usage"]},)],
    ids=["finish", "finish and end", "usage", "usage in finish"],
)
def test_ends_of_a_stream(serve: Serve, end: tuple[Any, ...]) -> None:
    """A finish reason is enough."""
    assert probe(serve, stream(token(), *end)).failure is None


@pytest.mark.parametrize(
    "role",
    [
        ROLE,
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"delta": {"role": "assistant", "content": None}}]},
        {"choices": None, "usage": None},
        PING,
        b"data:\n\n",
        b"event: ping\ndata: {}\n\n",
    ],
)
def test_events_without_tokens(serve: Serve, role: Any) -> None:
    """They do not end the wait for the first token."""
    result = probe(serve, stream(role, GAP_SECONDS, token(), STOP))

    assert result.failure is None
    assert result.phases[Phase.FIRST_TOKEN] > GAP_SECONDS - TOLERANCE_SECONDS


@pytest.mark.parametrize(
    ("delta", "is_output"),
    [
        ({"reasoning_content": "hm"}, False),
        ({"reasoning": "hm"}, False),
        ({"content": None, "tool_calls": [{"index": 0}]}, True),
    ],
)
def test_reasoning_and_tool_calls_are_tokens(
    serve: Serve, delta: dict[str, Any], is_output: bool
) -> None:
    """Reasoning is no output, however."""
    first = {"choices": [{"delta": delta}]}
    result = probe(serve, stream(first, GAP_SECONDS, token(), STOP))

    assert result.failure is None
    assert result.stream
    assert result.stream.time_to_first_token
    assert result.stream.time_to_first_output_token
    later = result.stream.time_to_first_output_token - result.stream.time_to_first_token
    assert later == pytest.approx(0 if is_output else GAP_SECONDS, abs=TOLERANCE_SECONDS)


def test_text_with_the_finish_reason(serve: Serve) -> None:
    """The last token may be in the event with the finish reason."""
    last = {"choices": [{"delta": {"content": "b"}, "finish_reason": "length"}]}
    result = probe(serve, stream(token(), GAP_SECONDS, last, DONE), expect={"body_matches": "^ab$"})

    assert result.failure is None
    assert result.phases[Phase.GENERATE] > GAP_SECONDS - TOLERANCE_SECONDS


def test_everything_in_one_read(serve: Serve) -> None:
    """The time per token is unknown then."""
    result = probe(serve, stream(b"".join([*map(event, COMPLETE[:-1]), DONE])))

    assert result.failure is None
    assert result.stream
    assert result.stream.time_per_output_token is None
    assert result.stream.longest_gap is None
    assert result.stream.merged_events == 6


@pytest.mark.parametrize("usage", [{}, {"completion_tokens": 1}, {"completion_tokens": "3"}])
def test_unknown_number_of_tokens(serve: Serve, usage: dict[str, Any]) -> None:
    """Chunks are never counted as tokens."""
    last = {"choices": [], "usage": usage}
    result = probe(serve, stream(token(), 0.02, token(), STOP, last))

    assert result.failure is None
    assert result.stream
    assert result.stream.time_per_output_token is None


@pytest.mark.parametrize(("finish", "gaps"), [("stop", 2), ("length", 3)])
def test_the_token_that_ends_a_response_has_no_text(serve: Serve, finish: str, gaps: int) -> None:
    """Servers count it. Three events and four tokens are two gaps, unless the limit was reached."""
    tokens = (token(), GAP_SECONDS, token(), GAP_SECONDS, token())
    last = {"choices": [{"delta": {}, "finish_reason": finish}], "usage": {"completion_tokens": 4}}
    result = probe(serve, stream(*tokens, last))

    assert result.failure is None
    assert result.stream
    assert result.stream.tokens.output == 4
    expected = result.phases[Phase.GENERATE] / gaps
    assert result.stream.time_per_output_token == pytest.approx(expected)


def test_one_byte_per_read(serve: Serve) -> None:
    """An event is complete with its empty line."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        peer.drip(event(token("é")) + event(STOP), gap=0.001)
        peer.connection.close()

    result = probe(serve, script, expect={"body_matches": "^é$"})

    assert result.failure is None


def test_ndjson(serve: Serve) -> None:
    """Each line is an event; the last one has the counts."""
    last = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2}
    documents = lines({"message": {"content": "a"}}, {"message": {"content": "b"}}, last)
    head = HEAD.replace(b"text/event-stream", b"application/json")
    result = probe(serve, stream(documents[0], GAP_SECONDS, *documents[1:], head=head), OLLAMA)

    assert result.failure is None
    assert result.stream
    assert result.stream.time_per_output_token == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)


def test_a_format_without_an_end(serve: Serve) -> None:
    """The end of the body is the end of the stream."""
    result = probe(serve, stream({"text_output": "a"}, {"text_output": "b"}), TRITON)

    assert result.failure is None


def test_an_incomplete_body_of_a_format_without_an_end(serve: Serve) -> None:
    """Only the framing of the body shows that the server has stopped."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + chunk(event({"text_output": "a"})))
        peer.connection.close()

    result = probe(serve, script, TRITON)

    assert reason(result) is Reason.TRUNCATED
    assert detail(result) == "the stream ended before the end of the body, after 1 chunk"


def test_the_connection_is_reused(serve: Serve) -> None:
    """A stream that was read to the end of the body returns its connection."""
    server = serve(stream(*COMPLETE))
    with closing(ConnectionPool(Clock())) as pool:
        prober = make_prober(server.url(), stream=OPENAI, pool=pool)
        assert [run_scheduled(prober).failure for _ in range(3)] == [None] * 3
    assert server.connections == 1


def test_first_token_timeout(serve: Serve) -> None:
    """Headers and pings do not end it."""
    parts = (ROLE, *(PING, 0.05) * 20, token(), STOP)
    result = probe(serve, stream(*parts), first_token_timeout="200ms")

    assert reason(result) is Reason.FIRST_TOKEN_TIMEOUT
    assert detail(result) == "no token came within 0.2 s (`first_token_timeout`)"
    assert result.latency == pytest.approx(0.2, abs=TOLERANCE_SECONDS)
    assert [*result.phases][-1] is Phase.FIRST_TOKEN


def test_first_token_timeout_before_the_headers(serve: Serve) -> None:
    """Some servers send the headers with the first token."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.silence()

    result = probe(serve, script, first_token_timeout="150ms")

    assert reason(result) is Reason.FIRST_TOKEN_TIMEOUT
    assert result.latency == pytest.approx(0.15, abs=TOLERANCE_SECONDS)


def test_the_deadline_before_the_first_token(serve: Serve) -> None:
    """`timeout` has the same reason then."""
    result = probe(serve, stream(ROLE, 1.0), timeout="200ms")

    assert reason(result) is Reason.FIRST_TOKEN_TIMEOUT
    assert detail(result) == "the deadline of 0.2 s passed while waiting for the first token"


def test_stall_timeout(serve: Serve) -> None:
    """Pings do not end a pause."""
    parts = (token(), 0.1, token(), 0.1, token(), *(PING, 0.05) * 20, STOP)
    result = probe(serve, stream(*parts), stall_timeout="200ms")

    assert reason(result) is Reason.STALL_TIMEOUT
    assert detail(result) == "no token came for 0.2 s (`stall_timeout`), after 3 chunks"
    assert result.latency == pytest.approx(0.4, abs=2 * TOLERANCE_SECONDS)


def test_the_deadline_between_tokens(serve: Serve) -> None:
    """A stream that takes too long although its tokens come in time."""
    result = probe(serve, stream(*(token(), 0.05) * 20), timeout="300ms", stall_timeout="200ms")

    assert reason(result) is Reason.BODY_TIMEOUT
    assert detail(result) == "the deadline of 0.3 s passed while receiving tokens"


ERRORS: dict[str, tuple[Any, dict[str, Any], Reason]] = {
    "vllm": (
        {"error": {"message": "bad", "type": "InternalServerError", "param": None, "code": 500}},
        OPENAI,
        Reason.STREAM_ERROR,
    ),
    "anthropic": (
        b'event: error\ndata: {"error": {"type": "overloaded_error", "message": "busy"}}\n\n',
        OPENAI,
        Reason.OVERLOADED,
    ),
    "openai": (
        {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
        OPENAI,
        Reason.RATE_LIMITED,
    ),
    "text": ({"error": "out of memory"}, TRITON, Reason.STREAM_ERROR),
    "gemini": (
        b'{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}\n',
        OPENAI,
        Reason.RATE_LIMITED,
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("first", [True, False], ids=["first", "after a token"])
def test_errors_in_events(serve: Serve, name: str, first: bool) -> None:
    """The status is 200, and the stream may end as if it were complete."""
    error, config, expected = ERRORS[name]
    tokens = [] if first else [{**token(), "text_output": "a"}]
    result = probe(serve, stream(*tokens, error, STOP, DONE), config)

    assert reason(result) is expected
    assert detail(result).startswith("the stream reports an error: ")


def test_secrets_in_errors_are_masked(serve: Serve) -> None:
    """A server may repeat the key that it rejects."""
    error = {"error": {"message": "invalid key s3cret-token-1"}}
    headers = {"Authorization": "Bearer s3cret-token-1"}
    result = probe(serve, stream(error), headers=headers)

    assert "s3cret" not in detail(result)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((token(), token()), "the stream ended before a finish reason, after 2 chunks"),
        ((token(), DONE), "the stream ended before a finish reason, after 1 chunk"),
        ((token(), b"data: {"), "the stream ended in the middle of an event, after 1 chunk"),
    ],
)
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["complete body", "closed"])
def test_truncated(serve: Serve, parts: tuple[Any, ...], message: str, end: bytes) -> None:
    """The body ends before the stream does, with or without the end of its framing."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"".join(chunk(p if isinstance(p, bytes) else event(p)) for p in parts))
        peer.send(end)
        peer.connection.close()

    result = probe(serve, script)

    assert reason(result) is Reason.TRUNCATED
    assert detail(result) == message


def test_a_reset_after_the_first_token(serve: Serve) -> None:
    """The reason is that of other responses."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + chunk(event(token())))
        peer.pause(0.05)
        peer.reset()

    assert reason(probe(serve, script)) is Reason.RESET


@pytest.mark.parametrize("parts", [(ROLE, STOP, DONE), (STOP,)])
def test_empty(serve: Serve, parts: tuple[Any, ...]) -> None:
    """A complete stream without a token is a failure."""
    result = probe(serve, stream(*parts))

    assert reason(result) is Reason.EMPTY


@pytest.mark.parametrize(
    ("finish", "expect", "message"),
    [
        ("content_filter", {}, "the finish reason is content_filter"),
        ("SAFETY", {}, "the finish reason is SAFETY"),
        ("x" * 99, {"finish": "stop"}, f"the finish reason is {'x' * 64}, not stop"),
        ("a\nb", {"finish": "stop"}, "the finish reason is a b, not stop"),
        ("length", {"finish": "stop"}, "the finish reason is length, not stop"),
        ("stop", {"tokens": {"min": 4}}, "the stream has 3 tokens, less than 4"),
    ],
)
def test_assertions(serve: Serve, finish: str, expect: Any, message: str) -> None:
    """Finish reason and number of tokens can be expected."""
    last = {"choices": [{"delta": {}, "finish_reason": finish}]}
    result = probe(serve, stream(token(), last, USAGE), expect=expect)

    assert reason(result) is Reason.ASSERTION
    assert detail(result) == message


def test_allowed_finish_reasons(serve: Serve) -> None:
    """`expect.finish` replaces the default."""
    last = {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}
    expect = {"finish": ["stop", "content_filter"], "tokens": {"min": 3}}

    assert probe(serve, stream(token(), last, USAGE), expect=expect).failure is None


def test_refusals(serve: Serve) -> None:
    """The text of a refusal is in another key, and the finish reason is that of a success."""
    refusal = [{"choices": [{"delta": {"refusal": text}}]} for text in ("I ", "cannot")]
    result = probe(serve, stream(ROLE, *refusal, STOP, USAGE))

    assert reason(result) is Reason.ASSERTION
    assert detail(result) == "the finish reason is refusal"
    assert result.stream
    assert result.stream.time_to_first_token
    expect = {"finish": "refusal", "body_matches": "^I cannot$"}
    assert probe(serve, stream(ROLE, *refusal, STOP, USAGE), expect=expect).failure is None


@pytest.mark.parametrize("reasons", [("stop", "content_filter"), ("content_filter", "stop")])
def test_a_refusal_counts_before_other_finish_reasons(
    serve: Serve, reasons: tuple[str, str]
) -> None:
    """Filters of some servers report after the model has ended, or for one of several choices."""
    parts = [{"choices": [{"delta": {}, "finish_reason": text}]} for text in reasons]
    result = probe(serve, stream(token(), *parts))

    assert detail(result) == "the finish reason is content_filter"


def test_conditions_on_the_text(serve: Serve) -> None:
    """JSONPaths and patterns apply to the text of all events together."""
    parts = (token('{"answer"'), token(": 4"), token("2}"), STOP)
    expect = {"json": {"$.answer": {"equals": 42}}, "body_matches": "answer"}

    assert probe(serve, stream(*parts), expect=expect).failure is None
    wrong = probe(serve, stream(*parts), expect={"json": {"$.answer": {"equals": 43}}})
    assert reason(wrong) is Reason.ASSERTION


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"Content-Type: application/json", "the response is application/json instead of"),
        (b"Content-Type: text/html; charset=utf-8", "the response is text/html instead of"),
        (b"Content-Type: text/event-stream\r\nContent-Encoding: gzip", "Content-Encoding gzip"),
    ],
)
def test_not_a_stream(serve: Serve, header: bytes, message: str) -> None:
    """The message says what to change."""
    head = HEAD.replace(b"Content-Type: text/event-stream", header)
    result = probe(serve, stream(b'{"choices": []}', head=head))

    assert reason(result) is Reason.ASSERTION
    assert message in detail(result)


def test_a_stream_without_stream_config(serve: Serve) -> None:
    """The response is one body, as before."""
    result = run(serve(stream(*COMPLETE)).url())

    assert result.failure is None
    assert result.stream is None
    assert Phase.RECEIVE in result.phases


def test_other_statuses_are_no_streams(serve: Serve) -> None:
    """The phase and the reason are those of an ordinary response."""
    head = HEAD.replace(b"200 OK", b"503 Overloaded")
    result = probe(serve, stream(b'{"error": "busy"}', head=head))

    assert reason(result) is Reason.OVERLOADED
    assert Phase.RECEIVE in result.phases


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: no JSON\n\n", Reason.STREAM_ERROR),
        (b"data: " + b"[" * 50_000 + b"\n\n", Reason.STREAM_ERROR),
        (b'data: "' + b"x" * 100_000 + b'"\n\n', Reason.STREAM_ERROR),
        (b"data: " + b"x" * 2_000_000, Reason.TOO_LARGE),
        (b": comment\n" * 200_000, Reason.TOO_LARGE),
    ],
    ids=["no JSON", "nested", "long event", "long line", "comments"],
)
def test_hostile_streams(serve: Serve, data: bytes, expected: Reason) -> None:
    """Memory and time are bounded."""
    assert reason(probe(serve, stream(token(), data, STOP))) is expected


def test_the_excerpt_has_head_and_tail(serve: Serve) -> None:
    """The reason for a failure is often at the end."""
    parts = [token(f"word {number}") for number in range(100)]
    result = probe(serve, stream(*parts, {"error": "the last words"}))

    assert result.excerpt
    assert "word 0" in result.excerpt.body
    assert result.excerpt.body.endswith('data: {"error": "the last words"}\n\n')
    assert "[...]" in result.excerpt.body


def test_the_first_token_timeout_in_other_phases(serve: Serve) -> None:
    """The reason is that of the phase, and the message has the deadline that passed."""

    def script(peer: Peer) -> None:
        peer.silence()

    url = serve(script).url().replace("http", "https")
    result = run(
        url, stream=OPENAI, first_token_timeout="150ms", tls={"insecure_skip_verify": True}
    )

    assert reason(result) is Reason.TLS_TIMEOUT
    assert detail(result) == "the deadline of 0.15 s passed while in the TLS handshake"


@pytest.mark.parametrize("reason_of_error", ["error", "abort"])
def test_finish_reasons_of_errors(serve: Serve, reason_of_error: str) -> None:
    """VLLM and gateways end the stream of a request that has failed with them."""
    last = {"choices": [{"delta": {}, "finish_reason": reason_of_error}]}
    assert reason(probe(serve, stream(token(), last, DONE))) is Reason.STREAM_ERROR


def test_tokens_after_the_finish_reason(serve: Serve) -> None:
    """They belong to the latency: a server may send several choices, or a reason in each event."""
    result = probe(serve, stream(token(), STOP, GAP_SECONDS, token(), GAP_SECONDS, token(), DONE))

    assert result.failure is None
    assert result.phases[Phase.GENERATE] == pytest.approx(2 * GAP_SECONDS, abs=TOLERANCE_SECONDS)
    assert result.stream
    assert result.stream.longest_gap == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)


def test_a_first_token_after_the_finish_reason(serve: Serve) -> None:
    """The time to the first token is never longer than the latency."""
    result = probe(serve, stream(STOP, GAP_SECONDS, token()))

    assert result.failure is None
    assert result.stream
    assert result.stream.time_to_first_token == pytest.approx(result.latency)
    assert result.latency > GAP_SECONDS


def test_nothing_after_the_end_matters(serve: Serve) -> None:
    """Neither invalid events nor invalid framing."""
    after = b"data: no JSON\n\n"
    assert probe(serve, stream(token(), STOP, DONE, 0.02, after)).failure is None
    assert probe(serve, stream(token(), STOP, DONE, 0.02, end=b"zzz\r\n")).failure is None


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b""], ids=["complete body", "cut body"])
def test_a_last_line_without_its_end(serve: Serve, end: bytes) -> None:
    """The last document of NDJSON is complete."""

    def script(peer: Peer) -> None:
        peer.request()
        first, last = lines({"message": {"content": "a"}}, {"done_reason": "stop"})
        peer.send(HEAD + chunk(first) + chunk(last.strip()) + end)
        peer.connection.close()

    assert probe(serve, script, OLLAMA).failure is None


def test_an_emoji_in_two_events(serve: Serve) -> None:
    """Some servers divide it into two escapes, of which each is no character."""
    halves = [b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n']
    halves.append(halves[0].replace(b"ud83d", b"ude00"))
    expect = {"body_matches": "^\U0001f600$"}

    assert probe(serve, stream(*halves, STOP), expect=expect).failure is None
    wrong = probe(serve, stream(halves[0], STOP), expect=expect)
    assert reason(wrong) is Reason.ASSERTION


def test_hidden_reasoning(serve: Serve) -> None:
    """Tokens of reasoning that were not sent do not count for the time per token."""
    usage = {"completion_tokens": 203, "completion_tokens_details": {"reasoning_tokens": 200}}
    last = {"choices": [], "usage": usage}
    parts = (token(), GAP_SECONDS, token(), GAP_SECONDS, token(), STOP, last)
    result = probe(serve, stream(*parts))

    assert result.stream
    assert result.stream.time_per_output_token == pytest.approx(GAP_SECONDS, abs=TOLERANCE_SECONDS)


def test_the_event_type_of_an_error(serve: Serve) -> None:
    """It is an error, whatever its data are."""
    event_of_error = b'event: error\ndata: {"message": "it broke"}\n\n'
    result = probe(serve, stream(token(), event_of_error))

    assert reason(result) is Reason.STREAM_ERROR
    assert detail(result) == "the stream reports an error: it broke (error)"


def test_the_type_of_an_error_in_its_json(serve: Serve) -> None:
    """Some gateways leave out the field `event`."""
    error = {"type": "error", "code": "server_error", "message": "it broke"}
    result = probe(serve, stream(token(), error))

    assert reason(result) is Reason.STREAM_ERROR
    assert detail(result) == "the stream reports an error: it broke (server_error)"


def test_secrets_at_the_cuts_of_an_excerpt(serve: Serve) -> None:
    """No part of a secret is left where the middle of the body is omitted."""
    secret = "".join(f"s3cret{number:03}" for number in range(12))
    headers = {"Authorization": f"Bearer {secret}"}
    for offset in range(0, len(secret), 7):
        parts = [token("x" * (300 + offset)), *[token(secret)] * 40, {"error": "x" * offset}]
        result = probe(serve, stream(*parts), headers=headers)
        assert result.excerpt
        assert "s3cret" not in result.excerpt.body


def test_a_redirect_that_is_not_followed(serve: Serve) -> None:
    """It is no stream, although `expect` allows the status."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)

    result = probe(serve, script, expect={"status": [200, 302]})
    assert reason(result) in (Reason.ASSERTION, Reason.HTTP_3XX)
