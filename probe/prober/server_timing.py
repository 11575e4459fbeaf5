"""What a server says of the time that it spent on an answer. Pure, and garbage is no error.

The header Server-Timing (https://www.w3.org/TR/server-timing/) is always read, in milliseconds; as
a trailer it is not seen. Beside it stand the header or JSON values that the config maps.

- Several times of one component in one place add up, as those of two stages do; of `total` the
  longest counts, as it contains the others.
- For a component that the mapping finds, Server-Timing is not asked.
- A time that makes no sense is ignored and counted: no number, below 0, or longer than the whole
  probe, as a wrong unit gives, or an answer that a cache has kept with its headers; nor is one
  that is not found in time.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.config.schema import ServerTiming, TimingSource, TimingUnit
from probe.prober.cpu_budget import CpuBudget
from probe.prober.response import BodyDecodeError, ProbeResponse, compile_query
from probe.result import Component

HEADER_NAME = "server-timing"

UNITS_PER_SECOND = {
    TimingUnit.S: 1,
    TimingUnit.MS: 1_000,
    TimingUnit.US: 1_000_000,
    TimingUnit.NS: 1_000_000_000,
}

# The metrics of Server-Timing that are ours, by their names in lower case. Servers call theirs
# what they like, and what is not sure to be one of these is left out.
COMPONENT_NAMES = {
    "queue": Component.QUEUE,
    "queued": Component.QUEUE,
    "queueing": Component.QUEUE,
    "queuing": Component.QUEUE,
    "preprocess": Component.PREPROCESS,
    "preprocessing": Component.PREPROCESS,
    "tokenization": Component.PREPROCESS,
    "tokenize": Component.PREPROCESS,
    "compute": Component.COMPUTE,
    "infer": Component.COMPUTE,
    "inference": Component.COMPUTE,
    "predict": Component.COMPUTE,
    "prediction": Component.COMPUTE,
    "postprocess": Component.POSTPROCESS,
    "postprocessing": Component.POSTPROCESS,
    "load": Component.LOAD,
    "app": Component.TOTAL,
    "total": Component.TOTAL,
}

MAX_HEADER_CHARS = 8 * 1024
"""Characters of Server-Timing that are read: enough for hundreds of metrics."""

# Servers that count in whole milliseconds may round up.
ROUNDING_SECONDS = 0.001

# A quoted string ends with its quote, or where the header does.
_QUOTED = r'"(?:[^"\\]|\\.)*+"?'
_METRIC = re.compile(rf'(?:[^",]|{_QUOTED})+', re.DOTALL)
_PARAMETER = re.compile(rf'(?:[^";]|{_QUOTED})+', re.DOTALL)
_LONGEST_NUMBER = 100
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

ServerTime = tuple[Component, float | None]
"""A time that a server tells, in seconds; None when it is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """Seconds by component, and how many times made no sense."""

    times: Mapping[Component, float] = field(default_factory=dict)
    ignored: int = 0


NO_SERVER_TIMES = ServerTimes()


class ServerTimingParser:
    """Reads what the server of one probe says of itself."""

    def __init__(self, mapping: Iterable[ServerTiming]) -> None:
        self._mapped = tuple((one, _source(one)) for one in mapping)

    def __call__(self, observed: ProbeResponse, *, wall: float) -> ServerTimes:
        """What an answer tells, for which the client has waited so long (seconds) in all."""
        header = observed.headers.get(HEADER_NAME)
        if header is None and not self._mapped:
            return NO_SERVER_TIMES
        longest = wall + ROUNDING_SECONDS
        mapped, bad = _add_up(self._told(observed), longest)
        standard, worse = _add_up(parse(header or ""), longest)
        return ServerTimes(times={**standard, **mapped}, ignored=bad + worse)

    def _told(self, observed: ProbeResponse) -> Iterator[ServerTime]:
        patience = CpuBudget()
        for one, values in self._mapped:
            for value in values(observed, patience):
                yield one.component, None if value is None else value / UNITS_PER_SECOND[one.unit]


def parse(header: str) -> Iterator[ServerTime]:
    """The metrics of a Server-Timing header that are ours. Of two `dur` the first counts."""
    for metric in _metrics(header):
        name, _, parameters = metric.partition(";")
        component = COMPONENT_NAMES.get(name.strip().lower())
        if component:
            milliseconds = _of_text(_duration(_PARAMETER.findall(parameters)))
            yield component, None if milliseconds is None else milliseconds / 1000


def _metrics(header: str) -> list[str]:
    """Those that end before the cap."""
    metrics: list[str] = _METRIC.findall(header[:MAX_HEADER_CHARS])
    return metrics if len(header) <= MAX_HEADER_CHARS else metrics[:-1]


def _duration(parameters: Iterable[str]) -> str:
    """The text of the parameter `dur`; empty where there is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "dur":
            return _unquoted(value.strip())
    return ""


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:].removesuffix('"')) if value[:1] == '"' else value


def _add_up(told: Iterable[ServerTime], longest: float) -> tuple[dict[Component, float], int]:
    """Seconds by component, and how many were ignored: those that cannot have been."""
    times: dict[Component, list[float]] = defaultdict(list)
    ignored = 0
    for component, seconds in told:
        if seconds is not None and 0 <= seconds <= longest:
            times[component].append(seconds)
        else:
            ignored += 1
    whole = {one: (max if one is Component.TOTAL else sum)(of) for one, of in times.items()}
    return whole, ignored


def _source(one: ServerTiming) -> Callable[[ProbeResponse, CpuBudget], list[float | None]]:
    """What finds the values that a mapping names, None for each that is no number.

    What is missing is no garbage; null is how JSON says nothing, and a body that is not JSON has
    nothing to say.
    """
    if one.from_ is TimingSource.HEADER:
        return lambda observed, _: (
            [_of_text(observed.headers[one.key])] if one.key in observed.headers else []
        )
    find = compile_query(one.key)

    def values(observed: ProbeResponse, patience: CpuBudget) -> list[float | None]:
        try:
            found = find(observed.document, patience)
        except TimeoutError:
            return [None]
        except (BodyDecodeError, RecursionError):
            return []
        return [_of_json(value) for value in found if value is not None]

    return values


def _of_text(text: str) -> float | None:
    text = text.strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return float(text)


def _of_json(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
