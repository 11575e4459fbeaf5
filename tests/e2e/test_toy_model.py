"""From a slow or a dead model to Alertmanager, and back."""

import pytest

from probe.demo import files
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, Stack

from .observer import FACTOR, WINDOW, Observer


@pytest.mark.slow
def test_slow_then_down_then_well(stack: Stack, binaries: Binaries) -> None:
    """Nothing fires while the model is well; slowness and an outage arrive as what they are, with
    the labels that routes rely on; and both resolve when the model is well again.
    """
    model = stack.model()
    daemon = stack.daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.alerting(binaries, daemon=daemon))
    observer.stays_quiet(seconds=WINDOW + 5)

    model.become(Fault.SLOW)
    assert observer.arrives("HighModelLatency", seconds=90) == [
        {
            "alertname": "HighModelLatency",
            "job": "inference-probe",
            "probe": "sentiment",
            "slo": "fast",  # and not `up`: it is slow, not down
            "alert": "page",  # what the objective asks for; this alert is a ticket all the same
            "severity": "warning",
            "slo_severity": "ticket",
        }
    ]
    assert {labels["alertname"] for labels in observer.alerting.arrived()} == {"HighModelLatency"}

    model.become(Fault.DOWN)
    assert observer.arrives("ModelDown", seconds=60) == [
        {
            "alertname": "ModelDown",
            "job": "inference-probe",
            "probe": "sentiment",
            "severity": "critical",
            "slo_severity": "page",
        }
    ]

    model.become(None)
    observer.resolves("HighModelLatency", "ModelDown", seconds=90)
    assert observer.alerting.arrived() == []


@pytest.mark.slow
def test_daemon_killed(stack: Stack, binaries: Binaries) -> None:
    """When the prober dies without a word, somebody is told."""
    model = stack.model()
    daemon = stack.daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.alerting(binaries, daemon=daemon))
    observer.stays_quiet(seconds=5)

    (child,) = (child for child in stack.children if child.name == "daemon")
    stack.children.remove(child)
    child.process.kill()
    child.process.wait()
    assert observer.arrives("InferenceProbeAbsent", seconds=60) == [
        {
            "alertname": "InferenceProbeAbsent",
            "job": "inference-probe",
            "severity": "critical",
            "slo_severity": "page",
        }
    ]
