"""A server whose targets expose scripted series, for tests with a real Prometheus."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from probe.demo.stack import HOST
from tests.rules.scripted_target import Exposition, Target


@contextmanager
def serve_targets(
    port: int, targets: Callable[[float], Mapping[str, Target]], horizon: float
) -> Iterator[float]:
    """Serve each target at `/NAME` of `port`; yield the Unix time at which the scripts begin.

    `targets` takes this time and returns the targets. They must not have labels, which Prometheus
    adds. The scripts end after `horizon` seconds.
    """
    start = time.time()
    scrapes = {name: target.scraper(horizon) for name, target in targets(start).items()}
    for scrape in scrapes.values():
        scrape(0)  # the first call computes the whole script

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            exposition = scrapes[self.path.strip("/")](time.time() - start)
            is_up = exposition.pop("up{}", 0)
            body = _text(exposition).encode()
            self.send_response(200 if is_up else 503)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):  # after a scrape timeout
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield start
        finally:
            server.shutdown()
            thread.join()


def _text(exposition: Exposition) -> str:
    return "".join(f"{series} {value!r}\n" for series, value in exposition.items())
