"""Serve a queue over HTTP in real time: `python -m bench.queue_server NAME` prints its URL.

Requests to any path get a place in the queue, and their response at the exact end of their service.
Its body is a chat completion of OpenAI's API. Paths that end with /health or /models get a response
at once, because clients of language models ask for them.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Iterator
from http import HTTPStatus

import numpy as np

from bench.load_queues import BATCHES, QUEUES
from probe.demo.event_loop import new_event_loop
from probe.demo.http_server import HttpRequest, HttpResponse, HttpServer, Respond
from tests.load.simulated_queue import QueueModel

UNQUEUED_PATHS = ("/health", "/models")

MODELS = {"object": "list", "data": [{"id": "queue", "object": "model", "owned_by": "bench"}]}

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "queue",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "done"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.queue_server", description=__doc__)
    parser.add_argument("name", choices=[name for name in QUEUES if name != BATCHES])
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(QUEUES[args.name].model, args.port))


async def _serve(model: QueueModel, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    queue = _RealTimeQueue(model)
    server = await HttpServer.open(queue.handle, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.port}/", flush=True)
    await stop.wait()
    await server.close()


class _RealTimeQueue:
    """The queue of a model in which a request is independent of later ones."""

    def __init__(self, model: QueueModel) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrival = 0.0
        self._requests = model(self._arrivals(), np.random.default_rng())
        self._completion = HttpResponse(status=HTTPStatus.OK, body=json.dumps(COMPLETION).encode())
        self._models = HttpResponse(status=HTTPStatus.OK, body=json.dumps(MODELS).encode())

    def handle(self, request: HttpRequest, respond: Respond) -> None:
        """Respond at the end of the service of `request`."""
        if request.path.endswith(UNQUEUED_PATHS):
            respond(self._models)
            return
        self._arrival = self._loop.time()
        _, _, (end,) = next(self._requests)
        self._loop.call_at(end, respond, self._completion)

    def _arrivals(self) -> Iterator[list[float]]:
        """Yield blocks with the time of the current request."""
        while True:
            yield [self._arrival]


if __name__ == "__main__":
    main()
