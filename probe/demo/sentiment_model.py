"""A toy sentiment classifier that ignores its input and sleeps.

POST /predict with {"data": "some text"} returns {"result": "positive", "confidence": 0.93} after 50
to 300 ms.
"""

import asyncio
import json
import random
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from probe.demo.fault import Fault, ModelType
from probe.demo.toy_server import RouteModel

# The range of response times (seconds).
_RESPONSE_SECONDS = {
    None: (0.050, 0.300),
    Fault.SLOW: (0.600, 0.900),
    Fault.ERRORS: (0.005, 0.020),
    Fault.DOWN: (0.0, 0.0),  # requests in flight when the port closes
    Fault.TUTORIAL: (0.050, 0.600),
}

BAD_REQUEST: Mapping[str, str] = {"error": 'send JSON such as {"data": "some text"}'}
SERVER_ERROR: Mapping[str, str] = {"error": "the model is out of order"}


class SentimentModel(RouteModel):
    """A classifier. The class depends on the length of the text."""

    type = ModelType.SENTIMENT

    async def respond(self, request: Request) -> Response:
        text = read_text(await request.body())
        if text is None:
            return JSONResponse(BAD_REQUEST, 400)
        fault = self.fault
        headers = await self._work(*_RESPONSE_SECONDS[fault])
        if fault is Fault.ERRORS:
            return JSONResponse(SERVER_ERROR, 500, headers=headers)
        return JSONResponse(predict(text, self.rng), headers=headers)

    async def _work(self, min_seconds: float, max_seconds: float) -> dict[str, str]:
        """Sleep, and return a Server-Timing header with the time that was really spent."""
        seconds = self.rng.uniform(min_seconds, max_seconds)
        clock = asyncio.get_running_loop().time
        arrived = clock()
        await asyncio.sleep(seconds / 10)
        started = clock()
        await asyncio.sleep(seconds - (started - arrived))
        queue_ms, compute_ms = (started - arrived) * 1000, (clock() - started) * 1000
        return {"Server-Timing": f"queue;dur={queue_ms:.1f}, compute;dur={compute_ms:.1f}"}


def read_text(body: bytes) -> str | None:
    """Return the text to classify, or None if `body` is not JSON with the key `data`."""
    try:
        return str(json.loads(body)["data"])
    except (ValueError, TypeError, KeyError):  # ValueError is also that of invalid UTF-8
        return None


def predict(text: str, rng: random.Random) -> Mapping[str, str | float]:
    """Return the class of `text`, and a random confidence."""
    result = "positive" if len(text) % 2 == 0 else "negative"
    return {"result": result, "confidence": round(rng.uniform(0.6, 0.99), 2)}
