"""A toy model endpoint: a sentiment classifier that ignores its input and sleeps.

POST /predict with {"data": "some text"} returns {"result": "positive", "confidence": 0.93} after 50
to 300 ms. With `--model llm` it is a server of a language model instead (`language_model.py`).
A fault is set on the command line or through an admin port:

    python -m probe.demo.model --port 5000 --fault slow --after 30s --for 2m
    python -m probe.demo.model --port 5000 --admin-port 5001
    curl -X PUT --data slow http://127.0.0.1:5001/fault      # -X DELETE clears it
"""

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import Mapping
from json import JSONDecodeError

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from probe.demo.command import duration_argument, fault_problem
from probe.demo.fault import Fault, ModelType
from probe.demo.language_model import LanguageModel
from probe.demo.toy_server import RouteServer, ToyModel, admin_routes

# The range of response times (seconds).
_RESPONSE_SECONDS = {
    None: (0.050, 0.300),
    Fault.SLOW: (0.600, 0.900),
    Fault.ERRORS: (0.005, 0.020),
    Fault.DOWN: (0.0, 0.0),  # requests in flight when the port closes
    Fault.TUTORIAL: (0.050, 0.600),
}


class SentimentModel(ToyModel):
    """A classifier. The class depends on the length of the text."""

    type = ModelType.SENTIMENT

    async def respond(self, request: Request) -> Response:
        try:
            text = str((await request.json())["data"])
        except (JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
            return JSONResponse({"error": 'send JSON such as {"data": "some text"}'}, 400)
        fault = self.fault
        headers = await self._work(*_RESPONSE_SECONDS[fault])
        if fault is Fault.ERRORS:
            return JSONResponse({"error": "the model is out of order"}, 500, headers=headers)
        return JSONResponse(self._prediction(text), headers=headers)

    def _prediction(self, text: str) -> dict[str, str | float]:
        result = "positive" if len(text) % 2 == 0 else "negative"
        return {"result": result, "confidence": round(self._rng.uniform(0.6, 0.99), 2)}

    async def _work(self, min_seconds: float, max_seconds: float) -> dict[str, str]:
        """Sleep, and return a Server-Timing header with the time that was really spent."""
        seconds = self._rng.uniform(min_seconds, max_seconds)
        clock = asyncio.get_running_loop().time
        arrived = clock()
        await asyncio.sleep(seconds / 10)
        started = clock()
        await asyncio.sleep(seconds - (started - arrived))
        queue_ms, compute_ms = (started - arrived) * 1000, (clock() - started) * 1000
        return {"Server-Timing": f"queue;dur={queue_ms:.1f}, compute;dur={compute_ms:.1f}"}


_MODELS: Mapping[str, type[ToyModel]] = {
    model.type: model for model in (SentimentModel, LanguageModel)
}


async def schedule_fault(model: ToyModel, args: argparse.Namespace) -> None:
    """Set and clear the fault at the times that the command line gives."""
    if not args.fault:
        return
    await asyncio.sleep(args.after)
    await model.set_fault(Fault(args.fault))
    if args.fault_seconds is not None:
        await asyncio.sleep(args.fault_seconds)
        await model.set_fault(None)


async def serve(args: argparse.Namespace) -> None:
    """Serve the model and its admin port until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    model = _MODELS[args.model](args.host, args.port, random.Random())
    await model.set_fault(None)
    print(f"model on http://{args.host}:{model.port}{model.type.path}", flush=True)
    if args.admin_port is not None:
        admin = await RouteServer.open(admin_routes(model), args.host, args.admin_port)
        print(f"admin on http://{args.host}:{admin.port}/fault", flush=True)
    async with asyncio.TaskGroup() as tasks:
        fault_task = tasks.create_task(schedule_fault(model, args))
        await stop.wait()
        fault_task.cancel()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m probe.demo.model",
        description="A toy model endpoint. The classifier (POST /predict) takes 50 to 300 ms. The"
        " language model (POST /v1/chat/completions) streams its first token after 50 to 200 ms.",
    )
    parser.add_argument(
        "--model",
        choices=[model.value for model in ModelType],
        default=ModelType.SENTIMENT.value,
        help="the classifier or the language model; default %(default)s",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=5000, help="0 for any free port; default %(default)s"
    )
    parser.add_argument(
        "--admin-port", type=int, help="port for GET, PUT and DELETE /fault; default: no such port"
    )
    parser.add_argument(
        "--fault", choices=[fault.value for fault in Fault], help="the fault; default: healthy"
    )
    parser.add_argument(
        "--after",
        type=duration_argument,
        metavar="30s",
        default=0.0,
        help="time from the start to the fault",
    )
    parser.add_argument(
        "--for",
        type=duration_argument,
        metavar="2m",
        dest="fault_seconds",
        help="how long the fault lasts; default: until the end",
    )
    return parser


def main() -> int:
    """Run the model until it is stopped. Return 1 if it cannot listen."""
    parser = build_parser()
    args = parser.parse_args()
    if problem := fault_problem(ModelType(args.model), args.fault):
        parser.error(problem)
    try:
        asyncio.run(serve(args))
    except OSError as error:
        print(f"cannot listen on {args.host}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
