"""The command line of `inference-probe demo`."""

import argparse
import sys
from collections.abc import Mapping

from probe.config.units import format_duration
from probe.demo.batch_flags import (
    add_batch_flags,
    batch_flag_problem,
    batch_settings,
    duration_argument,
)
from probe.demo.fault import Fault, ModelType

# --fast divides durations by this factor. The daemon then probes twice a second.
FAST_FACTOR = 20

# Long enough for HighModelLatency, the last alert, which fires after ten minutes.
DEFAULT_FAULT_SECONDS = 1200.0


def add_arguments(parser: argparse.ArgumentParser, _environ: Mapping[str, str]) -> None:
    """Add the flags. None of them has a variable."""
    parser.add_argument(
        "--model",
        choices=[model.value for model in ModelType],
        default=ModelType.SENTIMENT.value,
        help="the toy model: sentiment, a classifier; llm, a language model that streams tokens; or"
        " batching, a classifier that processes requests in batches, for load tests;"
        " default %(default)s",
    )
    parser.add_argument(
        "--fault",
        choices=[fault.value for fault in Fault],
        help="how the model misbehaves after a healthy start: "
        + _descriptions(ModelType.SENTIMENT)
        + ". With --model=llm: "
        + _descriptions(ModelType.LLM)
        + f". With --model=batching: {', '.join(ModelType.BATCHING.faults)}"
        + ". The command exits when the alerts have fired and resolved."
        " Without a fault it runs until Ctrl-C",
    )
    parser.add_argument(
        "--fault-for",
        type=duration_argument,
        metavar="2m",
        help="how long the fault lasts, in real time;"
        f" default {format_duration(DEFAULT_FAULT_SECONDS)},"
        f" with --fast {format_duration(DEFAULT_FAULT_SECONDS / FAST_FACTOR)},"
        " which is long enough for the alerts of every fault",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help=f"run {FAST_FACTOR} times as fast: divide the durations in a copy of the rules,"
        " and the probe and scrape intervals. Latencies and objectives stay the same",
    )
    add_batch_flags(parser)


def _descriptions(model: ModelType) -> str:
    """Return the faults of a model in the form of a help text."""
    faults = "; ".join(f"{fault}, {fault.description}" for fault in model.faults)
    return faults.replace("%", "%%")


def run(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Run the demo: 0 if the expected alerts fired and resolved, 1 if not, 2 for bad usage."""
    # Imported here because the help needs none of it, and these imports are slow.
    from probe.demo import demonstration  # noqa: PLC0415

    factor = FAST_FACTOR if args.fast else 1
    model = ModelType(args.model)
    fault = Fault(args.fault) if args.fault else None
    problem = (
        fault_problem(model, args.fault)
        or fault_duration_problem(model, fault, args.fault_for, factor)
        or batch_flag_problem(args)
    )
    if problem:
        print(problem, file=sys.stderr)
        return 2
    default_seconds = DEFAULT_FAULT_SECONDS / factor
    fault_seconds = default_seconds if args.fault_for is None else args.fault_for
    return demonstration.run(
        model_type=model,
        batches=batch_settings(args) if model is ModelType.BATCHING else None,
        fault=fault,
        fault_seconds=fault_seconds,
        factor=factor,
    )


def fault_problem(model: ModelType, fault: str | None) -> str | None:
    """Return what is wrong with --fault, or None. `fault` is the name of one, or None."""
    if fault is None or fault in model.faults:
        return None
    return (
        f"--fault={fault} needs --model={' or --model='.join(Fault(fault).models)}."
        f" The faults of --model={model} are: {', '.join(model.faults)}"
    )


def fault_duration_problem(
    model: ModelType, fault: Fault | None, fault_seconds: float | None, factor: int
) -> str | None:
    """Return what is wrong with --fault-for, or None. `fault_seconds` is None without the flag."""
    if fault_seconds is None:
        return None
    if fault is None:
        return f"--fault-for needs a --fault: {', '.join(model.faults)}"
    needed = fault.seconds_to_alert / factor
    if fault_seconds > needed:
        return None
    return (
        f"--fault-for={format_duration(fault_seconds)} is too short:"
        f" {fault.alerts[-1]} does not fire within {format_duration(needed)}."
        f" Leave the flag out, or write --fault-for={format_duration(2 * needed)}"
        + ("" if factor > 1 else ", or add --fast")
    )
