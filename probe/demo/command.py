"""The command `inference-probe demo`."""

import argparse
import sys

from probe.demo import duration
from probe.demo.fault import Fault

FAST_FACTOR = 20  # the factor of --fast; probes twice a second
FAULT_SECONDS = 1200.0  # seconds; HighModelLatency alone waits for ten minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option(
        "--fault",
        choices=[fault.value for fault in Fault],
        help="how the model misbehaves after a healthy start: "
        + "; ".join(f"{fault}, {fault.story}" for fault in Fault).replace("%", "%%")
        + ". The command ends when the alerts for it have fired and resolved."
        " Without a fault it runs until Ctrl-C",
    )
    option(
        "--fault-for",
        type=duration.argument,
        metavar="2m",
        help=f"for how long, by the clock on the wall; default {duration.write(FAULT_SECONDS)},"
        f" with --fast {duration.write(FAULT_SECONDS / FAST_FACTOR)}:"
        " longer than any of these alerts waits",
    )
    option(
        "--fast",
        action="store_true",
        help=f"everything {FAST_FACTOR} times as fast, in a temporary copy: windows and waiting"
        " times of the rules, probe and scrape intervals."
        " Latencies and objectives stay as they are",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code: 0 when all that was asked for was seen, 1 when not, 2 for bad usage."""
    # Not at the top: the other commands share this parser, and should not wait for these imports.
    from probe.demo import demonstration  # noqa: PLC0415

    factor = FAST_FACTOR if args.fast else 1
    fault = Fault(args.fault) if args.fault else None
    lasting = FAULT_SECONDS / factor if args.fault_for is None else args.fault_for
    if problem := check_arguments(fault, args.fault_for, factor):
        print(problem, file=sys.stderr)
        return 2
    return demonstration.run(fault=fault, lasting=lasting, factor=factor)


def check_arguments(fault: Fault | None, lasting: float | None, factor: int) -> str | None:
    """What is wrong with --fault-for, for people. `lasting` is seconds, None if not given."""
    if lasting is None:
        return None
    if fault is None:
        return f"--fault-for needs a --fault: {', '.join(Fault)}"
    needed = fault.seconds_to_alert / factor
    if lasting > needed:
        return None
    return (
        f"--fault-for={duration.write(lasting)} is too short: {fault.alerts[-1]} does not fire"
        f" within {duration.write(needed)}. Leave it out, or say"
        f" --fault-for={duration.write(2 * needed)}" + ("" if factor > 1 else ", or --fast")
    )
