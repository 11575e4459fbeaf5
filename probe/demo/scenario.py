"""Healthy, misbehaving, healthy again: a fault, the alerts that it is for, and the end of all."""

import time
from dataclasses import dataclass

from probe.demo import duration
from probe.demo.alert_watcher import AlertWatcher, tell
from probe.demo.alerts import Stage
from probe.demo.fault import Fault
from probe.demo.stack import ModelProcess

HEALTHY_SECONDS = 300.0  # seconds before the fault: the window of the rules is full
MAX_RESOLVE_SECONDS = 1800.0  # seconds for the alerts to resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Times are real seconds, except that `factor` divides the constants above."""

    watch: AlertWatcher
    model: ModelProcess
    fault: Fault
    lasting: float
    factor: int

    def run(self) -> int:
        """0 when the alerts came and went; 1, and a word on what did not happen."""
        tell(
            "the model is healthy; in "
            f"{duration.write(HEALTHY_SECONDS / self.factor)} it will not be"
        )
        self.watch.until(self._fired, seconds=HEALTHY_SECONDS / self.factor)
        if self._fired():
            return self._fail("an alert fired while the model was healthy")
        begun = self._become(self.fault, f"{self.fault.story}, for {duration.write(self.lasting)}")
        self.watch.until(lambda: False, seconds=self.lasting)
        missing = set(self.fault.alerts) - self._arrived()
        healed = self._become(None, "healthy again")
        if missing:
            return self._fail(f"{_list(missing)} did not arrive in Alertmanager meanwhile")
        if not self.watch.until(
            lambda: not self._lasting(), seconds=MAX_RESOLVE_SECONDS / self.factor
        ):
            return self._fail(f"{_list(self._lasting())} did not resolve")
        self._sum_up(begun, healed)
        return 0

    def _become(self, fault: Fault | None, words: str) -> float:
        """When, on the monotonic clock."""
        self.model.become(fault)
        tell(f"the model from now on: {words}")
        return time.monotonic()

    def _fired(self) -> bool:
        return any(stage is not Stage.PENDING for stage in self.watch.stages.values())

    def _arrived(self) -> set[str]:
        """Also under another alert: Alertmanager has it all the same."""
        there = (Stage.ARRIVED, Stage.INHIBITED)
        return {change.alert.name for change in self.watch.changes if change.after in there}

    def _lasting(self) -> set[str]:
        """Of the alerts that the fault is for."""
        return {alert.name for alert in self.watch.stages} & set(self.fault.alerts)

    def _fail(self, problem: str) -> int:
        now = ", ".join(f"{alert} is {stage}" for alert, stage in self.watch.stages.items())
        print(f"\nNot as it should be: {problem}. Alerts now: {now or 'none'}.")
        return 1

    def _sum_up(self, begun: float, healed: float) -> None:
        print(f"\nNothing fired while the model was healthy. Then, {self.fault.story}:")
        for change in (change for change in self.watch.changes if change.at >= begun):
            since, event = (begun, "the fault") if change.at < healed else (healed, "its end")
            print(f"  {change}, {change.at - since:.0f} s after {event}")
        for alert, stage in self.watch.stages.items():
            print(f"  {alert}: still {stage}")


def _list(names: set[str]) -> str:
    return " and ".join(sorted(names))
