"""Waits for what should happen to alerts, and says what happened instead."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import pytest

from probe.demo.alerts import AlertApi, Stage
from probe.demo.stack import Stack

FACTOR = 20
"""By which windows, `for`, scrape and probe intervals are shortened: 10 minutes are 30 s."""

WINDOW = 300 / FACTOR
"""Seconds of the five minutes over which the rules look."""

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
    """Everything that it waits for has a bound; past it the test fails with a picture."""

    stack: Stack
    alerting: AlertApi

    def tells_nobody(self, *, seconds: float) -> None:
        """No alert fires, all the while; one that is pending may think better of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if set(self.alerting.stages().values()) - {Stage.PENDING}:
                self.fail("an alert, and somebody is told")
            time.sleep(1)

    def arrives(self, name: str, *, seconds: float) -> list[Labels]:
        """The labels of each alert of that name, as soon as Alertmanager has one."""
        self._wait(lambda: bool(self._arrived(name)), f"no {name} in Alertmanager", seconds)
        return self._arrived(name)

    def resolves(self, *names: str, seconds: float) -> None:
        """None of these is active in Alertmanager any more.

        Within less than the four minutes after which it forgets what nobody repeats: so Prometheus
        has said that they are over.
        """
        assert seconds < 240
        self._wait(lambda: not self._arrived(*names), f"{names} did not resolve", seconds)

    def tells_only(self, name: str, *, seconds: float) -> None:
        """Whatever else is active in Alertmanager is kept back."""

        def told() -> set[str]:
            alerts = self.alerting.arrived()
            return {a["labels"]["alertname"] for a in alerts if not a["status"]["inhibitedBy"]}

        self._wait(lambda: told() == {name}, f"not only {name} is told", seconds)

    def kept_back(self) -> dict[str, set[str]]:
        """By name, what Alertmanager keeps back, and the names of those under which it does."""
        alerts = self.alerting.arrived()
        names = {alert["fingerprint"]: alert["labels"]["alertname"] for alert in alerts}
        under: dict[str, set[str]] = {}
        for alert in alerts:
            for fingerprint in alert["status"]["inhibitedBy"]:
                under.setdefault(alert["labels"]["alertname"], set()).add(names[fingerprint])
        return under

    def fail(self, problem: str) -> NoReturn:
        pytest.fail(f"{problem}\n{self.picture()}", pytrace=False)

    def picture(self) -> str:
        alerts = [f"  {alert}: {stage}" for alert, stage in self.alerting.stages().items()]
        series = [
            f"  {series['metric']} {series['value'][1]}"
            for expression in SERIES
            for series in self.alerting.query(expression)
        ]
        return "\n".join(["alerts:", *alerts, "series:", *series])

    def _arrived(self, *names: str) -> list[Labels]:
        labels = (alert["labels"] for alert in self.alerting.arrived())
        return [those for those in labels if those["alertname"] in names]

    def _wait(self, done: Callable[[], bool], problem: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            self.stack.check()
            if time.monotonic() > deadline:
                self.fail(f"{problem} after {seconds:.0f} s")
            time.sleep(0.5)
