"""A small activator: it scales a model to zero, and holds requests until the model has started."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

KEDA_HEADER = "X-KEDA-HTTP-Cold-Start"


class Activator:
    """Proxy of one model, which is scaled to zero after `idle_seconds` without requests.

    A request that arrives meanwhile waits for the start, which takes `start_seconds`. Only with
    `has_header`, the response says so.
    """

    def __init__(
        self, model_url: str, *, idle_seconds: float, start_seconds: float, has_header: bool
    ) -> None:
        self._model_url = model_url
        self._idle_seconds = idle_seconds
        self._start_seconds = start_seconds
        self._has_header = has_header
        self._lock = threading.Lock()
        # The model runs at first, until the first request and the idle time after it.
        self._last_request = math.inf
        self._ready_at = 0.0
        self.cold_requests = 0
        """Requests that waited for a start."""

    def forward(self, path: str, body: bytes) -> tuple[requests.Response, dict[str, str]]:
        """Return the response of the model, once it has started, and additional headers."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_request >= self._idle_seconds:
                self._ready_at = now + self._start_seconds
            self._last_request = max(now, self._ready_at)
            wait = self._ready_at - now
            self.cold_requests += wait > 0
        if wait > 0:
            time.sleep(wait)
        response = requests.post(self._model_url + path, data=body, timeout=10)
        headers = {KEDA_HEADER: "true" if wait > 0 else "false"} if self._has_header else {}
        return response, headers


@contextmanager
def serving(activator: Activator) -> Iterator[str]:
    """Serve the model behind `activator` until the end of the block; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            response, headers = activator.forward(self.path, body)
            self.send_response(response.status_code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
