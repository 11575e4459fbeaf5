"""Fake servers of language models, which stream tokens in the formats of the real ones.

Like those in `fake_model_servers`, they accept the requests that the real server accepts.
"""

import json
from typing import Any

from tests.fake_model_servers import KEY, MODEL, Request, Response, openai_error, sse
from tests.protocols.test_protocol_streams import aws, line, named

SSE_HEADERS = {"Content-Type": "text/event-stream"}
NDJSON_HEADERS = {"Content-Type": "application/x-ndjson"}
AWS_HEADERS = {"Content-Type": "application/vnd.amazon.eventstream"}


def vllm(request: Request) -> Response:
    """Imitate vLLM: the role before the first token, and the finish reason with the last one."""
    if error := _openai_error(request):
        return error
    chunks = [
        _delta({"role": "assistant", "content": ""}),
        _delta({"content": "Yes"}),
        _delta({"content": ""}),  # half of a character
        _delta({"content": ", it is cold."}, finish_reason="stop", stop_reason=None),
    ]
    usage = _chat_usage(request, prompt_tokens_details={"cached_tokens": 16})
    return _sse(*chunks, *usage, "[DONE]")


def sglang(request: Request) -> Response:
    """Imitate SGLang: a separate chunk with the finish reason, and null instead of no text."""
    if error := _openai_error(request):
        return error
    chunks = [
        _delta({"role": "assistant", "content": "", "reasoning_content": None}),
        _delta({"role": None, "content": "Yes", "reasoning_content": None}),
        _delta({"role": None, "content": None}, finish_reason="stop", matched_stop=2),
    ]
    usage = _chat_usage(request, prompt_tokens_details=None, reasoning_tokens=1)
    return _sse(*chunks, *usage, "[DONE]")


def llama_cpp(request: Request) -> Response:
    """Imitate llama.cpp: comments while it computes the prompt, and its own times at the end."""
    if error := _openai_error(request):
        return error
    chunks = [
        ": ping",
        _delta({"role": "assistant", "content": None}),
        _delta({"content": "Yes"}),
        _delta({}, finish_reason="length"),
    ]
    (usage,) = _chat_usage(request) or [{"choices": []}]
    cached = 0 if request.json.get("cache_prompt") is False else 20
    timings = {"cache_n": cached, "prompt_n": 21 - cached, "predicted_n": 2, "predicted_ms": 9.5}
    return _sse(*chunks, {**usage, "timings": timings}, "[DONE]")


def azure_openai(request: Request) -> Response:
    """Imitate Azure OpenAI: results of the content filter in chunks of their own."""
    if not request.is_post("/openai/v1/chat/completions"):
        return _azure_error(404, "404", "Resource not found")
    if request.header("api-key") != KEY:
        return _azure_error(401, "401", "Access denied due to invalid subscription key")
    body = request.json
    if body.get("model") != MODEL:
        message = "The API deployment for this resource does not exist"
        return _azure_error(404, "DeploymentNotFound", message)
    if "max_tokens" in body or not body.get("max_completion_tokens"):
        message = "Unsupported parameter: 'max_tokens' is not supported with this model."
        return _azure_error(400, "unsupported_parameter", message)
    chunks = [
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        _delta({"role": "assistant", "content": "", "refusal": None}),
        _delta({"content": "Yes."}, content_filter_results={"hate": {"filtered": False}}),
        _delta({}, finish_reason="stop"),
    ]
    details = {"completion_tokens_details": {"reasoning_tokens": 0}}
    return _sse(*chunks, *_chat_usage(request, **details), "[DONE]")


def _azure_error(status: int, code: str, message: str) -> Response:
    return Response(status, {"error": {"code": code, "message": message}})


def _delta(delta: dict[str, Any], **keys: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **keys}
    return {"object": "chat.completion.chunk", "model": MODEL, "choices": [choice], "usage": None}


def _chat_usage(request: Request, **details: Any) -> list[dict[str, Any]]:
    """Return the chunk with the numbers of tokens, if the request has asked for it."""
    if not request.json.get("stream_options", {}).get("include_usage"):
        return []
    usage = {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23, **details}
    return [{"object": "chat.completion.chunk", "choices": [], "usage": usage}]


