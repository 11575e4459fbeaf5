"""Protocols of Anthropic, Ollama, Text Generation Inference, Triton and Gemini.

Sources: https://docs.anthropic.com/en/api/messages, https://docs.ollama.com/api,
https://huggingface.co/docs/text-generation-inference, extension_generate.md of Triton,
https://ai.google.dev/api/generate-content
"""

from typing import Any

from probe.protocols.protocol import (
    ProtocolKeys,
    ProtocolOptions,
    chat_messages,
    json_value,
    path_part,
)

ANTHROPIC_VERSION = "2023-06-01"

_ANTHROPIC_STREAM: dict[str, Any] = {
    "content": ["$.delta.text"],
    "reasoning": ["$.delta.thinking"],
    "tool_call": ["$.delta.partial_json"],
    "usage": {
        # Gateways may send the true numbers at the end only. The last number counts.
        "input": ["$.message.usage.input_tokens", "$.usage.input_tokens"],
        "output": ["$.usage.output_tokens"],
        "cached": [
            "$.message.usage.cache_read_input_tokens",
            "$.usage.cache_read_input_tokens",
        ],
        "cache_write": [
            "$.message.usage.cache_creation_input_tokens",
            "$.usage.cache_creation_input_tokens",
        ],
        "separate": ["cached", "cache_write"],
    },
    "error": ["$.error"],
    "finish": ["$.delta.stop_reason"],
}
_OLLAMA_STREAM: dict[str, Any] = {
    "format": "ndjson",
    "usage": {
        "input": ["$.prompt_eval_count"],
        "output": ["$.eval_count"],
        "cached": ["$.prompt_eval_cached_count"],
    },
    "error": ["$.error"],
    "finish": ["$.done_reason"],
}
# Nanoseconds. A model that is loaded reports up to half a second.
_OLLAMA_COLD = {"json": {"key": "$.load_duration", "min": 1_000_000_000}}

_TGI_STREAM: dict[str, Any] = {
    "content": ["$.token.text"],
    "skip": ["$.token.special"],
    "usage": {"input": ["$.details.input_length"], "output": ["$.details.generated_tokens"]},
    "error": ["$.error"],
    "finish": ["$.details.finish_reason"],
}
_GEMINI_STREAM: dict[str, Any] = {
    "content": ["$.candidates[*].content.parts[*].text"],
    "tool_call": ["$.candidates[*].content.parts[*].functionCall"],
    # True in a summary of thoughts: usage has the tokens of the thoughts, not those of the summary.
    "skip": ["$.candidates[*].content.parts[*].thought"],
    "usage": {
        "input": ["$.usageMetadata.promptTokenCount"],
        "output": ["$.usageMetadata.candidatesTokenCount"],
        "cached": ["$.usageMetadata.cachedContentTokenCount"],
        # Charged as output, although they are not sent by default.
        "reasoning": ["$.usageMetadata.thoughtsTokenCount"],
        "separate": ["reasoning"],
    },
    "error": ["$.error"],
    "finish": ["$.candidates[*].finishReason", "$.promptFeedback.blockReason"],
}


def anthropic_messages(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `anthropic-messages`: POST /v1/messages."""
    body = {
        "model": options.get("model"),
        "messages": chat_messages(options),
        "max_tokens": options["max_tokens"],
        "stream": True,
    }
    return ProtocolKeys(
        path=("/v1/messages",),
        body=body,
        headers={"anthropic-version": ANTHROPIC_VERSION},
        stream=_ANTHROPIC_STREAM,
        version=json_value("$.message.model"),
    )


def ollama_chat(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `ollama-chat`: POST /api/chat."""
    body = {"messages": chat_messages(options), **_ollama_body(options)}
    stream = {
        **_OLLAMA_STREAM,
        "content": ["$.message.content"],
        "reasoning": ["$.message.thinking"],
        "tool_call": ["$.message.tool_calls"],
    }
    return ProtocolKeys(path=("/api/chat",), body=body, stream=stream, cold=_OLLAMA_COLD)


def ollama_generate(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `ollama-generate`: POST /api/generate."""
    body = {"prompt": options.get("prompt"), **_ollama_body(options)}
    stream = {**_OLLAMA_STREAM, "content": ["$.response"], "reasoning": ["$.thinking"]}
    return ProtocolKeys(path=("/api/generate",), body=body, stream=stream, cold=_OLLAMA_COLD)


def _ollama_body(options: ProtocolOptions) -> dict[str, Any]:
    return {
        "model": options.get("model"),
        "stream": True,
        "options": {"num_predict": options["max_tokens"]},
    }


def tgi(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `tgi`: POST /generate_stream."""
    parameters = {"max_new_tokens": options["max_tokens"], "details": True}
    body = {"inputs": options.get("prompt"), "parameters": parameters}
    return ProtocolKeys(path=("/generate_stream",), body=body, stream=_TGI_STREAM)


def triton_generate(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `triton-generate`: POST /v2/models/MODEL/generate_stream."""
    parameters = {"max_tokens": options["max_tokens"], "stream": True}
    return ProtocolKeys(
        path=("/v2/models/", path_part(options.get("model")), "/generate_stream"),
        body={"text_input": options.get("prompt"), "parameters": parameters},
        stream={"content": ["$.text_output"], "error": ["$.error"]},
        version=json_value("$.model_version"),
    )


def gemini(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `gemini`: POST /v1beta/models/MODEL:streamGenerateContent."""
    contents = chat_messages(options, lambda text: {"parts": [{"text": text}]})
    model = options.get("model")
    if isinstance(model, str):
        # Gemini's own list of models has this prefix.
        model = model.removeprefix("models/")
    return ProtocolKeys(
        path=(
            "/v1beta/models/",
            path_part(model),
            ":streamGenerateContent?alt=sse",
        ),
        body={
            "contents": contents,
            "generationConfig": {"maxOutputTokens": options["max_tokens"]},
        },
        stream=_GEMINI_STREAM,
        version=json_value("$.modelVersion"),
    )
