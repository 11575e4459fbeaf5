"""The text that Prometheus reads, made in one go.

prometheus_client renders a sample at a time, from a dict of labels that it sorts and escapes on
every scrape: 1,000 probes with the default buckets have 140,000 samples, and took it more than a
second in which nothing else could run. Here the text of labels and buckets is made once. What it
says, and how it is escaped, is held against prometheus_client's own parsers.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from probe.metrics.catalogue import MetricSpec

_OPENMETRICS = "application/openmetrics-text"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def format_value(value: float) -> str:
    """A value as Prometheus and Go write it: `0.5`, `+Inf`, `1e+06`."""
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def format_labels(labels: Mapping[str, str]) -> str:
    """`probe="sentiment",outcome="success"`."""
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())


class Exposition:
    """Text in the making: families, one after the other, in the format that was asked for."""

    def __init__(self, *, openmetrics: bool) -> None:
        self._openmetrics = openmetrics
        self._parts: list[str] = []

    def family(self, declared: MetricSpec, samples: Iterable[str]) -> None:
        """Add a metric with the lines of its samples; without samples it is left out."""
        lines = "".join(samples)
        if lines:
            name = declared.name
            if self._openmetrics and declared.kind == "counter":
                name = name.removesuffix("_total")  # there it belongs to the sample
            self._parts.append(f"# HELP {name} {declared.help}\n# TYPE {name} {declared.kind}\n")
            self._parts.append(lines)

    def text(self) -> str:
        return "".join(self._parts)


def format_sample(declared: MetricSpec, labels: str, value: float) -> str:
    """The line of one sample; `labels` as `labels_text` has made them."""
    return f"{declared.name}{{{labels}}} {format_value(value)}\n"


class Source(Protocol):
    """Whoever has metrics of ours to show."""

    def expose(self, to: Exposition) -> None: ...


def negotiate_content_type(accept: str) -> str:
    """The content type for a scrape that accepts this; for `render` it stands for the same.

    There are few of them, whatever clients say. Of OpenMetrics 1.0.0 is what is written, also
    where a later version is accepted.
    """
    try:
        _, content_type = choose_encoder(accept)
    except TypeError:  # where a version that is accepted is no number
        _, content_type = choose_encoder("")
    if content_type.startswith(_OPENMETRICS):
        return re.sub("version=[^;]*", "version=1.0.0", content_type)
    return content_type


def render(accept: str, sources: Iterable[Source], others: Collector) -> tuple[bytes, str]:
    """The whole page and its content type, in the format that a scrape accepts.

    `others` are what prometheus_client itself collects; they come last, and so does its `# EOF`.
    """
    encode, content_type = choose_encoder(accept)
    ours = Exposition(openmetrics=content_type.startswith(_OPENMETRICS))
    for source in sources:
        source.expose(ours)
    return ours.text().encode() + encode(others), content_type
