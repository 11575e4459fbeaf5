"""A toy model endpoint: a classifier, one that processes batches, or a language model.

`sentiment_model.py`, `batching_model.py` and `language_model.py` describe their requests and their
times. A fault is set on the command line or through an admin port:

    python -m probe.demo.model --port 5000 --fault slow --after 30s --for 2m
    python -m probe.demo.model --port 5000 --admin-port 5001
    curl -X PUT --data slow http://127.0.0.1:5001/fault      # -X DELETE clears it
"""

import argparse
import asyncio
import random
import signal
import sys

from probe.demo.batch_flags import (
    add_batch_flags,
    batch_flag_problem,
    batch_settings,
    duration_argument,
)
from probe.demo.batching_model import BatchingModel
from probe.demo.command import fault_problem
from probe.demo.event_loop import new_event_loop
from probe.demo.fault import Fault, ModelType
from probe.demo.language_model import LanguageModel
from probe.demo.sentiment_model import SentimentModel
from probe.demo.toy_server import RouteServer, ToyModel, admin_routes


def build_model(args: argparse.Namespace) -> ToyModel:
    rng = random.Random()
    match ModelType(args.model):
        case ModelType.SENTIMENT:
            return SentimentModel(args.host, args.port, rng)
        case ModelType.LLM:
            return LanguageModel(args.host, args.port, rng)
        case ModelType.BATCHING:
            return BatchingModel(args.host, args.port, rng, batch_settings(args))


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
    model = build_model(args)
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
        " language model (POST /v1/chat/completions) streams its first token after 50 to 200 ms."
        " The model with batches (POST /predict) takes 6 ms + 4 ms per request for a batch.",
    )
    parser.add_argument(
        "--model",
        choices=[model.value for model in ModelType],
        default=ModelType.SENTIMENT.value,
        help="the toy model; default %(default)s",
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
    add_batch_flags(parser)
    return parser


def main() -> int:
    """Run the model until it is stopped. Return 1 if it cannot listen."""
    parser = build_parser()
    args = parser.parse_args()
    problem = fault_problem(ModelType(args.model), args.fault) or batch_flag_problem(args)
    if problem:
        parser.error(problem)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(args))
    except OSError as error:
        print(f"cannot listen on {args.host}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
