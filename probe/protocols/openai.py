"""Protocols of OpenAI, which vLLM, SGLang, llama.cpp, TGI and gateways also serve.

Source: https://platform.openai.com/docs/api-reference
"""

from typing import Any

from probe.protocols.protocol import ProtocolKeys, ProtocolOptions, chat_messages, json_value

PROCESSING_TIME = {
    "from": "header",
    "key": "openai-processing-ms",
    "unit": "ms",
    "component": "total",
}

# It changes with the model and with the configuration of the server. Some servers have none.
FINGERPRINT = json_value("$.system_fingerprint")

# The error of llama.cpp, with the status 503.
_LOADING = {"error": ["Loading model"]}

CHAT_STREAM: dict[str, Any] = {
    # The second one is that of servers that send parts, such as Mistral's with reasoning.
    "content": ["$.choices[*].delta.content", "$.choices[*].delta.content[*].text"],
    "refusal": ["$.choices[*].delta.refusal"],
    "reasoning": ["$.choices[*].delta.reasoning_content", "$.choices[*].delta.reasoning"],
    "tool_call": ["$.choices[*].delta.tool_calls"],
    "usage": {
        "input": ["$.usage.prompt_tokens"],
        "output": ["$.usage.completion_tokens"],
        # The second one is that of llama.cpp.
        "cached": ["$.usage.prompt_tokens_details.cached_tokens", "$.timings.cache_n"],
        # The first one is that of SGLang.
        "reasoning": [
            "$.usage.reasoning_tokens",
            "$.usage.completion_tokens_details.reasoning_tokens",
        ],
    },
    "error": ["$.error"],
    "finish": ["$.choices[*].finish_reason"],
    "end": "[DONE]",
}

# The events repeat the state of the response, so paths name the type of the event.
_RESPONSES_STREAM: dict[str, Any] = {
    "content": ["response.output_text.delta:$.delta"],
    "refusal": ["response.refusal.delta:$.delta"],
    # Not `reasoning_summary_text`: usage has the tokens of the reasoning, not those of its summary.
    "reasoning": ["response.reasoning_text.delta:$.delta"],
    "tool_call": ["response.function_call_arguments.delta:$.delta"],
    "usage": {
        "input": ["$.response.usage.input_tokens"],
        "output": ["$.response.usage.output_tokens"],
        "cached": ["$.response.usage.input_tokens_details.cached_tokens"],
        "reasoning": ["$.response.usage.output_tokens_details.reasoning_tokens"],
    },
    "error": ["response.failed:$.response.error"],
    "finish": [
        "response.incomplete:$.response.incomplete_details.reason",
        "response.completed:$.response.status",
    ],
}


def stream_options(options: ProtocolOptions) -> dict[str, Any]:
    """Return the keys of a body that ask for a stream with the number of its tokens."""
    return {
        "max_tokens": options["max_tokens"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def chat(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `openai-chat`: POST /v1/chat/completions."""
    body = {
        "model": options.get("model"),
        "messages": chat_messages(options),
        **stream_options(options),
    }
    return ProtocolKeys(
        path=("/v1/chat/completions",),
        body=body,
        stream=CHAT_STREAM,
        server_timing=(PROCESSING_TIME,),
        version=FINGERPRINT,
        cold=_LOADING,
    )


def completions(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `openai-completions`: POST /v1/completions."""
    body = {
        "model": options.get("model"),
        "prompt": options.get("prompt"),
        **stream_options(options),
    }
    stream = {
        **CHAT_STREAM,
        "content": ["$.choices[*].text"],
        "refusal": [],
        "reasoning": [],
        "tool_call": [],
    }
    return ProtocolKeys(
        path=("/v1/completions",),
        body=body,
        stream=stream,
        server_timing=(PROCESSING_TIME,),
        version=FINGERPRINT,
        cold=_LOADING,
    )


def responses(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `openai-responses`: POST /v1/responses."""
    body = {
        "model": options.get("model"),
        "input": chat_messages(options),
        "max_output_tokens": options["max_tokens"],
        "stream": True,
    }
    return ProtocolKeys(
        path=("/v1/responses",),
        body=body,
        stream=_RESPONSES_STREAM,
        server_timing=(PROCESSING_TIME,),
        version=json_value("$.response.model"),
    )


def embeddings(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `openai-embeddings`: POST /v1/embeddings."""
    return ProtocolKeys(
        path=("/v1/embeddings",),
        body={"model": options.get("model"), "input": options.get("input")},
        # A vector of zeros breaks a search index without an error.
        expect={"json": {"$.data[0].embedding[?@ != 0]": {"exists": True}}},
    )
