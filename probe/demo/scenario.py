"""The scenario of a demo: a healthy model, a fault with its alerts, and the recovery.

While it runs, it prints recent latencies and the changes of alerts.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import requests

from probe.demo import http
from probe.demo.alerts import AlertApi, AlertKey, Stage
from probe.demo.fault import Fault
from probe.demo.files import prometheus_duration
from probe.demo.metrics import ProbeCounts
from probe.demo.stack import ModelProcess, Stack

# Stages of an alert that Alertmanager has received.
IN_ALERTMANAGER = (Stage.ARRIVED, Stage.INHIBITED)

# Time between two lines with latencies.
PROGRESS_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """A change of an alert at a time (monotonic seconds). A stage of None means no alert."""

    at: float
    alert: AlertKey
    before: Stage | None
    after: Stage | None

    def __str__(self) -> str:
        return f"{self.alert}: {self.event}"

    @property
    def event(self) -> str:
        if self.before is Stage.INHIBITED and self.after is Stage.ARRIVED:
            return "no longer inhibited"
        return self.after or "resolved"

    @property
    def is_printed(self) -> bool:
        """Whether the change is one of Alertmanager. Those before it would only be noise."""
        return self.after in IN_ALERTMANAGER or (
            self.after is None and self.before in IN_ALERTMANAGER
        )


class AlertWatcher:
    """Polls the daemon and the alerts once a second.

    The latencies are those of the last `window_seconds`. Without `alerts` only they are printed.
    """

    def __init__(
        self, stack: Stack, *, daemon: str, alerts: AlertApi | None, window_seconds: float
    ) -> None:
        self.changes: list[StageChange] = []
        self.stages: dict[AlertKey, Stage] = {}
        self._stack = stack
        self._daemon = daemon
        self._alerts = alerts
        # One entry per poll, about one per second.
        self._counts = deque([ProbeCounts()], maxlen=max(round(window_seconds), 2))
        self._last_progress = time.monotonic()

    def wait_until(self, condition: Callable[[], bool], *, timeout_seconds: float) -> bool:
        """Poll until `condition` holds; return False if it does not within `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.poll()
            time.sleep(1)
        return True

    def poll(self) -> None:
        """Print what has changed. Raises ProcessFailedError and Interrupted."""
        self._stack.check()
        try:
            self._poll_metrics()
            self._poll_alerts()
        except requests.RequestException as error:
            print_line(f"no response, trying again: {error}")

    def _poll_metrics(self) -> None:
        counts = ProbeCounts.parse(http.get_text(f"{self._daemon}/metrics"))
        self._counts.append(counts)
        recent = counts.since(self._counts[0])
        is_due = time.monotonic() - self._last_progress >= PROGRESS_INTERVAL_SECONDS
        if is_due and recent.finished and recent.objective:
            self._last_progress = time.monotonic()
            threshold_ms = float(recent.objective.threshold) * 1000
            signal = recent.objective.signal.replace("_", " ")
            print_line(
                f"{signal}  {recent}  {recent.good_ratio:6.1%} of {recent.finished:.0f} under"
                f" {threshold_ms:.0f} ms (objective {recent.objective.ratio * 100:.6g}%)"
            )

    def _poll_alerts(self) -> None:
        stages = self._alerts.stages() if self._alerts else {}
        for alert in sorted(stages.keys() | self.stages.keys()):
            before, after = self.stages.get(alert), stages.get(alert)
            if after != before:
                change = StageChange(at=time.monotonic(), alert=alert, before=before, after=after)
                self.changes.append(change)
                if change.is_printed:
                    print_line(str(change))
        self.stages = stages


def print_line(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


# Both are divided by the factor of the demo. After five minutes the windows of the rules are full.
HEALTHY_SECONDS = 300.0
MAX_RESOLVE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Runs one fault. `fault_seconds` is real time; `factor` divides the constants above."""

    watcher: AlertWatcher
    model: ModelProcess
    fault: Fault
    fault_seconds: float
    factor: int

    def run(self) -> int:
        """Return 0 if the expected alerts fired and resolved; else print why not and return 1."""
        healthy_seconds = HEALTHY_SECONDS / self.factor
        print_line(
            f"the model is healthy; the fault begins in {prometheus_duration(healthy_seconds)}"
        )
        if self.watcher.wait_until(self._has_fired, timeout_seconds=healthy_seconds):
            return self._fail("an alert fired while the model was healthy")
        fault = f"{self.fault.description}, for {prometheus_duration(self.fault_seconds)}"
        started = self._set_fault(self.fault, fault)
        self.watcher.wait_until(lambda: False, timeout_seconds=self.fault_seconds)
        missing = set(self.fault.alerts) - self._arrived()
        ended = self._set_fault(None, "healthy")
        if missing:
            return self._fail(f"{_join(missing)} did not arrive in Alertmanager during the fault")
        resolve_seconds = MAX_RESOLVE_SECONDS / self.factor
        if not self.watcher.wait_until(
            lambda: not self._unresolved(), timeout_seconds=resolve_seconds
        ):
            return self._fail(f"{_join(self._unresolved())} did not resolve")
        self._print_summary(started, ended)
        return 0

    def _set_fault(self, fault: Fault | None, description: str) -> float:
        """Set or clear the fault, and return the time (monotonic seconds)."""
        self.model.set_fault(fault)
        print_line(f"the model is now: {description}")
        return time.monotonic()

    def _has_fired(self) -> bool:
        return any(stage is not Stage.PENDING for stage in self.watcher.stages.values())

    def _arrived(self) -> set[str]:
        """Return the names of the alerts that arrived in Alertmanager, also inhibited ones."""
        changes = self.watcher.changes
        return {change.alert.name for change in changes if change.after in IN_ALERTMANAGER}

    def _unresolved(self) -> set[str]:
        """Return the names of the expected alerts that are still pending or firing."""
        return {alert.name for alert in self.watcher.stages} & set(self.fault.alerts)

    def _fail(self, problem: str) -> int:
        stages = ", ".join(f"{alert} is {stage}" for alert, stage in self.watcher.stages.items())
        print(f"\nFailed: {problem}. Alerts now: {stages or 'none'}.")
        return 1

    def _print_summary(self, started: float, ended: float) -> None:
        """Print a line for each alert that Alertmanager has received since the fault began."""
        print(f"\nNo alert fired while the model was healthy. The fault: {self.fault.description}.")
        events: dict[AlertKey, list[str]] = {}
        for change in self.watcher.changes:
            if change.is_printed and change.at >= started:
                begun = change.at < ended
                seconds = change.at - (started if begun else ended)
                when = f"{seconds:.0f} s after the fault {'began' if begun else 'ended'}"
                events.setdefault(change.alert, []).append(f"{change.event}, {when}")
        for alert, stage in self.watcher.stages.items():
            if alert in events:
                events[alert].append(f"still {stage}")
        for alert, texts in events.items():
            print(f"  {alert}: {'; '.join(texts)}")


def _join(names: set[str]) -> str:
    return " and ".join(sorted(names))
