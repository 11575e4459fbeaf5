"""Metrics in the JSON of OTLP."""

import json
from typing import Any

from probe.metrics.exposition import format_labels
from probe.otlp.metrics_document import encode_metrics
from tests.otlp.collector import attributes
from tests.otlp.remote_write import series_of

PAGE = """\
# HELP ticks_total Ticks.
# TYPE ticks_total counter
ticks_total{probe="a \\"b\\"\\\\"} 3.0
ticks_total{probe="c"} 4.0
# HELP lag_seconds Lag.
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.5"} 1
lag_seconds_bucket{le="1.0"} 1
lag_seconds_bucket{le="+Inf"} 4
lag_seconds_count 4
lag_seconds_sum 7.5
# HELP last_seconds Last.
# TYPE last_seconds gauge
last_seconds{probe="c"} NaN
# HELP up_ratio Up.
# TYPE up_ratio gauge
up_ratio{probe="c"} 0.25
# HELP loaded_ratio Loaded.
# TYPE loaded_ratio gauge
loaded_ratio 1.0
"""


def metrics_of(*page: str) -> dict[str, Any]:
    """Return the metrics of a page by name."""
    parts = encode_metrics(page, instance="host:1", start_ns=5, now_ns=7)
    (resource_metrics,) = json.loads(b"".join(parts))["resourceMetrics"]
    assert attributes(resource_metrics["resource"])["service.instance.id"] == "host:1"
    (scope_metrics,) = resource_metrics["scopeMetrics"]
    return {metric["name"]: metric for metric in scope_metrics["metrics"]}


def test_each_type() -> None:
    """Counters are cumulative sums; counts of buckets are not cumulative. The names are unchanged.

    A value that is no number, and a metric without values, are left out.
    """
    metrics = metrics_of(PAGE)
    assert metrics.keys() == {"ticks_total", "lag_seconds", "up_ratio", "loaded_ratio"}
    assert metrics["loaded_ratio"]["gauge"]["dataPoints"][0]["attributes"] == []
    ticks = metrics["ticks_total"]["sum"]
    assert ticks["isMonotonic"] is True
    assert [attributes(point) for point in ticks["dataPoints"]] == [
        {"probe": 'a "b"\\'},
        {"probe": "c"},
    ]
    assert [point["asDouble"] for point in ticks["dataPoints"]] == [3.0, 4.0]
    (lag,) = metrics["lag_seconds"]["histogram"]["dataPoints"]
    assert lag == {
        "attributes": [],
        "startTimeUnixNano": "5",
        "timeUnixNano": "7",
        "count": "4",
        "sum": 7.5,
        "explicitBounds": [0.5, 1.0],
        "bucketCounts": ["1", "0", "3"],
    }
    assert metrics["up_ratio"]["gauge"]["dataPoints"][0]["asDouble"] == 0.25
    assert all("unit" not in metric for metric in metrics.values())


def test_label_values_are_unchanged() -> None:
    """Quotes, backslashes, line ends, other control characters, and text like another label."""
    value = 'a="b",\\ \n \t \x0b \u2028 é'
    labels = format_labels({"probe": value, "team": "c"})
    page = f"# HELP up Up.\n# TYPE up gauge\nup{{{labels}}} 1\n"
    (point,) = metrics_of(page)["up"]["gauge"]["dataPoints"]
    assert attributes(point) == {"probe": value, "team": "c"}


def test_thresholds_are_bounds() -> None:
    """Prometheus writes bounds of OTLP without an exponent. Other labels are unchanged."""
    labels = format_labels({"probe": 'threshold="1e-05"', "threshold": "2.5e-05", "team": "1e-05"})
    page = (
        f"# HELP target_ratio Target.\n# TYPE target_ratio gauge\ntarget_ratio{{{labels}}} 0.9\n"
        "# HELP latency_seconds Latency.\n# TYPE latency_seconds histogram\n"
        'latency_seconds_bucket{le="2.5e-05"} 1\nlatency_seconds_bucket{le="+Inf"} 2\n'
        "latency_seconds_count 2\nlatency_seconds_sum 0.5\n"
    )
    (point,) = metrics_of(page)["target_ratio"]["gauge"]["dataPoints"]
    assert attributes(point) == {
        "probe": 'threshold="1e-05"',
        "threshold": "0.000025",
        "team": "1e-05",
    }
    document = json.loads(b"".join(encode_metrics([page], instance="h:1", start_ns=5, now_ns=7)))
    assert {sample.labels.get("le") for sample in series_of(document)} == {
        None,
        "0.000025",
        "+Inf",
    }


def test_parts_of_a_page() -> None:
    """A page in parts, whose boundaries are line ends, gives the same metrics."""
    assert metrics_of(*PAGE.splitlines(keepends=True)) == metrics_of(PAGE)


def test_histograms_with_different_buckets() -> None:
    """Each set of labels has a point with its own bounds."""
    lines = [
        "# HELP latency_seconds Latency.\n# TYPE latency_seconds histogram\n",
        'latency_seconds_bucket{outcome="success",le="0.1"} 1\n',
        'latency_seconds_bucket{outcome="success",le="+Inf"} 2\n',
        'latency_seconds_count{outcome="success"} 2\n',
        'latency_seconds_sum{outcome="success"} 0.5\n',
        'latency_seconds_bucket{outcome="failure",le="+Inf"} 0\n',
        'latency_seconds_count{outcome="failure"} 0\n',
        'latency_seconds_sum{outcome="failure"} 0\n',
    ]
    points = metrics_of(*lines)["latency_seconds"]["histogram"]["dataPoints"]
    assert [point["explicitBounds"] for point in points] == [[0.1], []]
    assert [point["bucketCounts"] for point in points] == [["1", "1"], ["0"]]


def test_the_series_in_prometheus() -> None:
    """Names and labels are those of a scrape; whole bounds have no decimals."""
    document = json.loads(b"".join(encode_metrics([PAGE], instance="h:1", start_ns=5, now_ns=7)))
    names = {sample.labels["__name__"] for sample in series_of(document)}
    buckets = {sample.labels["le"] for sample in series_of(document) if "le" in sample.labels}
    expected = {
        "ticks_total",
        "up_ratio",
        "loaded_ratio",
        *(f"lag_seconds_{s}" for s in ("bucket", "sum", "count")),
    }
    assert names == expected
    assert buckets == {"0.5", "1", "+Inf"}
