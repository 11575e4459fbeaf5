"""Print recent latencies and changes of alerts while a demo runs."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import requests

from probe.demo import http
from probe.demo.alerts import AlertApi, AlertKey, Stage
from probe.demo.metrics import ProbeCounts
from probe.demo.stack import Stack

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
        return f"{self.alert}: {self._event()}"

    def _event(self) -> str:
        if self.before is Stage.INHIBITED and self.after is Stage.ARRIVED:
            return "no longer inhibited"
        return self.after or ("no longer pending" if self.before is Stage.PENDING else "resolved")


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
            print_line(
                f"{recent}  {recent.good_ratio:6.1%} of {recent.finished:.0f} under"
                f" {threshold_ms:.0f} ms (objective {recent.objective.ratio * 100:.6g}%)"
            )

    def _poll_alerts(self) -> None:
        stages = self._alerts.stages() if self._alerts else {}
        for alert in sorted(stages.keys() | self.stages.keys()):
            before, after = self.stages.get(alert), stages.get(alert)
            if after != before:
                change = StageChange(at=time.monotonic(), alert=alert, before=before, after=after)
                self.changes.append(change)
                print_line(str(change))
        self.stages = stages


def print_line(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
