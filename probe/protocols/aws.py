"""Protocols of Amazon Bedrock and SageMaker, whose responses are AWS event streams.

Requests are not signed: use an API key of Bedrock, or a gateway that signs them.
Sources: API references of ConverseStream and InvokeEndpointWithResponseStream.
"""

from typing import Any

from probe.protocols.openai import CHAT_STREAM, FINGERPRINT, stream_options
from probe.protocols.protocol import ProtocolKeys, ProtocolOptions, chat_messages, path_part

_NOT_READY = {"error": ["ModelNotReadyException"]}

_CONVERSE_STREAM: dict[str, Any] = {
    "format": "aws-event-stream",
    "content": ["contentBlockDelta:$.delta.text"],
    "reasoning": ["contentBlockDelta:$.delta.reasoningContent.text"],
    "tool_call": ["contentBlockDelta:$.delta.toolUse.input"],
    "usage": {
        "input": ["metadata:$.usage.inputTokens"],
        "output": ["metadata:$.usage.outputTokens"],
        "cached": ["metadata:$.usage.cacheReadInputTokens"],
        "cache_write": ["metadata:$.usage.cacheWriteInputTokens"],
        "separate": ["cached", "cache_write"],
    },
    "finish": ["messageStop:$.stopReason"],
}


def bedrock_converse(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `bedrock-converse`: POST /model/MODEL/converse-stream."""
    messages = chat_messages(options, lambda text: {"content": [{"text": text}]})
    return ProtocolKeys(
        path=("/model/", path_part(options.get("model")), "/converse-stream"),
        body={"messages": messages, "inferenceConfig": {"maxTokens": options["max_tokens"]}},
        stream=_CONVERSE_STREAM,
        cold=_NOT_READY,
    )


def sagemaker_stream(options: ProtocolOptions) -> ProtocolKeys:
    """Return the keys for `sagemaker-stream`: chat in a container with the API of OpenAI.

    The parts of the response are server-sent events, divided anywhere.
    """
    return ProtocolKeys(
        path=("/endpoints/", path_part(options.get("model")), "/invocations-response-stream"),
        body={"messages": chat_messages(options), **stream_options(options)},
        stream={**CHAT_STREAM, "format": "aws-event-stream-sse"},
        version=FINGERPRINT,
        cold=_NOT_READY,
        segment={"from": "header", "key": "x-amzn-invoked-production-variant"},
    )
