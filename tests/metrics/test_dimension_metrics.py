"""The version of a model, and histograms by version and segment."""

from pathlib import Path

from probe.result import Reason
from probe.scheduler.value_limit import VALUE_EXPIRY_SECONDS
from tests.builders import make_probe, make_result
from tests.metrics.test_recorder import Exporter

VERSION = {"from": "header", "key": "X-Version"}
KEYS = {"version": VERSION, "segment": VERSION, "histogram_by": ["version", "segment"]}
COUNT = "inference_probe_dimension_duration_seconds_count"


def count(exporter: Exporter, dimension: str, value: str, outcome: str = "success") -> float | None:
    return exporter.value(COUNT, dimension=dimension, value=value, outcome=outcome)


def info(exporter: Exporter) -> dict[str, float]:
    """Return the values of inference_probe_version_info by version."""
    return {
        sample.labels["version"]: sample.value
        for sample in exporter.samples()
        if sample.name == "inference_probe_version_info"
    }


def test_the_last_version(tmp_path: Path) -> None:
    """A result without a version, such as a timeout, does not change it."""
    exporter = Exporter(tmp_path, version=VERSION)
    assert info(exporter) == {}
    for version in ("1", "2", None):
        exporter.recorder.record(make_result(version=version))
    assert info(exporter) == {"2": 1}


def test_the_version_after_a_reload(tmp_path: Path) -> None:
    """It is that of another model if the URL changes."""
    exporter = Exporter(tmp_path, version=VERSION)
    exporter.recorder.record(make_result(version="1"))
    exporter.recorder.update_probe(make_probe(tmp_path, version=VERSION, interval="1s"))
    assert info(exporter) == {"1": 1}
    exporter.recorder.update_probe(make_probe(tmp_path, version=VERSION, url="http://other/"))
    assert info(exporter) == {}


def test_labels_are_escaped(tmp_path: Path) -> None:
    """The version is the server's text."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version='a"b\\c', segment="ü"))
    assert info(exporter) == {'a"b\\c': 1}
    assert count(exporter, "version", 'a"b\\c') == count(exporter, "segment", "ü") == 1


def test_histograms(tmp_path: Path) -> None:
    """Their number is the sum over the dimensions. They have the buckets of the latency."""
    objectives = [{"name": "fast", "target": "99%", "latency": "123ms"}]
    exporter = Exporter(tmp_path, **KEYS, objectives=objectives)
    exporter.recorder.record(make_result(version="1", segment="blue", latency=0.1))
    exporter.recorder.record(make_result(version="2", segment="blue", latency=0.3))
    assert count(exporter, "version", "1") == count(exporter, "version", "2") == 1
    assert count(exporter, "segment", "blue") == 2
    assert count(exporter, "version", "1", "failure") == 0
    labels = {"dimension": "segment", "value": "blue", "outcome": "success"}
    name = "inference_probe_dimension_duration_seconds_bucket"
    assert exporter.value(name, **labels, le="0.123") == 1


def test_failures(tmp_path: Path) -> None:
    """Only those that count against objectives. Those without a response have no version."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version="1", reason=Reason.HTTP_5XX))
    exporter.recorder.record(make_result(reason=Reason.REFUSED))
    exporter.recorder.record(make_result(version="2", reason=Reason.STARTUP))
    assert count(exporter, "version", "1", "failure") == 1
    assert count(exporter, "version", "unknown", "failure") == 1
    assert count(exporter, "version", "2") is None


def test_without_histogram_by(tmp_path: Path) -> None:
    """A version alone costs one series."""
    exporter = Exporter(tmp_path, version=VERSION)
    exporter.recorder.record(make_result())
    before = len(exporter.samples())
    exporter.recorder.record(make_result(version="1"))
    assert COUNT not in {sample.name for sample in exporter.samples()}
    assert len(exporter.samples()) == before + 1


def test_old_versions_end(tmp_path: Path) -> None:
    """Their series end at the first scrape after 24 hours, also if no new version appears."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version="1"))
    exporter.now += VALUE_EXPIRY_SECONDS - 1
    assert count(exporter, "version", "1") == 1
    exporter.now += 1
    assert count(exporter, "version", "1") is None
    exporter.recorder.record(make_result(version="2"))
    exporter.recorder.record(make_result(version="1"))
    assert count(exporter, "version", "1") == count(exporter, "version", "2") == 1


def test_old_versions_end_without_scrapes(tmp_path: Path) -> None:
    """Those of months of releases would add up in memory."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version="1"))
    exporter.now += VALUE_EXPIRY_SECONDS
    exporter.recorder.record(make_result(version="2"))
    exporter.now -= VALUE_EXPIRY_SECONDS
    assert count(exporter, "version", "1") is None


def test_old_versions_end_after_a_reload(tmp_path: Path) -> None:
    """Also if the reload has removed another dimension."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version="1", segment="a"))
    keys = {**KEYS, "histogram_by": "version"}
    exporter.recorder.update_probe(make_probe(tmp_path, **keys))
    exporter.now += VALUE_EXPIRY_SECONDS
    assert count(exporter, "version", "1") is None


def test_histograms_after_a_reload(tmp_path: Path) -> None:
    """They continue unless their buckets change."""
    exporter = Exporter(tmp_path, **KEYS)
    exporter.recorder.record(make_result(version="1", segment="a"))
    keys = {**KEYS, "histogram_by": "version"}
    exporter.recorder.update_probe(make_probe(tmp_path, **keys))
    assert count(exporter, "version", "1") == 1
    assert count(exporter, "segment", "a") is None
    exporter.recorder.update_probe(make_probe(tmp_path, **keys, buckets=["1s"]))
    assert count(exporter, "version", "1") is None


def test_payloads(tmp_path: Path) -> None:
    """Each payload has its histogram."""
    payloads = [{"name": "short", "json": 1}, {"name": "long", "json": 2}]
    exporter = Exporter(tmp_path, payloads=payloads, histogram_by="payload")
    exporter.recorder.record(make_result(payload="short"))
    exporter.recorder.record(make_result(payload="long", reason=Reason.BODY_TIMEOUT))
    assert count(exporter, "payload", "short") == 1
    assert count(exporter, "payload", "long", "failure") == 1
