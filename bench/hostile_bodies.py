"""Server of bodies that are expensive to evaluate: `python -m bench.hostile_bodies`.

It prints its port, and serves a body by the path of the request, until it is ended.
"""

import asyncio

from tests.faults.endpoints import MANY_LETTERS, MANY_NUMBERS, MANY_OBJECTS
from tests.raw_servers import http_response

RESPONSES = {
    b"/letters": http_response(MANY_LETTERS),
    b"/words": http_response(b"word " * 200_000),
    b"/objects": http_response(MANY_OBJECTS),
    b"/numbers": http_response(MANY_NUMBERS),
}


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(RESPONSES[head.split()[1]])
        await writer.drain()
        await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_respond, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
