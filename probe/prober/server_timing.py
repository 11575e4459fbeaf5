"""Server times: how long the server says it spent on a response.

The header Server-Timing (https://www.w3.org/TR/server-timing/) is always read, in milliseconds; as
a trailer it is ignored. In addition the config maps headers or JSON values to components.

- Several times of one component in one source add up, e.g. those of two stages. Of `total` the
  longest counts, because it includes the others.
- A mapped component overrides the same component of Server-Timing.
- Invalid times are ignored and counted: not a number, below 0, or longer than the whole probe (a
  wrong unit, or a response that a cache stored with its headers). If the sum of a component is
  longer than the whole probe, all its times are invalid. A query that exceeds a limit, or that
  cannot be run because the daemon is busy, counts as one invalid time.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probe.config.choices import ResponsePart, TimingUnit
from probe.prober.cpu_budget import CpuBudget
from probe.prober.json_query import JsonQuery, compile_query
from probe.prober.response import BodyDecodeError, ProbeResponse, json_number, parse_number
from probe.result import Component
from probe.value_class import value_class

if TYPE_CHECKING:  # the worker process does not have the memory for the config's models
    from probe.config.response_settings import ServerTiming

HEADER_NAME = "server-timing"

UNITS_PER_SECOND = {
    TimingUnit.S: 1,
    TimingUnit.MS: 1_000,
    TimingUnit.US: 1_000_000,
    TimingUnit.NS: 1_000_000_000,
}

# Components by the names that servers use for them in Server-Timing, in lower case. Ambiguous names
# are left out.
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

# Characters of Server-Timing that are parsed: enough for hundreds of metrics.
MAX_PARSED_HEADER_CHARS = 8 * 1024

# Servers that count whole milliseconds may round up.
ROUNDING_SECONDS = 0.001

# A quoted string ends at its quote or at the end of the header.
_QUOTED = r'"(?:[^"\\]|\\.)*+"?'
_METRIC = re.compile(rf'(?:[^",]|{_QUOTED})+', re.DOTALL)
_PARAMETER = re.compile(rf'(?:[^";]|{_QUOTED})+', re.DOTALL)

_ORDINARY_DURATION = re.compile(r"dur=([0-9]{1,15}(?:\.[0-9]{1,15})?)")

# A time in seconds that a server reports; None if it is not a number.
ServerTime = tuple[Component, float | None]


@value_class(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """Seconds by component, and the number of invalid times."""

    times: Mapping[Component, float] = field(default_factory=dict)
    ignored: int = 0


NO_SERVER_TIMES = ServerTimes()


@dataclass(frozen=True, slots=True)
class _MappedTime:
    """An entry of the mapping: a header, or a JSON value if there is a `query`."""

    component: Component
    units_per_second: int
    header: str
    query: JsonQuery | None

    @classmethod
    def of(cls, entry: "ServerTiming") -> "_MappedTime":
        is_json = entry.from_ is ResponsePart.JSON
        return cls(
            component=entry.component,
            units_per_second=UNITS_PER_SECOND[entry.unit],
            header=entry.key.lower(),
            query=compile_query(str(entry.key)) if is_json else None,
        )

    def read(self, response: ProbeResponse, budget: CpuBudget | None) -> list[float | None]:
        """Return the values, None for each that is not a number, and for JSON without a `budget`.

        A missing value is not invalid, nor is null, nor a body that is not JSON.
        """
        if self.query is None:
            header = response.headers.get(self.header)
            return [] if header is None else [parse_number(header)]
        if budget is None:
            return [None]
        try:
            values = self.query(response.document, budget)
        except TimeoutError:
            return [None]
        except (BodyDecodeError, RecursionError):
            return []
        return [json_number(value) for value in values if value is not None]


class ServerTimingParser:
    """Reads the server times of one probe's responses. It can be pickled."""

    def __init__(self, mapping: "Iterable[ServerTiming]") -> None:
        self._mapped_times = tuple(map(_MappedTime.of, mapping))

    @property
    def has_mapping(self) -> bool:
        """Whether the config maps values to times. Without it, only Server-Timing is read."""
        return bool(self._mapped_times)

    @property
    def needs_body(self) -> bool:
        """Whether a time is in the body."""
        return any(mapped.query for mapped in self._mapped_times)

    def parse(
        self, response: ProbeResponse, budget: CpuBudget | None, *, wall_seconds: float
    ) -> ServerTimes:
        """Return the times in `response`. `wall_seconds` is the duration of the whole probe.

        Without a `budget`, the body is not read: each time in it counts as invalid.
        """
        header = response.headers.get(HEADER_NAME)
        if header is None and not self._mapped_times:
            return NO_SERVER_TIMES
        standard = read_server_timing(header or "", wall_seconds=wall_seconds)
        mapped, ignored = _add_up(self._read_mapped(response, budget), wall_seconds)
        return ServerTimes(times={**standard.times, **mapped}, ignored=standard.ignored + ignored)

    def _read_mapped(
        self, response: ProbeResponse, budget: CpuBudget | None
    ) -> Iterator[ServerTime]:
        for mapped in self._mapped_times:
            for value in mapped.read(response, budget):
                seconds = None if value is None else value / mapped.units_per_second
                yield mapped.component, seconds


def read_server_timing(header: str, *, wall_seconds: float) -> ServerTimes:
    """Return the times in a Server-Timing header.

    `wall_seconds` is the duration of the whole probe.
    """
    times, ignored = _add_up(parse_header(header), wall_seconds)
    return ServerTimes(times=times, ignored=ignored)


def parse_header(header: str) -> Iterator[ServerTime]:
    """Yield the known metrics of a Server-Timing header. The first `dur` of a metric counts."""
    for metric in _split_metrics(header):
        name, _, parameters = metric.partition(";")
        component = COMPONENT_NAMES.get(name.strip().lower())
        if component:
            milliseconds = _read_duration(parameters)
            yield component, None if milliseconds is None else milliseconds / 1000


def _split_metrics(header: str) -> list[str]:
    """Return the metrics that end within `MAX_PARSED_HEADER_CHARS`."""
    parsed = header[:MAX_PARSED_HEADER_CHARS]
    metrics: list[str] = _METRIC.findall(parsed) if '"' in parsed else parsed.split(",")
    return metrics if len(header) <= MAX_PARSED_HEADER_CHARS else metrics[:-1]


def _read_duration(parameters: str) -> float | None:
    """Return the duration (ms) of a metric; None if it is not a number."""
    # Nearly all metrics have this form. To parse it like any other takes 2 µs more.
    if match := _ORDINARY_DURATION.fullmatch(parameters):
        return float(match[1])
    return parse_number(_find_duration(_PARAMETER.findall(parameters)))


def _find_duration(parameters: Iterable[str]) -> str:
    """Return the text of the parameter `dur`; empty without one."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "dur":
            return _unquote(value.strip())
    return ""


def _unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:].removesuffix('"')) if value[:1] == '"' else value


def _add_up(times: Iterable[ServerTime], wall_seconds: float) -> tuple[dict[Component, float], int]:
    """Return the seconds by component and the number of invalid times."""
    max_seconds = wall_seconds + ROUNDING_SECONDS
    valid: dict[Component, list[float]] = defaultdict(list)
    ignored = 0
    for component, seconds in times:
        if seconds is not None and 0 <= seconds <= max_seconds:
            valid[component].append(seconds)
        else:
            ignored += 1
    totals: dict[Component, float] = {}
    for component, values in valid.items():
        total = max(values) if component is Component.TOTAL else sum(values)
        if total <= max_seconds:
            totals[component] = total
        else:
            ignored += len(values)
    return totals, ignored
