"""Encodes a result as bytes, in which form the history stores it.

The garbage collector visits every container in each full pass, and all probes wait for it. With
200 probes (53,600 results; CPython 3.11, 2 cores) it takes, in addition to 18 ms without results:

    Result objects   1,090 bytes each, 43 ms per full collection
    NamedTuple         640 bytes each, 26 ms
    bytes              200 bytes each,  0 ms
"""

import dataclasses
import marshal
import operator
import struct
import types
import typing
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from math import isnan, nan
from typing import Any, NamedTuple

from probe.result import STREAM_SIGNALS, Reason, Result, Signal

# Start (Unix seconds), latency (seconds), index of the reason: read without the rest.
_SUMMARY = struct.Struct("<ddB")
_REASONS = (None, *Reason)

# Added to the index of the reason of a success that does not count.
_IS_EXCLUDED = 64

# The same for a stream, with the values of STREAM_SIGNALS (seconds; NaN if unknown). The index of
# the reason is higher by _IS_STREAM.
_STREAM_SUMMARY = struct.Struct("<ddB" + len(STREAM_SIGNALS) * "d")
_IS_STREAM = 128

# Stored elsewhere: the history knows the name of the probe and keeps few excerpts. Only traces have
# the request. The start is in the summary.
_NOT_PACKED = ("probe", "started", "excerpt", "request")


class ResultSummary(NamedTuple):
    """Start (Unix seconds), latency (seconds) and failure reason of a result.

    `times` are the values of STREAM_SIGNALS (seconds; NaN if unknown). Empty without a stream.
    """

    started: float
    latency: float
    reason: Reason | None
    times: tuple[float, ...] = ()
    is_excluded: bool = False
    """Whether it is a cold start that succeeded and does not count."""

    def seconds(self, signal: Signal) -> float | None:
        """Return the value of `signal`; None if it is unknown."""
        if signal is Signal.LATENCY:
            return self.latency
        value = self.times[STREAM_SIGNALS.index(signal)] if self.times else nan
        return None if isnan(value) else value


def read_summary(packed: bytes) -> ResultSummary:
    """Return the summary of a packed result without unpacking the rest."""
    summary = _STREAM_SUMMARY if _is_stream(packed) else _SUMMARY
    started, latency, flags, *times = summary.unpack_from(packed)
    reason = _REASONS[flags & ~(_IS_STREAM | _IS_EXCLUDED)]
    return ResultSummary(started, latency, reason, tuple(times), bool(flags & _IS_EXCLUDED))


def pack(result: Result) -> bytes:
    """Return all fields of `result` but `probe`, `excerpt` and `request`."""
    head = result.started.timestamp(), result.latency
    reason = _REASONS.index(result.reason) + _IS_EXCLUDED * result.is_excluded
    if result.stream:
        values = map(result.seconds, STREAM_SIGNALS)
        times = (nan if value is None else value for value in values)
        summary = _STREAM_SUMMARY.pack(*head, reason + _IS_STREAM, *times)
    else:
        summary = _SUMMARY.pack(*head, reason)
    return summary + marshal.dumps(_RESULT.encode(result))


def unpack(probe: str, packed: bytes) -> Result:
    """Return the result of `probe` that was packed, with no excerpt and no request."""
    summary = _STREAM_SUMMARY if _is_stream(packed) else _SUMMARY
    started = datetime.fromtimestamp(summary.unpack_from(packed)[0], UTC)
    fields = _RESULT.decode(marshal.loads(memoryview(packed)[summary.size :]))
    return Result(probe=probe, started=started, **fields)


def _is_stream(packed: bytes) -> bool:
    return packed[_SUMMARY.size - 1] >= _IS_STREAM


class _Codec(NamedTuple):
    """Converts values of one type to what `marshal` can write, and back."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_UNCHANGED = _Codec(_same, _same)

# Times for drawings, rounded to 7 digits: they take less than half of the bytes of exact ones.
_FLOATS = _Codec(
    lambda values: array("f", values).tobytes(),
    lambda data: tuple(array("f", data)),
)


def _codec(annotation: Any) -> _Codec:
    """Return the codec for a field of `Result` with this type annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is types.UnionType and arguments[1:] == (types.NoneType,):
        return _optional(_codec(arguments[0]))
    if annotation == tuple[float, ...]:
        return _FLOATS
    if origin is tuple:
        return _sequence(_codec(arguments[0]))
    if origin is Mapping:
        return _by_enum(arguments[0])
    if dataclasses.is_dataclass(annotation):
        return _dataclass(annotation)
    return _scalar(annotation)


def _scalar(annotation: Any) -> _Codec:
    if annotation in (str, int, float, bool):
        return _UNCHANGED
    if annotation is datetime:
        return _Codec(datetime.timestamp, lambda seconds: datetime.fromtimestamp(seconds, UTC))
    if issubclass(annotation, StrEnum):
        members = tuple(annotation)
        return _Codec(members.index, members.__getitem__)
    raise TypeError(f"a field of the type {annotation} cannot be packed")


def _dataclass(constructor: Any) -> _Codec:
    fields = _fields(constructor)
    return _Codec(fields.encode, lambda row: constructor(**fields.decode(row)))


def _optional(codec: _Codec) -> _Codec:
    """Return `codec` for values that can be None. None is never encoded."""
    if codec is _UNCHANGED:
        return codec
    return _Codec(codec.encode, lambda value: None if value is None else codec.decode(value))


def _sequence(codec: _Codec) -> _Codec:
    return _Codec(
        lambda values: tuple(map(codec.encode, values)),
        lambda values: tuple(map(codec.decode, values)),
    )


def _by_enum(keys: type[StrEnum]) -> _Codec:
    """Store a mapping from members of `keys` to floats as a row of values, None if absent."""
    members = tuple(keys)

    def encode(mapping: Mapping[StrEnum, float]) -> tuple[float | None, ...]:
        # `tuple(iterator)` over-allocates and shrinks, so it cannot use CPython's free list of
        # tuples (up to 2,000 of each size). `(*iterator,)` can.
        return (*map(mapping.get, members),)

    def decode(row: tuple[float | None, ...]) -> dict[StrEnum, float]:
        pairs = zip(members, row, strict=False)
        return {member: value for member, value in pairs if value is not None}

    return _Codec(encode, decode)


def _fields(dataclass: Any) -> _Codec:
    """Store the fields of a dataclass in their order; `decode` returns them by name."""
    annotations = typing.get_type_hints(dataclass)
    names = [f.name for f in dataclasses.fields(dataclass) if f.name not in _NOT_PACKED]
    codecs = [(index, _codec(annotations[name])) for index, name in enumerate(names)]
    # Most values are stored as they are: skip them, since every result of every probe is packed.
    converted = [(index, codec) for index, codec in codecs if codec is not _UNCHANGED]
    values_of = operator.attrgetter(*names)

    def encode(value: Any) -> list[Any]:
        row = list(values_of(value))
        for index, codec in converted:
            # None and empty values are stored as they are. Most results have few others.
            if row[index]:
                row[index] = codec.encode(row[index])
        return row

    def decode(row: list[Any]) -> dict[str, Any]:
        for index, codec in converted:
            row[index] = codec.decode(row[index])
        return dict(zip(names, row, strict=True))

    return _Codec(encode, decode)


_RESULT = _fields(Result)
