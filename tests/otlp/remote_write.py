"""Writes the metrics of an OTLP document to a Prometheus that cannot receive OTLP itself.

The packages of Debian lack the OTLP receiver. This does what the receiver of Prometheus 3 does with
its default settings: `service.name` and `service.instance.id` become `job` and `instance`, the type
and the unit of a metric add a suffix to a name that lacks it, and a bucket has the shortest decimal
of its bound as `le`.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple

import requests

from tests.otlp.collector import attributes


class WrittenSample(NamedTuple):
    labels: Mapping[str, str]
    value: float
    milliseconds: int


def series_of(document: Any) -> Iterator[WrittenSample]:
    """Yield the samples that Prometheus stores for a document."""
    for resource_metrics in document["resourceMetrics"]:
        resource = attributes(resource_metrics["resource"])
        target = {"job": resource["service.name"], "instance": resource["service.instance.id"]}
        for scope_metrics in resource_metrics["scopeMetrics"]:
            for metric in scope_metrics["metrics"]:
                yield from _samples(metric, target)


def _samples(metric: Mapping[str, Any], target: Mapping[str, str]) -> Iterator[WrittenSample]:
    name = metric["name"]
    assert "unit" not in metric, "a unit would be added to the name"
    if "histogram" in metric:
        assert metric["histogram"]["aggregationTemporality"] == 2, "only cumulative is supported"
        for point in metric["histogram"]["dataPoints"]:
            yield from _histogram_samples(name, point, target)
        return
    if "sum" in metric:
        assert metric["sum"]["aggregationTemporality"] == 2, "only cumulative is supported"
        assert metric["sum"]["isMonotonic"], "otherwise it is a gauge"
        name = f"{name.removesuffix('_total')}_total"
    for point in metric.get("sum", metric.get("gauge"))["dataPoints"]:
        labels = {"__name__": name, **attributes(point), **target}
        yield WrittenSample(labels, point["asDouble"], _milliseconds(point))


def _histogram_samples(
    name: str, point: Mapping[str, Any], target: Mapping[str, str]
) -> Iterator[WrittenSample]:
    counts = list(accumulate(map(int, point["bucketCounts"])))
    assert counts[-1] == int(point["count"])
    bounds = [f"{Decimal(repr(bound)):f}" for bound in point["explicitBounds"]]
    bounds = [text.removesuffix(".0") for text in bounds] + ["+Inf"]
    values = [("_bucket", {"le": le}, count) for le, count in zip(bounds, counts, strict=True)]
    values += [("_sum", {}, point["sum"]), ("_count", {}, counts[-1])]
    for suffix, labels, value in values:
        all_labels = {"__name__": f"{name}{suffix}", **attributes(point), **target, **labels}
        yield WrittenSample(all_labels, value, _milliseconds(point))


def _milliseconds(point: Mapping[str, Any]) -> int:
    return int(point["timeUnixNano"]) // 10**6


def write(prometheus: str, samples: Iterable[WrittenSample]) -> None:
    """Store samples with remote write 1.0, which needs `--web.enable-remote-write-receiver`."""
    response = requests.post(
        f"{prometheus}/api/v1/write",
        data=_snappy(b"".join(_message(1, _time_series(sample)) for sample in samples)),
        headers={
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
        timeout=10,
    )
    assert response.ok, response.text


def _time_series(sample: WrittenSample) -> bytes:
    labels = b"".join(
        _message(1, _message(1, name.encode()) + _message(2, value.encode()))
        for name, value in sorted(sample.labels.items())
    )
    value = b"\x09" + struct.pack("<d", sample.value) + b"\x10" + _varint(sample.milliseconds)
    return labels + _message(2, value)


def _message(field: int, content: bytes) -> bytes:
    """Return a field of protobuf with a length: a message or text."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def _snappy(data: bytes) -> bytes:
    """Return data in the block format of Snappy, as literals: it is not compressed."""
    blocks = [data[start : start + 60] for start in range(0, len(data), 60)]
    return _varint(len(data)) + b"".join(bytes([len(block) - 1 << 2]) + block for block in blocks)
