"""A change of settings without an effect on the buckets gives the same metrics in a shorter way."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from probe.metrics.probe_counts import _OTHER_SETTINGS, ProbeCounts
from probe.result import Component, Reason
from tests.builders import make_probe, make_result
from tests.metrics.test_recorder import NOW, Exporter

PROBE: dict[str, Any] = {
    "url": "http://model/",
    "objectives": [{"name": "fast", "target": "99%", "latency": "1s"}],
    "labels": {"team": "fraud", "n": "1"},
    "server_timing": [{"from": "header", "key": "X-T", "unit": "s", "component": "compute"}],
    "version": {"from": "header", "key": "X-Version"},
    "histogram_by": "version",
    "cold": {"after_idle": "5m"},
    "price": {"input": 1, "currency": "USD"},
}
STREAM = {"content": "$.text"}

# A change of each setting that is short, by its field.
CHANGES: dict[str, dict[str, Any]] = {
    "interval": {"interval": "3s"},
    "timeout": {"timeout": "60s"},  # with other buckets of phases
    "labels": {"labels": {"team": "search", "n": "1"}},
    "alert_labels": {"alert_labels": ["team"]},
    "capacity": {"capacity": {"safe_rate": "1/s"}},
    "down": {"down": "ticket"},
    "connection": {"connection": "reuse"},
    "startup_grace": {"startup_grace": "1s"},
    "tls": {"tls": {"insecure_skip_verify": True}},
    "ip_family": {"ip_family": "4"},
    "max_bytes": {"max_bytes": "1kB"},
    "headers": {"headers": {"A": "b"}},
    "json_body": {"json": {"a": 1}},
    "body": {"body": "a"},
    "body_file": {"body_file": __file__},
    "method": {"method": "PUT"},
    "expect": {"expect": {"status": 201}},
}
OTHER_CHANGES: list[dict[str, Any]] = [
    {"url": "https://model/"},
    {"url": "http://127.0.0.1/"},
    {"proxy": "http://proxy:3128"},
    {"redirects": 1},
    {"buckets": ["1s"]},
    {"phase_buckets": ["1s"]},
    {"objectives": []},
    {"objectives": [{"name": "fast", "target": "99%", "latency": "2s"}]},
    {"version": {"from": "header", "key": "X-V"}},
    {"cold": None},
    {"timeout": "6s"},  # with the same buckets of phases
]


def page_after(directory: Path, before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the metrics after results with both settings."""
    exporter = Exporter(directory, **before)
    results = [
        make_result(certificate_not_after=NOW, version="1", status=200, cold=False),
        make_result(reason=Reason.REFUSED),
        make_result(reason=Reason.PROXY),
        make_result(latency=0.2, version="2", server={Component.COMPUTE: 0.1}),
    ]
    for result in results:
        exporter.recorder.record(result)
    exporter.now += 60
    exporter.recorder.update_probe(make_probe(directory, **after))
    first = exporter.page()
    for result in results:
        exporter.recorder.record(result)
    return first + exporter.page()


@pytest.mark.parametrize("stream", [{}, {"stream": STREAM}], ids=["", "stream"])
def test_the_short_way(tmp_path: Path, stream: dict[str, Any]) -> None:
    """The metrics are those of the general way, for changes of all settings."""
    assert set(CHANGES) == _OTHER_SETTINGS
    before = PROBE | stream
    for change in [*CHANGES.values(), *OTHER_CHANGES]:
        after = before | change
        page = page_after(tmp_path, before, after)
        with patch.object(ProbeCounts, "has_series_of", return_value=False):
            assert page == page_after(tmp_path, before, after), change


def test_which_changes_are_short(tmp_path: Path) -> None:
    """Those of all settings in CHANGES, and of the timeout."""
    exporter = Exporter(tmp_path, **PROBE)
    counts = exporter.recorder._probes["model"]
    assert all(
        counts.has_series_of(make_probe(tmp_path, **PROBE | keys)) for keys in CHANGES.values()
    )
    others = [counts.has_series_of(make_probe(tmp_path, **PROBE | keys)) for keys in OTHER_CHANGES]
    assert others == [False] * (len(OTHER_CHANGES) - 1) + [True]
