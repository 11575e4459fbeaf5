"""The scenario of a demo, with scripted alerts."""

import re
import time
from collections.abc import Callable

import pytest

from probe.demo.alerts import AlertKey, Stage
from probe.demo.fault import Fault, ModelType
from probe.demo.scenario import AlertWatcher, Scenario, StageChange
from probe.demo.stack import ModelProcess

PAGE = AlertKey(level="page", name="ModelObjectiveMissed", labels=("sentiment", "fast"))
BURN = AlertKey(level="page", name="ModelErrorBudgetBurn", labels=("sentiment", "fast"))
TICKET = AlertKey(level="ticket", name="HighModelLatency", labels=("sentiment", "fast"))


class FakeModel(ModelProcess):
    def set_fault(self, fault: Fault | None) -> None: ...


class ScriptedWatcher(AlertWatcher):
    """Returns from each wait at once, with the next stages of its script."""

    def __init__(self, *script: dict[AlertKey, Stage]) -> None:
        self.changes: list[StageChange] = []
        self.stages: dict[AlertKey, Stage] = {}
        self._script = iter(script)

    def wait_until(self, condition: Callable[[], bool], *, timeout_seconds: float) -> bool:  # noqa: ARG002
        before, self.stages = self.stages, next(self._script)
        for alert in before.keys() | self.stages.keys():
            old, new = before.get(alert), self.stages.get(alert)
            self.changes.append(
                StageChange(at=time.monotonic(), alert=alert, before=old, after=new)
            )
        return condition()


def run(*script: dict[AlertKey, Stage]) -> int:
    scenario = Scenario(
        watcher=ScriptedWatcher(*script),
        model=FakeModel(type=ModelType.SENTIMENT, url="", admin=""),
        fault=Fault.SLOW,
        fault_seconds=1.0,
        factor=20,
    )
    return scenario.run()


def test_expected_alerts(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0, also if an alert arrived inhibited. The summary has a line for each."""
    fault = {PAGE: Stage.ARRIVED, TICKET: Stage.INHIBITED, BURN: Stage.PENDING}
    assert run({}, fault, {BURN: Stage.ARRIVED}) == 0
    summary = capsys.readouterr().out.partition("The fault: ")[2].splitlines()[1:]
    began, ended = "0 s after the fault began", "0 s after the fault ended"
    assert sorted(re.sub(r"\d+ s", "0 s", line) for line in summary) == [
        f"  {BURN}: {Stage.ARRIVED}, {ended}; still {Stage.ARRIVED}",
        f"  {PAGE}: {Stage.ARRIVED}, {began}; resolved, {ended}",
        f"  {TICKET}: {Stage.INHIBITED}, {began}; resolved, {ended}",
    ]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (({PAGE: Stage.ARRIVED},), "an alert fired while the model was healthy"),
        (
            ({}, {PAGE: Stage.ARRIVED}),
            "HighModelLatency did not arrive in Alertmanager during the fault",
        ),
        (({}, {TICKET: Stage.ARRIVED, PAGE: Stage.FIRING}), "ModelObjectiveMissed did not arrive"),
        (
            ({}, {PAGE: Stage.ARRIVED, TICKET: Stage.INHIBITED}, {TICKET: Stage.ARRIVED}),
            "HighModelLatency did not resolve",
        ),
    ],
)
def test_unexpected_alerts(
    script: tuple[dict[AlertKey, Stage], ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, and the output says what is wrong."""
    assert run(*script) == 1
    assert f"Failed: {problem}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (Stage.PENDING, Stage.ARRIVED, "firing, arrived in Alertmanager"),
        (Stage.INHIBITED, Stage.ARRIVED, "no longer inhibited"),
        (Stage.ARRIVED, None, "resolved"),
    ],
)
def test_text_of_a_change(before: Stage | None, after: Stage | None, event: str) -> None:
    """The text of a change names the event that the stages alone do not show."""
    change = StageChange(at=0.0, alert=TICKET, before=before, after=after)
    assert str(change) == f"ticket HighModelLatency (sentiment fast): {event}"
    assert change.is_printed


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, Stage.PENDING), (Stage.PENDING, None), (Stage.PENDING, Stage.FIRING)],
)
def test_changes_before_alertmanager_are_not_printed(
    before: Stage | None, after: Stage | None
) -> None:
    """A pending alert is no notification, and an alert that fires arrives a moment later."""
    assert not StageChange(at=0.0, alert=TICKET, before=before, after=after).is_printed
