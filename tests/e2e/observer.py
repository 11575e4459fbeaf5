"""Wait for alerts to fire or resolve, and report their state if they do not."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import pytest

from probe.demo.alerts import AlertApi, Stage
from probe.demo.stack import Stack
from tests.e2e import alert_texts

# All durations of rules and configs are divided by this: 10 minutes become 30 s.
FACTOR = 20

# The rules' window of five minutes, after the division.
WINDOW_SECONDS = 300 / FACTOR

Labels = dict[str, str]

SERIES = (
    "up",
    "{__name__=~'inference_probe:(slo_.*|failures_.*|last_event.*)'}",
    "inference_probe_in_flight",
    "inference_probe_runs_total",
    "inference_probe_failures_total > 0",
    "inference_probe_skipped_total > 0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Observes the alerts of a stack. A wait that times out fails the test with their state."""

    stack: Stack
    alerting: AlertApi

    def expect_no_alert(self, *, seconds: float) -> None:
        """Fail if an alert fires within `seconds`. A pending alert is allowed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if set(self.alerting.stages().values()) - {Stage.PENDING}:
                self.fail("an alert fires")
            time.sleep(1)

    def wait_for_alert(self, name: str, *, seconds: float) -> list[Labels]:
        """Wait until Alertmanager has an alert `name`, and return the labels of each."""
        self._wait(lambda: bool(self._arrived(name)), f"no {name} in Alertmanager", seconds)
        return self._arrived(name)

    def wait_until_resolved(self, *names: str, seconds: float) -> None:
        """Wait until none of the alerts `names` is active in Alertmanager.

        Alertmanager drops an alert after four minutes without an update. A shorter wait shows that
        Prometheus has resolved it.
        """
        assert seconds < 240
        self._wait(lambda: not self._arrived(*names), f"{names} did not resolve", seconds)

    def wait_until_only(self, name: str, *, seconds: float) -> None:
        """Wait until `name` is the only alert that Alertmanager does not inhibit."""

        def notified() -> set[str]:
            alerts = self.alerting.arrived()
            return {a["labels"]["alertname"] for a in alerts if not a["status"]["inhibitedBy"]}

        self._wait(lambda: notified() == {name}, f"other alerts than {name} are active", seconds)

    def inhibited(self) -> dict[str, set[str]]:
        """Return the names of the inhibited alerts, each with the alerts that inhibit it."""
        alerts = self.alerting.arrived()
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in alerts}
        sources: dict[str, set[str]] = {}
        for alert in alerts:
            for fingerprint in alert["status"]["inhibitedBy"]:
                sources.setdefault(alert["labels"]["alertname"], set()).add(names[fingerprint])
        return sources

    def fail(self, problem: str) -> NoReturn:
        pytest.fail(f"{problem}\n{self.describe()}", pytrace=False)

    def describe(self) -> str:
        alerts = [f"  {alert}: {stage}" for alert, stage in self.alerting.stages().items()]
        series = [
            f"  {series['metric']} {series['value'][1]}"
            for expression in SERIES
            for series in self.alerting.query(expression)
        ]
        return "\n".join(["alerts:", *alerts, "series:", *series])

    def _arrived(self, *names: str) -> list[Labels]:
        alerts = self.alerting.arrived()
        alert_texts.collect(alerts)
        labels = (alert["labels"] for alert in alerts)
        return [alert for alert in labels if alert["alertname"] in names]

    def _wait(self, condition: Callable[[], bool], problem: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.stack.check()
            if time.monotonic() > deadline:
                self.fail(f"{problem} after {seconds:.0f} s")
            time.sleep(0.5)
