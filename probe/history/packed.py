"""A result put away in some 150 bytes.

As an object it takes 1 kB, and every pass of the garbage collector looks at a dozen parts of it:
with 200 probes that would be time taken from measuring.
"""

import marshal
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from probe.result import Component, Failure, Phase, Reason, RedirectHop, Result

_HEAD = struct.Struct("<ddB")
_REASONS = (None, *Reason)

Name = TypeVar("Name", bound=StrEnum)


class ResultSummary(NamedTuple):
    """What a plot needs of a result: when it started (Unix seconds), its latency (seconds), and
    why it failed, if it did.
    """

    started: float
    latency: float
    reason: Reason | None


def read_summary(packed: bytes) -> ResultSummary:
    started, latency, reason = _HEAD.unpack_from(packed)
    return ResultSummary(started, latency, _REASONS[reason])


def pack(result: Result) -> bytes:
    """All of a result but its excerpt."""
    reason = result.failure.reason if result.failure else None
    head = _HEAD.pack(result.started.timestamp(), result.latency, _REASONS.index(reason))
    rest = (
        result.failure.detail if result.failure else "",
        result.due.timestamp() if result.due else None,
        _column(result.phases, Phase),
        result.status,
        _column(result.server, Component),
        result.server_ignored,
        tuple(map(_pack_hop, result.hops)),
        _pack_hop(result.landing) if result.landing else None,
        result.clock,
        result.correction,
        result.merged_reads,
        result.size,
        result.certificate_not_after,
    )
    return head + marshal.dumps(rest)


def unpack(probe: str, packed: bytes) -> Result:
    """The result of this probe as it was, without its excerpt."""
    started, _, reason = read_summary(packed)
    (detail, due, phases, status, server, ignored, hops, landing, *measured) = marshal.loads(
        memoryview(packed)[_HEAD.size :]
    )
    clock, correction, merged, size, certificate = measured
    return Result(
        probe=probe,
        started=_date(started),
        due=None if due is None else _date(due),
        phases=_mapping(Phase, phases),
        failure=Failure(reason=reason, detail=detail) if reason else None,
        status=status,
        server=_mapping(Component, server),
        server_ignored=ignored,
        hops=tuple(map(_unpack_hop, hops)),
        landing=_unpack_hop(landing) if landing else None,
        clock=clock,
        correction=correction,
        merged_reads=merged,
        size=size,
        certificate_not_after=certificate,
    )


def _pack_hop(hop: RedirectHop) -> tuple[Any, ...]:
    return hop.url, hop.status, _column(hop.phases, Phase)


def _unpack_hop(packed: tuple[Any, ...]) -> RedirectHop:
    url, status, phases = packed
    return RedirectHop(url=url, status=status, phases=_mapping(Phase, phases))


def _column(seconds: Mapping[Name, float], names: Iterable[Name]) -> tuple[float | None, ...]:
    return tuple(seconds.get(name) for name in names) if seconds else ()


def _mapping(names: Iterable[Name], column: tuple[float | None, ...]) -> dict[Name, float]:
    pairs = zip(names, column, strict=False)
    return {name: seconds for name, seconds in pairs if seconds is not None}


def _date(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
