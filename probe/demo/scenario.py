"""The scenario of a demo: a healthy model, a fault with its alerts, and the recovery."""

import time
from dataclasses import dataclass

from probe.demo.alert_watcher import AlertWatcher, print_line
from probe.demo.alerts import Stage
from probe.demo.fault import Fault
from probe.demo.stack import ModelProcess
from probe.demo.time_scale import prometheus_duration

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
        arrived = (Stage.ARRIVED, Stage.INHIBITED)
        return {change.alert.name for change in self.watcher.changes if change.after in arrived}

    def _unresolved(self) -> set[str]:
        """Return the names of the expected alerts that are still pending or firing."""
        return {alert.name for alert in self.watcher.stages} & set(self.fault.alerts)

    def _fail(self, problem: str) -> int:
        stages = ", ".join(f"{alert} is {stage}" for alert, stage in self.watcher.stages.items())
        print(f"\nFailed: {problem}. Alerts now: {stages or 'none'}.")
        return 1

    def _print_summary(self, started: float, ended: float) -> None:
        print(f"\nNo alert fired while the model was healthy. Then {self.fault.description}:")
        for change in self.watcher.changes:
            if change.at >= ended:
                print(f"  {change}, {change.at - ended:.0f} s after the fault ended")
            elif change.at >= started:
                print(f"  {change}, {change.at - started:.0f} s after the fault began")
        for alert, stage in self.watcher.stages.items():
            print(f"  {alert}: still {stage}")


def _join(names: set[str]) -> str:
    return " and ".join(sorted(names))
