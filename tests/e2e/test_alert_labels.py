"""`alert_labels` and `down` of a real daemon, as they reach Alertmanager."""

import pytest
import yaml

from probe.demo import files
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, Observer

pytestmark = pytest.mark.timing


@pytest.mark.full
def test_labels_and_level(stack: Stack, newest_binaries: Binaries) -> None:
    """In an outage, the alerts have the team of the probe, and ModelDown the level of `down`."""
    model = stack.start_model()
    config = yaml.safe_load(files.probe(FACTOR, url=model.url))
    config["probes"][0] |= {
        "labels": {"team": "fraud", "model": "sentiment"},
        "alert_labels": ["team"],
        "down": "ticket",
    }
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))

    model.set_fault(Fault.DOWN)
    (down,) = observer.wait_for_alert("ModelDown", seconds=90)
    labels = {"job": "inference-probe", "probe": "sentiment", "team": "fraud"}
    assert down == {
        "alertname": "ModelDown", "severity": "warning", "slo_severity": "ticket", **labels
    }  # fmt: skip
    missed = observer.wait_for_alert("ModelObjectiveMissed", seconds=90)
    assert all(labels.items() <= alert.items() for alert in missed)
    assert {alert["slo_severity"] for alert in missed} == {"page"}
    assert "ModelObjectiveMissed" not in observer.inhibited()
