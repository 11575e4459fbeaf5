"""Measure streams with the `openai` library: a program that bench.streams starts.

    python openai_client.py URL --rate=4 --warm-up=4 --streams=40 [--spin]

Prints a JSON document with the times of each stream, and the CPU time of this process per token
after the warm-up. It runs in a virtual environment that has only `openai`.
"""

import argparse
import asyncio
import json
import threading
import time
from typing import Any

from openai import AsyncOpenAI


async def measure_stream(client: AsyncOpenAI) -> dict[str, Any]:
    """Return the id, the time to the first token and the time per token (seconds)."""
    first = last = 0.0
    tokens, stream_id = 0, ""
    started = time.perf_counter()
    stream = await client.chat.completions.create(
        model="reference",
        messages=[{"role": "user", "content": "ba de fi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            last = time.perf_counter()
            first = first or last
            stream_id = chunk.id
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return {
        "id": stream_id,
        "first_token": first - started,
        "time_per_token": (last - first) / (tokens - 1),
        "tokens": tokens,
    }


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Start streams at a constant rate, which do not wait for each other."""
    client = AsyncOpenAI(base_url=f"{args.url}/v1", api_key="none", max_retries=0)
    start = time.monotonic()
    cpu_start = 0.0
    tasks = []
    for number in range(args.warm_up + args.streams):
        await asyncio.sleep(start + number / args.rate - time.monotonic())
        if number == args.warm_up:
            cpu_start = time.process_time()
        tasks.append(asyncio.create_task(measure_stream(client)))
    streams = await asyncio.gather(*tasks)
    cpu = time.process_time() - cpu_start
    tokens = sum(stream["tokens"] for stream in streams[args.warm_up :])
    return {"streams": streams, "cpu_per_token": cpu / tokens}


def spin() -> None:
    while True:
        pass


def main() -> None:
    parser = argparse.ArgumentParser("openai_client.py", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, required=True, help="streams per second")
    parser.add_argument("--warm-up", type=int, required=True, help="streams before")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--spin", action="store_true", help="a thread holds the GIL")
    args = parser.parse_args()
    if args.spin:
        threading.Thread(target=spin, daemon=True).start()
    print(json.dumps(asyncio.run(measure(args))), flush=True)


if __name__ == "__main__":
    main()
