"""The text of values and of buckets."""

import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import PLATFORM_COLLECTOR, CollectorRegistry, Counter, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from probe.metrics import catalogue
from probe.metrics.exposition import format_labels, format_value, render
from probe.metrics.histogram import Histogram

EDGES = [0, -0.0, 1, True, 999_999, 999_999.5, 1_000_000, 1_234_567, -1, 5e-324, 1e-5, 0.0001, 1e22]


@pytest.mark.parametrize("value", [*EDGES, math.inf, -math.inf, math.nan])
def test_values(value: float) -> None:
    """They are written as prometheus_client writes them."""
    assert format_value(value) == floatToGoString(value)  # type: ignore[no-untyped-call]


@given(st.floats() | st.integers(-(10**9), 10**9))
def test_any_value(value: float) -> None:
    """The fast path writes the same text."""
    assert format_value(value) == floatToGoString(value)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("value", ["100%", "%d %s %%", "a\0b", 'a"b\\c', "a\rb", "ü"])
def test_labels_of_buckets(value: str) -> None:
    """No character of a label is taken for a part of the template of the buckets."""
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.5, 0.6, 7):
        histogram.observe(seconds)
    spec = catalogue.DIMENSION_DURATION
    (family,) = text_string_to_metric_families(
        f"# TYPE {spec.name} histogram\n" + histogram.samples(spec, format_labels({"value": value}))
    )
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"value": value, "le": "0.1"}, 1),
        ({"value": value, "le": "1.0"}, 3),
        ({"value": value, "le": "+Inf"}, 4),
        ({"value": value}, 4),
        ({"value": value}, 8.15),
    ]


@pytest.mark.parametrize(
    ("accept", "generate"),
    [
        ("text/plain", generate_latest),
        ("application/openmetrics-text", openmetrics.generate_latest),
    ],
)
def test_metrics_of_the_process(accept: str, generate: Callable[[Collector], bytes]) -> None:
    """They are written as prometheus_client writes them."""
    registry = CollectorRegistry()
    registry.register(PLATFORM_COLLECTOR)
    counter = Counter("collected", "Objects.", ["z", "a"], registry=registry)
    counter.labels(z='1"', a="2\n").inc(3e9)
    parts, _ = render(accept, (), Uncreated(registry))
    assert "".join(parts) == generate(Uncreated(registry)).decode()


class Uncreated(Collector):
    """Leaves out the times of creation, which the collectors of the process do not have."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample for sample in metric.samples if not sample.name.endswith("_created")
            ]
            yield metric
