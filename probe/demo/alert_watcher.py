"""Looks at a running demonstration and tells what changes."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import requests

from probe.demo import http
from probe.demo.alerts import AlertmanagerState, FiringAlert, Stage
from probe.demo.metrics import ProbeCounts
from probe.demo.stack import Stack

PROGRESS_INTERVAL_SECONDS = 10.0  # seconds between two lines of numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An alert went from one stage to another; None is before the first and after the last."""

    at: float  # monotonic seconds
    alert: FiringAlert
    before: Stage | None
    after: Stage | None

    def __str__(self) -> str:
        return f"{self.alert}: {self._event()}"

    def _event(self) -> str:
        if self.before is Stage.INHIBITED and self.after is Stage.ARRIVED:
            return "no longer kept back"
        return self.after or ("no longer pending" if self.before is Stage.PENDING else "resolved")


class AlertWatcher:
    """`window` is over how many seconds back the numbers go. No `alerting`: numbers alone."""

    def __init__(
        self, stack: Stack, *, daemon: str, alerting: AlertmanagerState | None, window: float
    ) -> None:
        self.changes: list[Change] = []
        self.stages: dict[FiringAlert, Stage] = {}
        self._stack = stack
        self._daemon = daemon
        self._alerting = alerting
        self._counts = deque([ProbeCounts()], maxlen=max(round(window), 2))
        self._told = time.monotonic()

    def until(self, done: Callable[[], bool], *, seconds: float) -> bool:
        """One look a second until `done`; False if it is not after `seconds`."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            self.look()
            time.sleep(1)
        return True

    def look(self) -> None:
        """ChildError if a process has died, Interrupted if it is time to go."""
        self._stack.check()
        try:
            self._look_at_numbers()
            self._look_at_alerts()
        except requests.RequestException as problem:
            tell(f"no answer, trying again: {problem}")

    def _look_at_numbers(self) -> None:
        counts = ProbeCounts.read(http.text(f"{self._daemon}/metrics"))
        self._counts.append(counts)
        recent = counts.since(self._counts[0])
        if (
            time.monotonic() - self._told >= PROGRESS_INTERVAL_SECONDS
            and recent.finished
            and recent.objective
        ):
            self._told = time.monotonic()
            limit = float(recent.objective.threshold) * 1000
            tell(
                f"{recent}  {recent.good:6.1%} of {recent.finished:.0f} under {limit:.0f} ms"
                f" (promised {recent.objective.ratio * 100:.6g}%)"
            )

    def _look_at_alerts(self) -> None:
        stages = self._alerting.stages() if self._alerting else {}
        for alert in sorted(stages.keys() | self.stages.keys()):
            before, after = self.stages.get(alert), stages.get(alert)
            if after != before:
                change = Change(at=time.monotonic(), alert=alert, before=before, after=after)
                self.changes.append(change)
                tell(str(change))
        self.stages = stages


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
