"""The files in config/examples/ for streams of language models."""

from typing import Any

from probe.result import Reason, TokenCounts
from tests import fake_llm_servers
from tests.example_cases import OVERLOADED, Case
from tests.fake_llm_servers import (
    AWS_HEADERS,
    anthropic_error,
    gemini_error,
    ollama_line,
)
from tests.fake_model_servers import Response, openai_error, sse
from tests.protocols.test_protocol_streams import aws, aws_exception, named

RATE_LIMIT = Response(429, openai_error(429, "requests", "Rate limit reached"))
UNAVAILABLE = Response(503, openai_error(503, "Unavailable", OVERLOADED))
CUT = Response(200, sse({"choices": [{"delta": {"content": "Yes"}}]}))


def stream(*events: Any) -> Response:
    return Response(200, sse(*events), {"Content-Type": "text/event-stream"})


def filtered(finish_reason: str) -> str:
    """Return a stream that ends because the text was filtered."""
    return sse({"choices": [{"delta": {"content": "Y"}, "finish_reason": finish_reason}]})


LLM_CASES = (
    Case(
        file="vllm.yml",
        server=fake_llm_servers.vllm,
        mistakes=(
            ("{env:VLLM_URL} #", "{env:VLLM_URL}/chat #", Reason.HTTP_4XX),
            ("model: ${env:VLLM_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("Bearer ${env:VLLM_KEY}", "Bearer wrong", Reason.HTTP_401_403),
            ("temperature: 0", "stream: false", Reason.ASSERTION),
            ("temperature: 0", "stream_options: null", Reason.ASSERTION),
        ),
        faults=(
            (UNAVAILABLE, Reason.OVERLOADED),
            (CUT, Reason.TRUNCATED),
            (
                stream(openai_error(400, "BadRequestError", "too long"), "[DONE]"),
                Reason.STREAM_ERROR,
            ),
            (stream(openai_error(500, "InternalServerError", ""), "[DONE]"), Reason.STREAM_ERROR),
        ),
        wrong_bodies=(filtered("content_filter"), filtered("stop")),
        tokens=TokenCounts(input=21, output=2, cached=16),
        finish_reason="stop",
    ),
    Case(
        file="sglang.yml",
        server=fake_llm_servers.sglang,
        mistakes=(
            ("model: ${env:SGLANG_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("Bearer ${env:SGLANG_KEY}", "Bearer wrong", Reason.HTTP_401_403),
        ),
        faults=(
            (UNAVAILABLE, Reason.OVERLOADED),
            (CUT, Reason.TRUNCATED),
            (
                stream(
                    {"error": {"object": "error", "message": "", "type": "abort", "code": 500}},
                    "[DONE]",
                ),
                Reason.STREAM_ERROR,
            ),
            (Response(200, filtered("abort")), Reason.STREAM_ERROR),
        ),
        tokens=TokenCounts(input=21, output=2, reasoning=1),
        finish_reason="stop",
    ),
    Case(
        file="tgi.yml",
        server=fake_llm_servers.tgi,
        mistakes=(
            ("{env:TGI_URL} #", "{env:TGI_URL}/generate_it #", Reason.HTTP_4XX),
            ("Bearer ${env:TGI_KEY}", "Bearer wrong", Reason.HTTP_401_403),
            ("do_sample: false", "max_new_tokens: 0", Reason.STREAM_ERROR),
        ),
        faults=(
            (stream({"error": OVERLOADED, "error_type": "overloaded"}), Reason.OVERLOADED),
            (
                stream({"error": "CUDA out of memory", "error_type": "generation"}),
                Reason.STREAM_ERROR,
            ),
            (Response(503, {"error": "unhealthy", "error_type": "healthcheck"}), Reason.OVERLOADED),
            (stream({"token": {"id": 7, "text": "Yes", "special": False}}), Reason.TRUNCATED),
        ),
        tokens=TokenCounts(input=12, output=3),
        finish_reason="eos_token",
    ),
    Case(
        file="llama-cpp.yml",
        server=fake_llm_servers.llama_cpp,
        mistakes=(
            ("model: ${env:LLAMA_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("Bearer ${env:LLAMA_KEY}", "Bearer wrong", Reason.HTTP_401_403),
        ),
        faults=(
            (
                Response(503, openai_error(503, "unavailable_error", "Loading model")),
                Reason.OVERLOADED,
            ),
            (
                Response(400, openai_error(400, "exceed_context_size_error", "too long")),
                Reason.HTTP_4XX,
            ),
            (CUT, Reason.TRUNCATED),
        ),
        tokens=TokenCounts(input=21, output=2, cached=0),
        finish_reason="length",
    ),
    Case(
        file="ollama.yml",
        server=fake_llm_servers.ollama,
        mistakes=(
            ("model: ${env:OLLAMA_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("think: false", 'stream: "no"', Reason.HTTP_4XX),
            ("think: false", "messages: []", Reason.ASSERTION),
        ),
        faults=(
            (
                Response(503, {"error": "server busy, maximum pending requests exceeded"}),
                Reason.OVERLOADED,
            ),
            (Response(500, {"error": "llama runner process has terminated"}), Reason.HTTP_5XX),
            (Response(200, {"error": "an error was encountered"}), Reason.STREAM_ERROR),
            (Response(200, ollama_line("Yes")), Reason.TRUNCATED),
        ),
        wrong_bodies=(
            ollama_line("GGGG", done=True, done_reason="length"),
            ollama_line("", done=True, done_reason="load"),
        ),
        tokens=TokenCounts(input=21, output=4, cached=20),
        finish_reason="stop",
    ),
    Case(
        file="openai.yml",
        server=fake_llm_servers.openai_responses,
        mistakes=(
            ("model: ${env:OPENAI_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("Bearer ${env:OPENAI_API_KEY}", "Bearer wrong", Reason.HTTP_401_403),
            ("max_tokens: 16", "max_tokens: 15", Reason.HTTP_4XX),
        ),
        faults=(
            (RATE_LIMIT, Reason.RATE_LIMITED),
            (Response(429, openai_error(429, "insufficient_quota", "")), Reason.RATE_LIMITED),
            (Response(500, openai_error(500, "server_error", "")), Reason.HTTP_5XX),
            (
                Response(
                    200,
                    named(
                        {
                            "type": "response.failed",
                            "response": {"error": {"code": "server_error", "message": "sorry"}},
                        }
                    ),
                ),
                Reason.STREAM_ERROR,
            ),
            (
                Response(200, named({"type": "response.output_text.delta", "delta": "Yes"})),
                Reason.TRUNCATED,
            ),
        ),
        wrong_bodies=(
            named(
                {
                    "type": "response.incomplete",
                    "response": {"incomplete_details": {"reason": "content_filter"}},
                }
            ),
        ),
        tokens=TokenCounts(input=21, output=16, cached=0, reasoning=14),
        finish_reason="max_output_tokens",
    ),
    Case(
        file="anthropic.yml",
        server=fake_llm_servers.anthropic,
        mistakes=(
            ("model: ${env:ANTHROPIC_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("${env:ANTHROPIC_API_KEY} #", "wrong #", Reason.HTTP_401_403),
        ),
        faults=(
            (Response(429, anthropic_error("rate_limit_error", "")), Reason.RATE_LIMITED),
            (Response(529, anthropic_error("overloaded_error", "Overloaded")), Reason.OVERLOADED),
            (Response(500, anthropic_error("api_error", "")), Reason.HTTP_5XX),
            (
                Response(200, named(anthropic_error("overloaded_error", "Overloaded"))),
                Reason.OVERLOADED,
            ),
        ),
        wrong_bodies=(named({"type": "message_delta", "delta": {"stop_reason": "refusal"}}),),
        tokens=TokenCounts(input=21, output=5, cached=12),
        finish_reason="end_turn",
    ),
    Case(
        file="azure-openai.yml",
        server=fake_llm_servers.azure_openai,
        mistakes=(
            ("/openai/v1/chat", "/openai/v2/chat", Reason.HTTP_4XX),
            ("model: ${env:AZURE_OPENAI_MODEL} #", "model: gone #", Reason.HTTP_4XX),
            ("${env:AZURE_OPENAI_API_KEY} #", "wrong #", Reason.HTTP_401_403),
            ("max_tokens: null, ", "", Reason.HTTP_4XX),
        ),
        faults=(
            (RATE_LIMIT, Reason.RATE_LIMITED),
            (Response(503, openai_error(503, "service_unavailable", "")), Reason.OVERLOADED),
            (
                Response(400, {"error": {"code": "content_filter", "message": "filtered"}}),
                Reason.HTTP_4XX,
            ),
        ),
        wrong_bodies=(filtered("content_filter"),),
        tokens=TokenCounts(input=21, output=2, reasoning=0),
        finish_reason="stop",
    ),
    Case(
        file="gemini.yml",
        server=fake_llm_servers.gemini,
        mistakes=(
            ("model: ${env:GEMINI_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("${env:GEMINI_API_KEY} #", "wrong #", Reason.HTTP_4XX),
        ),
        faults=(
            (gemini_error(429, "RESOURCE_EXHAUSTED", "quota"), Reason.RATE_LIMITED),
            (gemini_error(503, "UNAVAILABLE", OVERLOADED), Reason.OVERLOADED),
            (gemini_error(403, "PERMISSION_DENIED", "no key"), Reason.HTTP_401_403),
            (
                Response(200, gemini_error(503, "UNAVAILABLE", OVERLOADED).body),
                Reason.OVERLOADED,
            ),
            (
                stream({"candidates": [{"content": {}, "finishReason": "MAX_TOKENS"}]}),
                Reason.EMPTY,
            ),
        ),
        wrong_bodies=(
            sse({"promptFeedback": {"blockReason": "SAFETY"}}),
            sse({"candidates": [{"content": {}, "finishReason": "SAFETY"}]}),
        ),
        tokens=TokenCounts(input=10, output=7, reasoning=3),
        finish_reason="STOP",
    ),
    Case(
        file="bedrock.yml",
        server=fake_llm_servers.bedrock,
        mistakes=(
            ("model: ${env:BEDROCK_MODEL} #", "model: gone #", Reason.HTTP_4XX),
            ("${env:AWS_BEARER_TOKEN_BEDROCK} #", "wrong #", Reason.HTTP_401_403),
        ),
        faults=(
            (Response(429, {"message": "Too many requests"}), Reason.RATE_LIMITED),
            (Response(503, {"message": "try again"}), Reason.OVERLOADED),
            (
                Response(200, aws_exception("throttlingException", {"message": ""}), AWS_HEADERS),
                Reason.RATE_LIMITED,
            ),
            (
                Response(
                    200, aws_exception("modelStreamErrorException", {"message": ""}), AWS_HEADERS
                ),
                Reason.STREAM_ERROR,
            ),
            (
                Response(200, aws("contentBlockDelta", {"delta": {"text": "Y"}}), AWS_HEADERS),
                Reason.TRUNCATED,
            ),
        ),
        wrong_bodies=(aws("messageStop", {"stopReason": "guardrail_intervened"}),),
        tokens=TokenCounts(input=17, output=4, cached=12),
        finish_reason="end_turn",
    ),
)
