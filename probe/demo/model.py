"""A toy model endpoint: a sentiment classifier that looks at nothing and takes its time.

POST /predict with {"data": "some text"} answers {"result": "positive", "confidence": 0.93}, healthy
within 50 to 300 ms. It can be told to misbehave, from the command line or through an admin port:

    python -m probe.demo.model --port 5000 --fault slow --after 30s --for 2m
    python -m probe.demo.model --port 5000 --admin-port 5001
    curl -X PUT --data slow http://127.0.0.1:5001/fault      # and -X DELETE to heal it
"""

import argparse
import asyncio
import random
import signal
import sys
from json import JSONDecodeError

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from probe.demo import duration
from probe.demo.fault import Fault
from probe.demo.server import Server

_SECONDS = {
    None: (0.050, 0.300),
    Fault.SLOW: (0.600, 0.900),
    Fault.ERRORS: (0.005, 0.020),
    Fault.DOWN: (0.0, 0.0),  # a request that was under way when the port closed
    Fault.TUTORIAL: (0.050, 0.600),
}


class ToyModel:
    """One model on one port. While it is down nobody listens there."""

    def __init__(self, host: str, port: int, rng: random.Random) -> None:
        self.host, self.port = host, port
        self.fault: Fault | None = None
        self._rng = rng
        self._server: Server | None = None
        self._changing = asyncio.Lock()

    async def become(self, fault: Fault | None) -> None:
        """Misbehaving, or healthy (None), by the time this returns."""
        async with self._changing:
            self.fault = fault
            if fault is not Fault.DOWN and not self._server:
                await self._open()
            elif fault is Fault.DOWN and self._server:
                await self._server.close()
                self._server = None

    async def _open(self) -> None:
        route = Route("/predict", self._predict, methods=["POST"])
        self._server = await Server.open([route], self.host, self.port)
        self.port = self._server.port

    async def _predict(self, request: Request) -> Response:
        try:
            text = str((await request.json())["data"])
        except (JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
            return JSONResponse({"error": 'send JSON such as {"data": "some text"}'}, 400)
        fault = self.fault
        timing = await self._work(*_SECONDS[fault])
        if fault is Fault.ERRORS:
            return JSONResponse({"error": "the model is out of order"}, 500, headers=timing)
        return JSONResponse(self._answer(text), headers=timing)

    def _answer(self, text: str) -> dict[str, str | float]:
        result = "positive" if len(text) % 2 == 0 else "negative"
        return {"result": result, "confidence": round(self._rng.uniform(0.6, 0.99), 2)}

    async def _work(self, shortest: float, longest: float) -> dict[str, str]:
        """Takes its time (seconds), and says in a header what it really took."""
        seconds = self._rng.uniform(shortest, longest)
        clock = asyncio.get_running_loop().time
        arrived = clock()
        await asyncio.sleep(seconds / 10)
        begun = clock()
        await asyncio.sleep(seconds - (begun - arrived))
        queue, compute = (begun - arrived) * 1000, (clock() - begun) * 1000
        return {"Server-Timing": f"queue;dur={queue:.1f}, compute;dur={compute:.1f}"}


def admin_routes(model: ToyModel) -> list[Route]:
    """GET, PUT and DELETE /fault."""

    async def fault(request: Request) -> Response:
        if request.method == "PUT":
            try:
                await model.become(Fault((await request.body()).decode().strip()))
            except ValueError:
                return PlainTextResponse(f"send one of: {', '.join(Fault)}\n", 400)
        elif request.method == "DELETE":
            await model.become(None)
        return PlainTextResponse(f"{model.fault or 'healthy'}\n")

    return [Route("/fault", fault, methods=["GET", "PUT", "DELETE"])]


async def misbehave(model: ToyModel, args: argparse.Namespace) -> None:
    """As the command line says: which fault, after how long, for how long."""
    if not args.fault:
        return
    await asyncio.sleep(args.after)
    await model.become(Fault(args.fault))
    if args.lasting is not None:
        await asyncio.sleep(args.lasting)
        await model.become(None)


async def serve(args: argparse.Namespace) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    model = ToyModel(args.host, args.port, random.Random())
    await model.become(None)
    print(f"model on http://{args.host}:{model.port}/predict", flush=True)
    if args.admin_port is not None:
        admin = await Server.open(admin_routes(model), args.host, args.admin_port)
        print(f"admin on http://{args.host}:{admin.port}/fault", flush=True)
    async with asyncio.TaskGroup() as tasks:
        story = tasks.create_task(misbehave(model, args))
        await stop.wait()
        story.cancel()


def parser() -> argparse.ArgumentParser:
    description = "A toy model endpoint, POST /predict, healthy at 50 to 300 ms."
    parser = argparse.ArgumentParser("python -m probe.demo.model", description=description)
    option = parser.add_argument
    option("--host", default="127.0.0.1")
    option("--port", type=int, default=5000, help="0 for any free one; default %(default)s")
    option("--admin-port", type=int, help="where GET, PUT and DELETE /fault work; default: nowhere")
    option("--fault", choices=[fault.value for fault in Fault], help="misbehave; default: healthy")
    seconds = duration.argument
    option("--after", type=seconds, metavar="30s", default=0.0, help="be healthy for so long first")
    option(
        "--for", type=seconds, metavar="2m", dest="lasting", help="and be so again after so long"
    )
    return parser


def main() -> int:
    args = parser().parse_args()
    try:
        asyncio.run(serve(args))
    except OSError as problem:
        print(f"cannot listen on {args.host}: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
