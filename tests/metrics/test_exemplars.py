"""Exemplars on the buckets of slow and failed requests."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from probe.metrics.exemplar import Exemplar
from probe.result import Reason, Result
from tests.builders import MEASURED_STREAM, make_result
from tests.metrics.test_recorder import NOW, Exporter

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LATENCY = "inference_probe_latency_seconds_bucket"
FIRST_TOKEN = "inference_probe_time_to_first_token_seconds_bucket"
FAST = {"name": "fast", "target": "99%", "latency": "500ms"}
STRICT = {"name": "strict", "target": "90%", "latency": "200ms"}


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return exporter_of(tmp_path, objectives=[FAST, STRICT])


def exporter_of(directory: Path, **keys: Any) -> Exporter:
    exporter = Exporter(directory, **keys)
    exporter.has_exemplars = True
    return exporter


def traced(number: int, **fields: Any) -> Result:
    """Return a result whose trace id is `number`."""
    return make_result(trace_id=f"{number:032x}", **fields)


def exemplars(exporter: Exporter) -> dict[tuple[str, str, str], tuple[int, float, float]]:
    """Return number, value and time of each exemplar by name, outcome and `le`."""
    page = exporter.page(OPENMETRICS)
    families = openmetrics.text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        if sample.exemplar:
            assert list(sample.exemplar.labels) == ["trace_id"]
            key = sample.name, sample.labels["outcome"], sample.labels["le"]
            number = int(sample.exemplar.labels["trace_id"], 16)
            found[key] = number, sample.exemplar.value, float(sample.exemplar.timestamp)
    return found


def test_slow_and_failed_requests(exporter: Exporter) -> None:
    """A request that is slower than the strictest objective is slow."""
    exporter.recorder.record(traced(1, latency=0.2))
    exporter.recorder.record(traced(2, latency=0.21))
    exporter.recorder.record(traced(3, latency=0.6))
    exporter.recorder.record(traced(4, latency=0.02, reason=Reason.HTTP_5XX))
    assert exemplars(exporter) == {
        (LATENCY, "success", "0.22"): (2, 0.21, NOW),
        (LATENCY, "success", "0.68"): (3, 0.6, NOW),
        (LATENCY, "failure", "+Inf"): (4, 0.02, NOW),
    }


def test_the_latest_of_a_bucket(exporter: Exporter) -> None:
    """Each bucket has at most one. Its time is the end of its run."""
    exporter.recorder.record(traced(1, latency=0.6))
    exporter.now += 10
    exporter.recorder.record(traced(2, latency=0.65))
    assert exemplars(exporter) == {(LATENCY, "success", "0.68"): (2, 0.65, NOW + 10)}


def test_signals_of_streams(tmp_path: Path) -> None:
    """Each signal has its own threshold. A failure is bad for each of them."""
    first_token = {"name": "snappy", "target": "95%", "time_to_first_token": "20ms"}
    exporter = exporter_of(tmp_path, stream={"content": "$.text"}, objectives=[first_token])
    exporter.recorder.record(traced(1, latency=3.0, stream=MEASURED_STREAM))
    assert {key[0]: value[0] for key, value in exemplars(exporter).items()} == {FIRST_TOKEN: 1}
    exporter.recorder.record(traced(2, reason=Reason.STALL_TIMEOUT))
    failed = {key[0] for key, value in exemplars(exporter).items() if value[0] == 2}
    per_token = "inference_probe_time_per_output_token_seconds_bucket"
    assert failed == {LATENCY, FIRST_TOKEN, per_token}


@pytest.mark.parametrize(
    "result",
    [
        make_result(reason=Reason.HTTP_5XX),
        traced(1, reason=Reason.STARTUP),
        traced(1, latency=0.1),
    ],
    ids=["no trace", "not counted", "good"],
)
def test_results_without_an_exemplar(exporter: Exporter, result: Result) -> None:
    """Those without a trace, those in no histogram, and good ones."""
    exporter.recorder.record(result)
    assert exemplars(exporter) == {}


def test_only_in_openmetrics(exporter: Exporter) -> None:
    """The text format 0.0.4 has no exemplars: a parser would reject the page."""
    exporter.recorder.record(traced(1, latency=0.6))
    assert " # {" in exporter.page(OPENMETRICS)
    assert " # {" not in exporter.page()


def test_no_exemplars_of_traces_that_are_not_recorded(tmp_path: Path) -> None:
    """With `sample: never`, they would lead nowhere."""
    exporter = Exporter(tmp_path, objectives=[FAST])
    exporter.recorder.record(traced(1, reason=Reason.HTTP_5XX))
    assert exemplars(exporter) == {}


def test_the_longest_label_set_is_within_the_limit() -> None:
    """OpenMetrics: names and values of the labels have at most 128 characters."""
    text = Exemplar("f" * 32, NOW).text(0.25)
    assert text == f' # {{trace_id="{"f" * 32}"}} 0.25 1800000000.500'
    assert len("trace_id" + "f" * 32) <= 128
