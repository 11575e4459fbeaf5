"""A toy server of a language model: it streams words over the OpenAI API, whatever the prompt is.

POST /v1/chat/completions with {"messages": [...], "stream": true} returns `max_tokens` tokens
(default 16) as events. The headers arrive at once, the first token after 50 to 200 ms, and the
others after 10 to 30 ms each.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from probe.demo.fault import Fault, ModelType
from probe.demo.toy_server import RouteModel

# The ranges of the times to the first token and between two tokens (seconds).
_FIRST_TOKEN_SECONDS = (0.050, 0.200)
_SLOW_FIRST_TOKEN_SECONDS = (0.600, 0.900)
_TOKEN_SECONDS = (0.010, 0.030)

# The number of tokens before a fault in the middle of a stream.
_TOKENS_BEFORE_FAULT = 3

# Longer than a client waits.
_STALL_SECONDS = 600.0

_DEFAULT_TOKENS = 16
_WORDS = ("Ice", " is", " frozen", " water", ",", " so", " it", " is", " cold", ".", " ")
_HELP = 'send JSON such as {"messages": [{"role": "user", "content": "Hi"}], "stream": true}'
_ERROR = {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """The keys of a request that the toy model uses."""

    prompt_tokens: int
    max_tokens: int
    include_usage: bool

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Return the keys of `body` (parsed JSON).

        Raises ValueError or TypeError if it is not a request for a stream.
        """
        if not isinstance(body, dict) or not body.get("messages") or body.get("stream") is not True:
            raise ValueError("not a request for a stream")
        options = body.get("stream_options") or {}
        return cls(
            prompt_tokens=len(str(body["messages"]).split()),
            max_tokens=int(body.get("max_tokens", _DEFAULT_TOKENS)),
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )


class LanguageModel(RouteModel):
    """A model whose tokens are words."""

    type = ModelType.LLM

    async def respond(self, request: Request) -> Response:
        try:
            chat = ChatRequest.parse(await request.json())
        except (ValueError, TypeError):  # ValueError is also that of a body that is not JSON
            return JSONResponse({"error": {"message": _HELP, "type": "BadRequestError"}}, 400)
        return StreamingResponse(self._events(chat, self.fault), media_type="text/event-stream")

    async def _events(self, chat: ChatRequest, fault: Fault | None) -> AsyncIterator[str]:
        yield _chunk({"role": "assistant", "content": ""})
        for number, word in enumerate(itertools.islice(itertools.cycle(_WORDS), chat.max_tokens)):
            if number == _TOKENS_BEFORE_FAULT:
                if fault is Fault.STALL:
                    await asyncio.sleep(_STALL_SECONDS)
                if fault is Fault.TRUNCATED:
                    return
                if fault is Fault.STREAM_ERROR:
                    yield _event({"error": _ERROR})
                    yield "data: [DONE]\n\n"
                    return
            await asyncio.sleep(self._delay_seconds(number, fault))
            yield _chunk({"content": word})
        yield _chunk({}, finish_reason="length")
        if chat.include_usage:
            usage = {"prompt_tokens": chat.prompt_tokens, "completion_tokens": chat.max_tokens}
            yield _event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        yield "data: [DONE]\n\n"

    def _delay_seconds(self, number: int, fault: Fault | None) -> float:
        """Return the time before the token `number`, the first of which is 0."""
        if number:
            return self.rng.uniform(*_TOKEN_SECONDS)
        is_slow = fault is Fault.SLOW_FIRST_TOKEN
        return self.rng.uniform(*(_SLOW_FIRST_TOKEN_SECONDS if is_slow else _FIRST_TOKEN_SECONDS))


def _chunk(delta: Mapping[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event({"object": "chat.completion.chunk", "model": "toy", "choices": [choice]})


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
