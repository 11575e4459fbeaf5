"""From a slow or a dead model to Alertmanager, and back."""

import pytest

from probe.demo import files
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW, Observer

PAGE = {"severity": "critical", "slo_severity": "page"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}
JOB = {"job": "inference-probe"}
PROBE = {**JOB, "probe": "sentiment"}
FAST = {**PROBE, "slo": "fast"}  # and not `up`: a slow model is not down

ABSENT = {"alertname": "InferenceProbeAbsent", **PAGE, **JOB}
DOWN = {"alertname": "ModelDown", **PAGE, **PROBE}
MISSED = {"alertname": "ModelObjectiveMissed", **PAGE, **FAST}
HIGH = {"alertname": "HighModelLatency", **TICKET, **FAST}


@pytest.mark.full
def test_slow_then_down_then_well(stack: Stack, binaries: Binaries) -> None:
    """Nothing fires while the model is well. Slowness pages for the objective that it breaks, an
    outage for the model; what either of them says better is kept back under it. They resolve when
    the model is well again, all but ModelErrorBudgetBurn, which looks back for hours.
    """
    model = stack.start_model()
    daemon = stack.start_daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.start_alerting(binaries, daemon=daemon))
    observer.tells_nobody(seconds=WINDOW)

    model.set_fault(Fault.SLOW)
    assert observer.arrives("ModelObjectiveMissed", seconds=60) == [MISSED]
    assert observer.arrives("HighModelLatency", seconds=60) == [HIGH]
    ((kept_back, under),) = observer.kept_back().items()
    assert kept_back == "HighModelLatency"
    assert under <= {"ModelObjectiveMissed", "ModelErrorBudgetBurn"}  # each a page about `fast`

    model.set_fault(Fault.DOWN)
    assert observer.arrives("ModelDown", seconds=60) == [DOWN]
    observer.tells_only("ModelDown", seconds=30)
    kept = observer.kept_back()
    assert set(kept) == {"ModelObjectiveMissed", "ModelErrorBudgetBurn", "HighModelLatency"}
    assert "ModelDown" in kept["ModelObjectiveMissed"] & kept["ModelErrorBudgetBurn"]

    model.set_fault(None)
    observer.resolves("ModelDown", "ModelObjectiveMissed", "HighModelLatency", seconds=120)


@pytest.mark.full
def test_daemon_killed(stack: Stack, newest_binaries: Binaries) -> None:
    """When the prober dies without a word, somebody is told."""
    model = stack.start_model()
    daemon = stack.start_daemon(files.probe(FACTOR, url=model.url))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.tells_nobody(seconds=5)

    (child,) = (child for child in stack.children if child.name == "daemon")
    stack.children.remove(child)
    child.process.kill()
    child.process.wait()
    assert observer.arrives("InferenceProbeAbsent", seconds=60) == [ABSENT]
