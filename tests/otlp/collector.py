"""An OTLP receiver for tests: it keeps all documents, and responds as the test says."""

import gzip
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from tests.server.page_fixtures import wait_until


class Collector:
    """What the receiver has received."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        """Status of the responses."""
        self.body = b"{}"
        self.headers: Mapping[str, str] = {}
        """Additional headers of the responses."""
        self.paused = threading.Event()
        """Responses wait until it is set."""
        self.paused.set()
        self.requests: list[tuple[str, Mapping[str, str], Any]] = []
        """Path, headers (names in lower case) and document of each request."""

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The spans of all documents that were accepted."""
        return [span for document in self.documents for span in _spans(document)]

    @property
    def documents(self) -> list[Any]:
        return [document for _, _, document in self.requests]

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        """The spans of each document."""
        return [list(_spans(document)) for document in self.documents]

    def wait_for_spans(self, number: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.spans) >= number)
        return self.spans


@contextmanager
def collecting(tls: ssl.SSLContext | None = None) -> Iterator[Collector]:
    """Run a receiver until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            collector.paused.wait(10)
            status, answer = collector.status, collector.body
            collector.requests.append((self.path, headers, json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            for name, value in collector.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https" if tls else "http"
        collector = Collector(f"{scheme}://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            collector.paused.set()
            server.shutdown()


@contextmanager
def traced_model(collector: Collector, *, status: int = 200) -> Iterator[str]:
    """Run a model that continues the trace of each request and exports its span; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, trace_id, parent_id, flags = self.headers["traceparent"].split("-")
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            span = {"traceId": trace_id, "spanId": "5e7e5e7e5e7e5e7e", "parentSpanId": parent_id}
            span |= {"name": "predict", "kind": 2, "flags": int(flags, 16)}
            document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
            if int(flags, 16) & 1:
                requests.post(f"{collector.url}/v1/traces", json=document, timeout=10)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


def attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span, a resource or a data point by name."""
    return {
        attribute["key"]: next(iter(attribute["value"].values()))
        for attribute in item["attributes"]
    }


def _spans(document: Any) -> Iterator[dict[str, Any]]:
    for resource_spans in document.get("resourceSpans", ()):
        for scope_spans in resource_spans["scopeSpans"]:
            yield from scope_spans["spans"]
