"""The inhibition rules of the bundled config, in Alertmanager."""

import time

import pytest
import requests

from probe.demo import http
from probe.demo.stack import HOST, Binaries, Stack, free_port
from probe.resources import resource_path

pytestmark = pytest.mark.timing

Labels = dict[str, str]

PAGE = {"severity": "critical", "slo_severity": "page"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}
PROBE = {"cluster": "eu", "namespace": "prod", "probe": "sentiment"}
FAST = PROBE | {"slo": "fast"}
INSTANCE = {"cluster": "eu", "namespace": "prod", "instance": "a:10115"}

DOWN = {"alertname": "ModelDown"} | PAGE | PROBE
MISSED = {"alertname": "ModelObjectiveMissed"} | PAGE | FAST
FAST_BURN = {"alertname": "ModelErrorBudgetBurn", "short": "5m", "long": "1h"} | PAGE | FAST
SLOW_BURN = {"alertname": "ModelErrorBudgetBurn", "short": "6h", "long": "3d"} | TICKET | FAST
HIGH = {"alertname": "HighModelLatency"} | TICKET | FAST
DOWN_TICKET = {"alertname": "ModelDown"} | TICKET | PROBE
REPLICA_DOWN = {"alertname": "ModelReplicaDown"} | TICKET | PROBE | INSTANCE
REGRESSION = {"alertname": "ModelLatencyRegression"} | TICKET | PROBE
CERTIFICATE = {"alertname": "ModelCertificateExpires"} | TICKET | PROBE
ABSENT = {"alertname": "InferenceProbeAbsent", "cluster": "eu"} | PAGE  # of all namespaces
INSTANCE_DOWN = {"alertname": "InferenceProbeInstanceDown"} | TICKET | INSTANCE
NO_DATA = {"alertname": "InferenceProbeNoData"} | PAGE | FAST | INSTANCE
ISOLATED = {"alertname": "InferenceProbeIsolated"} | PAGE | INSTANCE


def without_place(alert: Labels) -> Labels:
    """Return the alert without the labels `cluster` and `namespace`."""
    return {name: value for name, value in alert.items() if name not in ("cluster", "namespace")}


# Pairs of a firing alert and one that it inhibits.
INHIBITED = {
    "objective missed, burn ticket": (MISSED, SLOW_BURN),
    "objective missed, high latency": (MISSED, HIGH),
    "burn page, burn ticket": (FAST_BURN, SLOW_BURN),
    "burn page, high latency": (FAST_BURN, HIGH),
    "down, objective missed": (DOWN, MISSED),
    "down, burn page": (DOWN, FAST_BURN),
    "down, burn ticket": (DOWN, SLOW_BURN),
    "down, high latency": (DOWN, HIGH),
    "down, replica down": (DOWN, REPLICA_DOWN),
    "down, regression": (DOWN, REGRESSION),
    "down ticket, high latency": (DOWN_TICKET, HIGH),
    "down ticket, replica down": (DOWN_TICKET, REPLICA_DOWN),
    "isolated, down": (ISOLATED, DOWN),
    "isolated, objective missed": (ISOLATED, MISSED),
    "isolated, burn page": (ISOLATED, FAST_BURN),
    "isolated, high latency": (ISOLATED, HIGH),
    "isolated, replica down": (ISOLATED, REPLICA_DOWN),
    "absent, isolated": (ABSENT, ISOLATED),
    "absent, instance down": (ABSENT, INSTANCE_DOWN),
    "absent, no data": (ABSENT, NO_DATA),
    "no cluster, burn page, high latency": (without_place(FAST_BURN), without_place(HIGH)),
    "no cluster, down, objective missed": (without_place(DOWN), without_place(MISSED)),
    "no cluster, absent, instance down": (without_place(ABSENT), without_place(INSTANCE_DOWN)),
}

# Pairs of a firing alert and one that it does not inhibit.
NOT_INHIBITED = {
    "burn page, the other burn page": (FAST_BURN, FAST_BURN | {"short": "30m", "long": "6h"}),
    "burn page, objective missed": (FAST_BURN, MISSED),
    "objective missed, another objective": (MISSED, HIGH | {"slo": "up"}),
    "objective missed, another probe": (MISSED, HIGH | {"probe": "ranking"}),
    "objective missed, regression": (MISSED, REGRESSION),
    "down, another probe": (DOWN, HIGH | {"probe": "ranking"}),
    "down, another cluster": (DOWN, HIGH | {"cluster": "us"}),
    "down, another namespace": (DOWN, MISSED | {"namespace": "staging"}),
    "down, certificate": (DOWN, CERTIFICATE),
    "down, no data": (DOWN, NO_DATA),
    "down ticket, objective missed": (DOWN_TICKET, MISSED),
    "down ticket, burn page": (DOWN_TICKET, FAST_BURN),
    "isolated, another namespace": (ISOLATED, DOWN | {"namespace": "staging"}),
    "isolated, replica of another instance": (ISOLATED, REPLICA_DOWN | {"instance": "b:10115"}),
    "isolated, certificate": (ISOLATED, CERTIFICATE),
    "isolated, no data": (ISOLATED, NO_DATA),
    "replica down, objective missed": (REPLICA_DOWN, MISSED),
    "instance down, no data": (INSTANCE_DOWN, NO_DATA),
    "absent, another cluster": (ABSENT, NO_DATA | {"cluster": "us"}),
    "absent, a model that was down": (ABSENT, DOWN),
}


class Alertmanager:
    """Posts alerts to an Alertmanager and reads their states."""

    def __init__(self, url: str) -> None:
        self._alerts = f"{url}/api/v2/alerts"

    def post(self, *alerts: Labels) -> None:
        body = [{"labels": labels} for labels in alerts]
        requests.post(self._alerts, json=body, timeout=10).raise_for_status()

    def inhibited(self) -> list[Labels]:
        """Return the inhibited alerts, after Alertmanager has processed all that were posted."""
        last = HIGH | {"job": "posted last"}
        self.post(DOWN | {"job": "posted last"}, last)
        deadline = time.monotonic() + 20
        while last not in (inhibited := self._read_inhibited()):
            assert time.monotonic() < deadline, f"Alertmanager inhibits only {inhibited}"
            time.sleep(0.05)
        return [labels for labels in inhibited if labels != last]

    def _read_inhibited(self) -> list[Labels]:
        alerts = http.get_json(self._alerts, inhibited="true")
        return [alert["labels"] for alert in alerts if alert["status"]["inhibitedBy"]]


@pytest.fixture
def alertmanager(stack: Stack, binaries: Binaries) -> Alertmanager:
    address = f"{HOST}:{free_port()}"
    command = [
        binaries.alertmanager,
        f"--config.file={resource_path('config/alertmanager.yml')}",
        f"--storage.path={stack.directory / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    stack.start("alertmanager", command, ready_url=f"http://{address}/-/ready")
    return Alertmanager(f"http://{address}")


def test_inhibition(alertmanager: Alertmanager) -> None:
    """An alert is inhibited by a more important one about the same objective, probe and place."""
    for case, alerts in (INHIBITED | NOT_INHIBITED).items():
        alertmanager.post(*(alert | {"job": case} for alert in alerts))
    inhibited = alertmanager.inhibited()
    assert {labels["job"]: labels for labels in inhibited} == {
        case: target | {"job": case} for case, (_, target) in INHIBITED.items()
    }
    assert len(inhibited) == len(INHIBITED)
