"""Writes the text of a scrape.

prometheus_client renders one sample at a time, from a dict of labels that it sorts and escapes in
every scrape. With 1,000 probes and the default buckets (140,000 samples) that took more than a
second, in which nothing else could run. Here the texts of labels and buckets are built once. The
tests compare the output with prometheus_client's own parsers.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol

from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from probe.metrics.catalogue import MetricSpec

_OPENMETRICS = "application/openmetrics-text"
_PLAIN_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
_ESCAPINGS = ("allow-utf-8", "underscores", "dots", "values")
# Larger values are written with an exponent.
MIN_EXPONENT_VALUE = 1_000_000
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def format_value(value: float) -> str:
    """Return `value` as Prometheus and Go write it: `0.5`, `+Inf`, `1e+06`."""
    if 0 <= value < MIN_EXPONENT_VALUE:
        # The same text as below in a third of the time, for the values that most samples have.
        return repr(float(value))
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def format_labels(labels: Mapping[str, str]) -> str:
    """Return labels in the exposition format: `probe="sentiment",outcome="success"`."""
    return ",".join(f'{name}="{value.translate(_LABEL_ESCAPES)}"' for name, value in labels.items())


def format_series(name: str, labels: str) -> str:
    """Return name and labels of a series; `labels` is text from `format_labels`."""
    return f"{name}{{{labels}}}" if labels else name


def format_sample(spec: MetricSpec, labels: str, value: float) -> str:
    """Return the line of one sample; `labels` is text from `format_labels`."""
    return f"{format_series(spec.name, labels)} {format_value(value)}\n"


# Between two lines of a template, where the next one begins with the name and the other labels.
_NEXT_LINE = "\0"


def lines_template(ends: Iterable[str]) -> str:
    """Return a template for `fill_lines`: the ends of the lines, with `%d` for the values."""
    return _NEXT_LINE.join(ends)


def fill_lines(template: str, head: str, values: tuple[int, ...]) -> str:
    """Return the lines of `template` with `values`. Each begins with `head`: name and labels.

    One text for all takes a third to half of the time of a text for each line. It is short while
    the values are inserted.
    """
    return head + (template % values).replace(_NEXT_LINE, f"\n{head}") + "\n"


class Exposition:
    """Collects metric families, whose text is written when it is read."""

    def __init__(self, *, openmetrics: bool) -> None:
        self.is_openmetrics = openmetrics
        self._families: list[tuple[MetricSpec, Iterable[str]]] = []

    def add_family(self, spec: MetricSpec, samples: Iterable[str]) -> None:
        """Add a metric with the lines of its samples. A metric without samples is left out."""
        self._families.append((spec, samples))

    def parts(self) -> Iterator[str]:
        """Yield the text of all families in the order in which they were added, in parts.

        The text of a scrape can have many megabytes. In parts it need not be in memory at once.
        Can be called once.
        """
        # Each family is dropped once its text is complete. Its samples refer to copies of all
        # counts and to this object. The cycle would keep them until a full garbage collection.
        self._families.reverse()
        while self._families:
            spec, samples = self._families.pop()
            header = self._header(spec)
            for sample in samples:
                yield header + sample
                header = ""

    def text(self) -> str:
        """Return the text of all families. Can be called once."""
        return "".join(self.parts())

    def _header(self, spec: MetricSpec) -> str:
        name = spec.name
        if self.is_openmetrics and spec.kind == "counter":
            # In OpenMetrics the suffix belongs to the sample, not to the family.
            name = name.removesuffix("_total")
        return f"# HELP {name} {spec.help}\n# TYPE {name} {spec.kind}\n"


class MetricSource(Protocol):
    """Has metrics to export."""

    def write_to(self, exposition: Exposition) -> None:
        """Add all metric families of this source to `exposition`."""


def negotiate_content_type(accept: str) -> str:
    """Return the content type for the `Accept` header of a scrape.

    The rules are those of prometheus_client's `choose_encoder`, which is not public: the first
    media range that names OpenMetrics without a version, or either format in version 1.0.0 or
    later, wins; the default is the text format 0.0.4. The only OpenMetrics version written is
    1.0.0. The result may be passed in again and is then returned unchanged.
    """
    for media_range in accept.split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        values = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        version, escaping = values.get("version", ""), values.get("escaping")
        if escaping not in _ESCAPINGS:
            escaping = "underscores"
        if media_type == _OPENMETRICS and (not version or _is_1_0_or_later(version)):
            return f"{_OPENMETRICS}; version=1.0.0; charset=utf-8; escaping={escaping}"
        if media_type == "text/plain" and _is_1_0_or_later(version):
            return f"{_PLAIN_1_0_0}; escaping={escaping}"
    return _PLAIN_0_0_4


def _is_1_0_or_later(version: str) -> bool:
    parts = version.split(".")
    # `int` raises ValueError for thousands of digits.
    return all(part.isdecimal() and len(part) < 10 for part in parts) and tuple(
        map(int, parts)
    ) >= (1, 0, 0)


def render(
    accept: str, sources: Iterable[MetricSource], others: Collector
) -> tuple[Iterable[str], str]:
    """Return the body, in parts, and the content type of a scrape that accepts `accept`.

    `others` are the metrics of the process, which prometheus_client collects.
    """
    content_type = negotiate_content_type(accept)
    is_openmetrics = content_type.startswith(_OPENMETRICS)
    exposition = Exposition(openmetrics=is_openmetrics)
    for source in sources:
        source.write_to(exposition)
    _add_collected(exposition, others)
    return chain(exposition.parts(), ["# EOF\n"] if is_openmetrics else []), content_type


def _add_collected(exposition: Exposition, collector: Collector) -> None:
    """Add metrics of prometheus_client: counters and gauges."""
    for metric in collector.collect():
        suffix = "_total" if metric.type == "counter" else ""
        spec = MetricSpec(metric.name + suffix, metric.type, metric.documentation)
        samples = [
            f"{format_series(sample.name, format_labels(dict(sorted(sample.labels.items()))))} "
            f"{format_value(sample.value)}\n"
            for sample in metric.samples
        ]
        exposition.add_family(spec, samples)