def _openai_error(request: Request) -> Response | None:
    """Return the error response for a request that a server with OpenAI's chat API rejects."""
    if not request.is_post("/v1/chat/completions"):
        return Response(404, {"detail": "Not Found"})
    if not request.has_key:
        return Response(401, openai_error(401, "authentication_error", "Invalid API Key"))
    body = request.json
    if body.get("model") != MODEL:
        message = f"The model `{body.get('model')}` does not exist."
        return Response(404, openai_error(404, "NotFoundError", message))
    if not body.get("messages") or not isinstance(body.get("max_tokens"), int):
        return Response(400, openai_error(400, "BadRequestError", "messages: Field required"))
    if body.get("stream") is not True:
        choice = {"message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}
        return Response(200, {"choices": [choice]}, {"Content-Type": "application/json"})
    return None


def openai_responses(request: Request) -> Response:
    """Imitate the Responses API of OpenAI, whose events repeat the state of the response."""
    body = request.json
    if not request.is_post("/v1/responses"):
        return Response(404, openai_error(404, "invalid_request_error", "Invalid URL"))
    if not request.has_key:
        return Response(401, openai_error(401, "invalid_request_error", "Incorrect API key"))
    if body.get("model") != MODEL:
        return Response(404, openai_error(404, "invalid_request_error", "model_not_found"))
    if body.get("max_output_tokens", 0) < 16 or not body.get("input"):
        message = "Invalid 'max_output_tokens': integer below minimum value. Expected >= 16"
        return Response(400, openai_error(400, "invalid_request_error", message))
    usage = {
        "input_tokens": 21,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 16,
        "output_tokens_details": {"reasoning_tokens": 14},
        "total_tokens": 37,
    }
    incomplete = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "usage": usage,
    }
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"status": "in_progress", "usage": None}},
        {"type": "response.in_progress", "response": {"status": "in_progress", "usage": None}},
        {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_text.delta", "delta": "Yes"},
        {"type": "response.output_text.delta", "delta": "."},
        {"type": "response.output_text.done", "text": "Yes."},
        {"type": "response.incomplete", "response": incomplete},
    ]
    return Response(200, b"".join(named(event) for event in events), SSE_HEADERS)


def anthropic(request: Request) -> Response:
    """Imitate the Messages API of Anthropic, whose input is without cached tokens."""
    body = request.json
    if not request.is_post("/v1/messages"):
        return Response(404, anthropic_error("not_found_error", "Not Found"))
    if request.header("x-api-key") != KEY:
        return Response(401, anthropic_error("authentication_error", "invalid x-api-key"))
    if not request.header("anthropic-version"):
        message = "anthropic-version: header is required"
        return Response(400, anthropic_error("invalid_request_error", message))
    if body.get("model") != MODEL:
        return Response(404, anthropic_error("not_found_error", f"model: {body.get('model')}"))
    if not body.get("max_tokens") or not body.get("messages"):
        return Response(400, anthropic_error("invalid_request_error", "Field required"))
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 12}
    text: dict[str, Any] = {"type": "text", "text": ""}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return Response(200, b"".join(named(event) for event in events), SSE_HEADERS)


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def tgi(request: Request) -> Response:
    """Imitate Text Generation Inference, which rejects invalid input in the stream."""
    body = request.json
    if not request.is_post("/generate_stream"):
        return Response(404, "")
    if not request.has_key:
        return Response(401, "")
    if not isinstance(body.get("inputs"), str):
        return Response(422, "Failed to deserialize the JSON body: missing field `inputs`")
    parameters = body.get("parameters", {})
    if not parameters.get("max_new_tokens", 1):
        return _sse({"error": "`max_new_tokens` must be > 0", "error_type": "validation"})
    details = {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 12, "seed": 1}
    events: list[Any] = [
        {"index": 1, "token": {"id": 7, "text": " Yes", "logprob": -0.1, "special": False}},
        ":",
        {"index": 2, "token": {"id": 8, "text": ".", "logprob": -0.1, "special": False}},
        {
            "index": 3,
            "token": {"id": 2, "text": "</s>", "logprob": -0.1, "special": True},
            "generated_text": " Yes.",
            "details": details if parameters.get("details") else None,
        },
    ]
    return _sse(*events)


