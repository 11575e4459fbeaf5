"""The flags of the model that processes batches, for the demo and for the model alone."""

import argparse
from typing import Any

from probe.config.units import format_duration, parse_count, parse_duration
from probe.demo.batch_queue import BatchSettings
from probe.demo.fault import ModelType

_DEFAULT = BatchSettings()


def add_batch_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(f"with --model={ModelType.BATCHING}")
    group.add_argument(
        "--max-batch-size",
        type=_batch_size,
        metavar="8",
        help="requests in a batch, at most; with 1 each request is processed alone, in 10 ms;"
        f" default {_DEFAULT.max_batch_size}",
    )
    group.add_argument(
        "--max-wait",
        type=duration_argument,
        dest="max_wait_seconds",
        metavar="20ms",
        help="how long the oldest request waits for others, at most;"
        f" default {format_duration(_DEFAULT.max_wait_seconds)}",
    )


def batch_flag_problem(args: argparse.Namespace) -> str | None:
    """Return what is wrong with the flags, or None."""
    given = list(_given(args))
    if not given or args.model == ModelType.BATCHING:
        return None
    flag = "--max-batch-size" if "max_batch_size" in given else "--max-wait"
    return f"{flag} needs --model={ModelType.BATCHING}"


def batch_settings(args: argparse.Namespace) -> BatchSettings:
    """Return the settings of the flags, with the defaults for those that are missing."""
    return BatchSettings(**_given(args))


def format_batch_flags(settings: BatchSettings) -> list[str]:
    """Return the flags that have the values of `settings`."""
    return [
        f"--max-batch-size={settings.max_batch_size}",
        f"--max-wait={format_duration(settings.max_wait_seconds)}",
    ]


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values of the flags that were given, by their fields in BatchSettings."""
    fields = ("max_batch_size", "max_wait_seconds")
    values = {field: getattr(args, field) for field in fields}
    return {field: value for field, value in values.items() if value is not None}


def duration_argument(text: str) -> float:
    """Return the seconds of a duration on the command line."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _batch_size(text: str) -> int:
    try:
        size = parse_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size < 1:
        raise argparse.ArgumentTypeError("a batch has at least 1 request")
    return size
