"""A model becomes slow and fails: its alerts fire in Alertmanager and resolve."""

import pytest

from probe.demo import files
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer

pytestmark = pytest.mark.timing

PAGE = {"severity": "critical", "slo_severity": "page"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}
JOB = {"job": "inference-probe"}
PROBE = {**JOB, "probe": "sentiment"}
FAST = {**PROBE, "slo": "fast"}  # a slow model does not miss the objective `up`

ABSENT = {"alertname": "InferenceProbeAbsent", **PAGE, **JOB}
DOWN = {"alertname": "ModelDown", **PAGE, **PROBE}
MISSED = {"alertname": "ModelObjectiveMissed", **PAGE, **FAST}
HIGH = {"alertname": "HighModelLatency", **TICKET, **FAST}


def test_slow_model_then_outage(stack: Stack, binaries: Binaries) -> None:
    """Slowness pages for its objective, an outage for the model. Lesser alerts are inhibited.

    After the recovery all alerts resolve but ModelErrorBudgetBurn, whose windows are hours.
    """
    model = stack.start_model()
    daemon = stack.start_daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.start_alerting(binaries, daemon=daemon))
    observer.expect_no_alert(seconds=WINDOW_SECONDS)

    model.set_fault(Fault.SLOW)
    assert observer.wait_for_alert("ModelObjectiveMissed", seconds=60) == [MISSED]
    assert observer.wait_for_alert("HighModelLatency", seconds=60) == [HIGH]
    ((inhibited, sources),) = observer.inhibited().items()
    assert inhibited == "HighModelLatency"
    assert sources <= {"ModelObjectiveMissed", "ModelErrorBudgetBurn"}  # both are pages for `fast`

    model.set_fault(Fault.DOWN)
    assert observer.wait_for_alert("ModelDown", seconds=60) == [DOWN]
    observer.wait_until_only("ModelDown", seconds=30)
    inhibitions = observer.inhibited()
    assert set(inhibitions) == {"ModelObjectiveMissed", "ModelErrorBudgetBurn", "HighModelLatency"}
    assert "ModelDown" in (
        inhibitions["ModelObjectiveMissed"] & inhibitions["ModelErrorBudgetBurn"]
    )

    model.set_fault(None)
    observer.wait_until_resolved(
        "ModelDown", "ModelObjectiveMissed", "HighModelLatency", seconds=120
    )


@pytest.mark.full
def test_daemon_killed(stack: Stack, newest_binaries: Binaries) -> None:
    """InferenceProbeAbsent fires after the daemon is killed."""
    model = stack.start_model()
    daemon = stack.start_daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.expect_no_alert(seconds=5)

    (child,) = (child for child in stack.children if child.name == "daemon")
    stack.children.remove(child)
    child.process.kill()
    child.process.wait()
    assert observer.wait_for_alert("InferenceProbeAbsent", seconds=60) == [ABSENT]