def ollama(request: Request) -> Response:
    """Imitate Ollama, which streams JSON lines by default."""
    body = request.json
    if not request.is_post("/api/chat"):
        return Response(404, "404 page not found")
    if not isinstance(body.get("stream", True), bool):
        return Response(400, {"error": "json: cannot unmarshal string into field stream of bool"})
    if body.get("model") != MODEL:
        return Response(404, {"error": f"model '{body.get('model')}' not found"})
    if not body.get("messages"):
        return Response(200, ollama_line("", done=True, done_reason="load"), NDJSON_HEADERS)
    numbers = {
        "total_duration": 12_000_000,
        "load_duration": 1_500_000,
        "prompt_eval_count": 21,
        "prompt_eval_cached_count": 20,
        "prompt_eval_duration": 6_500_000,
        "eval_count": 4,
        "eval_duration": 2_000_000,
    }
    lines = [
        ollama_line("Yes, ice"),
        ollama_line(" is cold."),
        ollama_line("", done=True, done_reason="stop", **numbers),
    ]
    return Response(200, b"".join(lines), NDJSON_HEADERS)


def ollama_line(content: str, *, done: bool = False, **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    created = "2026-11-29T06:45:00.123456Z"
    return line({"model": MODEL, "created_at": created, "message": message, "done": done, **more})


def gemini(request: Request) -> Response:
    """Imitate the Gemini API, whose numbers of tokens are in each event."""
    body = request.json
    model, method = "/v1beta/models/", ":streamGenerateContent?alt=sse"
    if not (request.path.startswith(model) and request.path.endswith(method)):
        return Response(404, "")
    if request.header("x-goog-api-key") != KEY:
        return gemini_error(400, "INVALID_ARGUMENT", "API key not valid.")
    if request.path != f"{model}{MODEL}{method}":
        return gemini_error(404, "NOT_FOUND", "the model is not found for API version v1beta")
    if not body.get("contents") or not body.get("generationConfig", {}).get("maxOutputTokens"):
        return gemini_error(400, "INVALID_ARGUMENT", "contents is not specified")
    usage = {"promptTokenCount": 10, "totalTokenCount": 14, "thoughtsTokenCount": 3}
    last = {**usage, "candidatesTokenCount": 4, "totalTokenCount": 17}
    return _sse(_gemini("Yes", usage), _gemini(".", last, finishReason="STOP"))


def _gemini(text: str, usage: dict[str, int], **keys: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **keys}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}


def gemini_error(code: int, status: str, message: str) -> Response:
    error = {"code": code, "message": message, "status": status}
    return Response(code, json.dumps({"error": error}, indent=2))


def bedrock(request: Request) -> Response:
    """Imitate the Converse API of Bedrock: AWS frames, the numbers of tokens in the last one."""
    if request.header("Authorization") != f"Bearer {KEY}":
        return Response(403, {"Message": "Authentication failed: API Key is not valid"})
    if not request.path.endswith("/converse-stream"):
        return Response(404, {"Output": {"__type": "com.amazon.coral.service#UnknownOperation"}})
    if request.path != f"/model/{MODEL}/converse-stream":
        return Response(400, {"message": "The provided model identifier is invalid."})
    content = [message.get("content") for message in request.json.get("messages", [])]
    if not content or not all(isinstance(item, list) for item in content):
        return Response(400, {"message": "Expected type JSONArray"})
    usage = {
        "inputTokens": 5,
        "outputTokens": 4,
        "totalTokens": 21,
        "cacheReadInputTokens": 12,
        "cacheWriteInputTokens": 0,
    }
    frames = [
        aws("messageStart", {"role": "assistant"}),
        aws("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Yes"}}),
        aws("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "."}}),
        aws("contentBlockStop", {"contentBlockIndex": 0}),
        aws("messageStop", {"stopReason": "end_turn"}),
        aws("metadata", {"usage": usage, "metrics": {"latencyMs": 350}}),
    ]
    return Response(200, b"".join(frames), AWS_HEADERS)


def _sse(*events: Any) -> Response:
    """Return server-sent events; those that begin with a colon are comments."""
    is_comment = [isinstance(event, str) and event.startswith(":") for event in events]
    parts = (
        f"{event}\n\n" if comment else sse(event)
        for event, comment in zip(events, is_comment, strict=True)
    )
    return Response(200, "".join(parts), SSE_HEADERS)
