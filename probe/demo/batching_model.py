"""A toy classifier that processes requests in batches, one batch at a time.

A batch of n requests takes 6 ms + n * 4 ms. Server-Timing has the time that a request waited, the
time of its batch, and the number of requests in the batch:

    Server-Timing: queue;dur=20.000, compute;dur=14.000, batch;desc="2"

As in many model servers, a request whose client has given up keeps its place in the queue.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from probe.demo.batch_queue import BatchQueue, BatchSettings
from probe.demo.fault import Fault, ModelType
from probe.demo.http_server import HttpRequest, HttpResponse, HttpServer, Respond
from probe.demo.sentiment_model import BAD_REQUEST, SERVER_ERROR, predict, read_text
from probe.demo.toy_server import ToyModel


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTimes:
    """The times of a request, and the number of requests in its batch."""

    queue_seconds: float
    compute_seconds: float
    batch_size: int

    @property
    def header(self) -> bytes:
        """The header line Server-Timing."""
        queue, compute = f"{self.queue_seconds * 1000:.3f}", f"{self.compute_seconds * 1000:.3f}"
        value = f'queue;dur={queue}, compute;dur={compute}, batch;desc="{self.batch_size}"'
        return f"Server-Timing: {value}".encode()


class BatchingModel(ToyModel):
    """A classifier whose response time depends on the other requests."""

    type = ModelType.BATCHING

    def __init__(self, host: str, port: int, rng: random.Random, settings: BatchSettings) -> None:
        super().__init__(host, port, rng)
        self._batcher = Batcher(settings)

    async def open_server(self) -> HttpServer:
        return await HttpServer.open(self._handle, self.host, self.port)

    def _handle(self, request: HttpRequest, respond: Respond) -> None:
        text = read_text(request.body)
        if request.path != self.type.path:
            respond(_response(HTTPStatus.NOT_FOUND, {"error": f"POST to {self.type.path}"}))
        elif request.method != "POST":
            respond(_response(HTTPStatus.METHOD_NOT_ALLOWED, BAD_REQUEST, b"Allow: POST"))
        elif text is None:
            respond(_response(HTTPStatus.BAD_REQUEST, BAD_REQUEST))
        elif self.fault is Fault.ERRORS:
            respond(_response(HTTPStatus.INTERNAL_SERVER_ERROR, SERVER_ERROR))
        else:
            self._batcher.add(
                lambda times: respond(
                    _response(HTTPStatus.OK, predict(text, self.rng), times.header)
                )
            )


def _response(
    status: HTTPStatus, document: Mapping[str, str | float], *headers: bytes
) -> HttpResponse:
    return HttpResponse(status=status, body=json.dumps(document).encode(), headers=headers)


class Batcher:
    """Processes requests in batches, in real time. It belongs to the running event loop.

    A request is a function that is called with its times at the end of its batch.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: BatchQueue[Callable[[BatchTimes], None]] = BatchQueue(settings)
        self._timer: asyncio.TimerHandle | None = None

    def add(self, finish: Callable[[BatchTimes], None]) -> None:
        """Process a request in the next batch with a free place; call `finish` at its end."""
        self._queue.add(finish, self._loop.time())
        self._advance()

    def _advance(self) -> None:
        ended = self._queue.advance(self._loop.time())
        if self._timer:
            self._timer.cancel()
        due = self._queue.next_change()
        self._timer = None if due is None else self._loop.call_at(due, self._advance)
        for batch in ended:
            for arrival in batch.arrivals:
                times = BatchTimes(
                    queue_seconds=batch.started - arrival.at,
                    compute_seconds=batch.compute_seconds,
                    batch_size=len(batch.arrivals),
                )
                arrival.request(times)
