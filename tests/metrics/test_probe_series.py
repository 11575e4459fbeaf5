"""The series of all probes."""

import gc
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.utils import floatToGoString

from probe.metrics.exposition import render
from probe.metrics.probe_counts import ProbeCounts
from probe.metrics.recorder import Recorder
from probe.result import SkipReason
from probe.scheduler.accounting import TickAccounting
from tests.builders import make_settings


@pytest.mark.parametrize("count", [0, 1, 20, 999_999, 1_000_000, 1_234_567])
def test_values_by_reason(tmp_path: Path, count: int) -> None:
    """Small and large values are written as prometheus_client writes them."""
    name = "model"
    probes = make_settings(tmp_path, {"name": name, "url": "http://localhost:1/"}).probes
    accounting = TickAccounting()
    recorder = Recorder(accounting)
    ticks = accounting.add_probe(name)
    recorder.add_probe(probes[0], {"startup": lambda: True})
    if count:
        ticks.skip(SkipReason.LATE, count)
    parts, _ = render("text/plain", [recorder], CollectorRegistry())
    lines = [line for line in "".join(parts).splitlines() if 'reason="' in line]

    def line(metric: str, reason: str, value: float) -> str:
        text = floatToGoString(value)  # type: ignore[no-untyped-call]
        return f'inference_probe_{metric}{{probe="{name}",reason="{reason}"}} {text}'

    assert [text for text in lines if "skipped" in text] == [
        line("skipped_total", reason, count if reason == "late" else 0)
        for reason in ("overlap", "late", "paused", "shutdown")
    ]
    assert line("suspended", "startup", True) in lines
    assert line("failures_total", "refused", 0) in lines


def test_counts_are_freed_one_by_one(tmp_path: Path) -> None:
    """To free them at once would stop all other threads."""
    keys = {
        "url": "http://localhost:1/",
        "labels": {"team": "a"},
        "alert_labels": ["team"],
        "objectives": [{"name": "up", "target": "99%"}],
    }
    probes = make_settings(tmp_path, *({"name": f"model-{n}", **keys} for n in range(20))).probes
    accounting = TickAccounting()
    recorder = Recorder(accounting)
    for probe in probes:
        accounting.add_probe(probe.name)
        recorder.add_probe(probe, {})
    parts, _ = render("text/plain", [recorder], CollectorRegistry())
    remaining = [
        sum(isinstance(item, ProbeCounts) for item in gc.get_objects())
        for part in parts
        if "inference_probe_slo_alert_info{" in part
    ]
    assert len(remaining) == 20
    assert [first - second for first, second in pairwise(remaining)] == [1] * 19
