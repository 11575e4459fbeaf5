"""Metrics of streams: times of tokens, numbers of tokens, and values that are missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from probe.result import Reason
from tests.builders import MEASURED_STREAM as MEASURED
from tests.builders import make_probe, make_result
from tests.metrics.test_recorder import Exporter

STREAM = {"content": "$.text"}
HISTOGRAMS = (
    "inference_probe_time_to_first_token_seconds",
    "inference_probe_time_per_output_token_seconds",
    "inference_probe_longest_token_gap_seconds",
)


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path, stream=STREAM)


def counts(exporter: Exporter, outcome: str) -> list[float | None]:
    return [exporter.value(f"{name}_count", outcome=outcome) for name in HISTOGRAMS]


def test_all_series_start_at_zero(exporter: Exporter) -> None:
    """Also the counters of tokens and of missing values."""
    assert counts(exporter, "success") == counts(exporter, "failure") == [0, 0, 0]
    for kind in ("input", "output", "cached", "reasoning"):
        assert exporter.value("inference_probe_tokens_total", kind=kind) == 0
    for signal in ("time_to_first_token", "time_per_output_token"):
        assert exporter.value("inference_probe_signal_missing_total", signal=signal) == 0
    assert exporter.value("inference_probe_merged_events_total") == 0


def test_other_probes_have_none_of_them(tmp_path: Path) -> None:
    """Each probe with streams costs about a hundred series."""
    exporter = Exporter(tmp_path)
    assert counts(exporter, "success") == [None, None, None]
    assert exporter.value("inference_probe_merged_events_total") is None


def test_a_success(exporter: Exporter) -> None:
    """Each time is observed, and the tokens are added up."""
    for _ in range(2):
        exporter.recorder.record(make_result(stream=MEASURED))
    assert counts(exporter, "success") == [2, 2, 2]
    assert exporter.value(f"{HISTOGRAMS[0]}_sum", outcome="success") == pytest.approx(0.06)
    assert exporter.value("inference_probe_tokens_total", kind="output") == 8
    assert exporter.value("inference_probe_tokens_total", kind="cached") == 6
    assert exporter.value("inference_probe_tokens_total", kind="reasoning") == 0
    assert exporter.value("inference_probe_merged_events_total") == 4


def test_a_missing_value_is_no_event(exporter: Exporter) -> None:
    """It is counted, since nothing else shows that the server reports no usage."""
    unknown = replace(MEASURED, time_per_output_token=None, longest_gap=None)
    exporter.recorder.record(make_result(stream=unknown))
    assert counts(exporter, "success") == [1, 0, 0]
    name = "inference_probe_signal_missing_total"
    assert exporter.value(name, signal="time_per_output_token") == 1
    assert exporter.value(name, signal="time_to_first_token") == 0


@pytest.mark.parametrize(("reason", "count"), [(Reason.TRUNCATED, 1), (Reason.INTERNAL, 0)])
def test_a_failure_is_bad_for_each_signal(exporter: Exporter, reason: Reason, count: int) -> None:
    """Its latency is observed, unless it does not count. Its tokens cost as much as others."""
    exporter.recorder.record(make_result(latency=2, reason=reason, stream=MEASURED))
    assert counts(exporter, "failure") == [count] * 3
    assert counts(exporter, "success") == [0, 0, 0]
    assert exporter.value(f"{HISTOGRAMS[1]}_sum", outcome="failure") == 2 * count
    assert exporter.value("inference_probe_tokens_total", kind="output") == 4


def test_a_reload_keeps_the_counts(exporter: Exporter, tmp_path: Path) -> None:
    """Unless the bounds change."""
    exporter.recorder.record(make_result(stream=MEASURED))
    exporter.recorder.update_probe(make_probe(tmp_path, stream=STREAM, interval="20s"))
    assert counts(exporter, "success") == [1, 1, 1]
    exporter.recorder.update_probe(make_probe(tmp_path, stream=STREAM, phase_buckets=["1s"]))
    assert counts(exporter, "success") == [0, 0, 0]


def test_thresholds_are_buckets_of_their_signal(tmp_path: Path) -> None:
    """A new threshold resets the histogram of its signal only."""
    first = {"name": "first", "target": "95%", "time_to_first_token": "123ms"}
    each = {"name": "each", "target": "99%", "time_per_output_token": "41ms"}
    stream = {**STREAM, "usage": {"output": "$.usage"}}
    exporter = Exporter(tmp_path, stream=stream, objectives=[first, each])
    exporter.recorder.record(make_result(stream=MEASURED))
    for name, le, signal, slo in (
        (HISTOGRAMS[0], "0.123", "time_to_first_token", "first"),
        (HISTOGRAMS[1], "0.041", "time_per_output_token", "each"),
    ):
        assert exporter.value(f"{name}_bucket", outcome="success", le=le) == 1
        labels = {"slo": slo, "signal": signal, "threshold": le, "alert": "page"}
        assert exporter.value("inference_probe_slo_objective_ratio", **labels) is not None
    assert "0.123" not in exporter.buckets("success")
    objectives = [{**first, "time_to_first_token": "250ms"}, each]
    exporter.recorder.update_probe(make_probe(tmp_path, stream=stream, objectives=objectives))
    assert counts(exporter, "success") == [0, 1, 1]
    assert exporter.value("inference_probe_latency_seconds_count", outcome="success") == 1
