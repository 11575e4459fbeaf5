"""A server with the histogram of first tokens that vLLM exposes on /metrics."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.servers import serve

# Cumulative shares of requests by upper bound, with the bounds of vLLM around the median.
SHARES = {"0.04": 0.0, "0.06": 0.2, "0.08": 0.6, "0.1": 0.9, "0.25": 1.0, "+Inf": 1.0}


@contextmanager
def running_vllm_metrics() -> Iterator[str]:
    """Serve the metrics and yield HOST:PORT. Between two scrapes there are 100 requests."""
    requests = itertools.count(100, 100)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = _exposition(next(requests)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    with serve(handle) as url:
        yield urlsplit(url).netloc


def _exposition(count: int) -> str:
    name = "vllm:time_to_first_token_seconds"
    labels = 'engine="0",model_name="toy"'
    buckets = "".join(
        f'{name}_bucket{{{labels},le="{le}"}} {share * count}\n' for le, share in SHARES.items()
    )
    return (
        f"# TYPE {name} histogram\n{buckets}"
        f"{name}_count{{{labels}}} {count}\n{name}_sum{{{labels}}} {count * 0.075}\n"
    )
