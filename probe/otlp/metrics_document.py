"""The metrics of a scrape in the JSON of OTLP.

Metrics have their names of Prometheus and no unit. A receiver that adds suffixes for the type and
the unit, as Prometheus does by default, therefore does not change the names.

The text of the page is translated line by line. With the parser of prometheus_client and a tree of
objects, a push of 1,000 probes would take 7 seconds of CPU.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from probe.otlp.attributes import SCOPE, resource

_CUMULATIVE = '"aggregationTemporality": 2, '

# Field of a metric in OTLP and its settings, by the type of the metric in Prometheus.
_DATA = {
    "counter": ("sum", f'{_CUMULATIVE}"isMonotonic": true, '),
    "gauge": ("gauge", ""),
    "histogram": ("histogram", _CUMULATIVE),
}

# A label as Prometheus writes it. Its escapes are also those of JSON.
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')
_ATTRIBUTE = r'{"key": "\1", "value": {"stringValue": "\2"}}, '
_CONTROL_CHARS = {code: f"\\u{code:04x}" for code in range(0x20)}

# A threshold below 0.0001. It has to equal the label `le` of its bucket, and Prometheus writes the
# bounds of OTLP without an exponent.
_EXPONENT = re.compile(r'\bthreshold="([0-9.]+e-[0-9]+)"')

# Values that JSON lacks.
_NOT_JSON = ("NaN", "+Inf", "-Inf")


@dataclass(slots=True)
class _Family:
    """The lines of a metric. `kind` is its type in Prometheus."""

    name: str
    description: str
    kind: str = ""
    lines: list[str] = field(default_factory=list)


def encode_metrics(
    page: Iterable[str], *, instance: str, start_ns: int, now_ns: int
) -> Iterator[bytes]:
    """Yield the parts of a document with the metrics of `page`, a scrape in the text format 0.0.4.

    Each part of the page ends with a complete line. `start_ns` is when the counters were 0, and
    `now_ns` the time of the scrape (Unix nanoseconds).
    """
    scope = f'{{"scope": {json.dumps(SCOPE)}, "metrics": ['
    head = f'{{"resourceMetrics": [{{"resource": {json.dumps(resource(instance))}, "scopeMetrics": '
    yield f"{head}[{scope}".encode()
    times = f'"startTimeUnixNano": "{start_ns}", "timeUnixNano": "{now_ns}"'
    separator = ""
    for family in _families(page):
        if metric := _metric(family, times):
            yield f"{separator}{metric}".encode()
            separator = ", "
    yield b"]}]}]}"


def _families(page: Iterable[str]) -> Iterator[_Family]:
    family = None
    for part in page:
        for line in part.split("\n"):  # splitlines() would also split label values
            if line.startswith("# HELP "):
                if family:
                    yield family
                _, _, name, description = line.split(" ", 3)
                family = _Family(name, description)
            elif family and line.startswith("# TYPE "):
                family.kind = line.rpartition(" ")[2]
            elif family and line:
                family.lines.append(line)
    if family:
        yield family


def _metric(family: _Family, times: str) -> str | None:
    """Return the JSON of a metric; None if it has no values."""
    is_histogram = family.kind == "histogram"
    points = (_histogram_points if is_histogram else _number_points)(family, times)
    text = ", ".join(points)
    if not text:
        return None
    kind, settings = _DATA[family.kind]
    name, description = json.dumps(family.name), json.dumps(family.description)
    data = f'{{{settings}"dataPoints": [{text}]}}'
    return f'{{"name": {name}, "description": {description}, "{kind}": {data}}}'


def _number_points(family: _Family, times: str) -> Iterator[str]:
    for line in family.lines:
        series, _, value = line.rpartition(" ")
        if value not in _NOT_JSON:
            labels = _EXPONENT.sub(_decimal_threshold, series[len(family.name) + 1 : -1])
            yield f'{{"attributes": [{_attributes(labels)}], {times}, "asDouble": {value}}}'


def _decimal_threshold(match: re.Match[str]) -> str:
    return f'threshold="{Decimal(match[1]):f}"'


def _histogram_points(family: _Family, times: str) -> Iterator[str]:
    """Yield the data points. The samples of each are its ascending buckets, count and sum.

    In OTLP the counts of buckets are not cumulative.
    """
    bucket_head, sum_name = f"{family.name}_bucket{{", f"{family.name}_sum"
    bounds: list[str] = []
    counts: list[str] = []
    below = 0
    for line in family.lines:
        series, _, value = line.rpartition(" ")
        if series.startswith(bucket_head):
            count = int(value)
            counts.append(f'"{count - below}"')
            bounds.append(series[series.rindex('="') + 2 : -2])
            below = count
        elif series.startswith(sum_name):
            labels = series[len(sum_name) + 1 : -1]
            # The last bound is +Inf, which OTLP omits.
            yield (
                f'{{"attributes": [{_attributes(labels)}], {times}, "count": "{below}",'
                f' "sum": {value}, "explicitBounds": [{", ".join(bounds[:-1])}],'
                f' "bucketCounts": [{", ".join(counts)}]}}'
            )
            bounds, counts, below = [], [], 0


def _attributes(labels: str) -> str:
    """Return the attributes of the text between the braces of a series, without brackets."""
    return _LABEL.sub(_ATTRIBUTE, labels.translate(_CONTROL_CHARS)).removesuffix(", ")
