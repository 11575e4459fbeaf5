"""Values of flags with a unit, such as `--max-rate=1000/s`."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from probe.cli.command import UsageError

_T = TypeVar("_T")


def positive(
    args: argparse.Namespace,
    name: str,
    parse: Callable[[str], _T],
    *,
    percentage_example: str | None = None,
) -> _T:
    """Return the value of a flag that has a default, which is more than 0. Raises UsageError."""
    value = optional(args, name, parse, percentage_example=percentage_example)
    assert value is not None, "the flag has a default"
    return value


def optional(
    args: argparse.Namespace,
    name: str,
    parse: Callable[[str], _T],
    *,
    percentage_example: str | None = None,
) -> _T | None:
    """Return the value of a flag, which is more than 0; None without it. Raises UsageError."""
    value = parsed(args, name, parse, percentage_example=percentage_example)
    if value == 0:
        raise UsageError(f"{flag_name(name)} is 0; write more")
    return value


def parsed(
    args: argparse.Namespace,
    name: str,
    parse: Callable[[str], _T],
    *,
    percentage_example: str | None = None,
) -> _T | None:
    """Return the value of a flag; None without it. Raises UsageError.

    If `parse` returns a percentage, `percentage_example` is what the error suggests.
    """
    text = getattr(args, name)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        if percentage_example:
            raise UsageError(
                f"{flag_name(name)}: not a percentage; write one such as {percentage_example}"
            ) from None
        raise UsageError(f"{flag_name(name)}: {error}") from None


def flag_name(name: str) -> str:
    """Return the flag whose value has this `name` in the parsed arguments."""
    names = {"from_rate": "--from", "web_listen_address": "--web.listen-address"}
    return names.get(name, f"--{name.replace('_', '-')}")
