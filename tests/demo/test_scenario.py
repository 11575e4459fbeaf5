"""What a demonstration makes of the alerts that it sees."""

import time
from collections.abc import Callable

import pytest

from probe.demo.alert_watcher import AlertWatcher, Change
from probe.demo.alerts import FiringAlert, Stage
from probe.demo.fault import Fault
from probe.demo.scenario import Scenario
from probe.demo.stack import ModelProcess

PAGE = FiringAlert(level="page", name="ModelObjectiveMissed", about=("sentiment", "fast"))
TICKET = FiringAlert(level="ticket", name="HighModelLatency", about=("sentiment", "fast"))


class Patient(ModelProcess):
    def become(self, fault: Fault | None) -> None: ...


class Scripted(AlertWatcher):
    """Each wait is over at once, and then these alerts are at these stages."""

    def __init__(self, *script: dict[FiringAlert, Stage]) -> None:
        self.changes: list[Change] = []
        self.stages: dict[FiringAlert, Stage] = {}
        self._script = iter(script)

    def until(self, done: Callable[[], bool], *, seconds: float) -> bool:  # noqa: ARG002
        before, self.stages = self.stages, next(self._script)
        for alert in before.keys() | self.stages.keys():
            old, new = before.get(alert), self.stages.get(alert)
            self.changes.append(Change(at=time.monotonic(), alert=alert, before=old, after=new))
        return done()


def tell(*script: dict[FiringAlert, Stage]) -> int:
    story = Scenario(
        watch=Scripted(*script),
        model=Patient(url="", admin=""),
        fault=Fault.SLOW,
        lasting=1.0,
        factor=20,
    )
    return story.run()


def test_all_comes_and_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """0, also where an alert arrived only to be kept back; who waits for what is told."""
    fault = {PAGE: Stage.ARRIVED, TICKET: Stage.INHIBITED}
    assert tell({}, fault, {}) == 0
    said = capsys.readouterr().out
    assert "page ModelObjectiveMissed (sentiment fast): firing, arrived in Alertmanager, " in said
    assert "ticket HighModelLatency (sentiment fast): firing, arrived in Alertmanager, kept" in said
    assert "page ModelObjectiveMissed (sentiment fast): resolved, " in said


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (({PAGE: Stage.ARRIVED},), "an alert fired while the model was healthy"),
        (({}, {PAGE: Stage.ARRIVED}), "HighModelLatency did not arrive in Alertmanager meanwhile"),
        (({}, {TICKET: Stage.ARRIVED, PAGE: Stage.FIRING}), "ModelObjectiveMissed did not arrive"),
        (
            ({}, {PAGE: Stage.ARRIVED, TICKET: Stage.INHIBITED}, {TICKET: Stage.ARRIVED}),
            "HighModelLatency did not resolve",
        ),
    ],
)
def test_something_is_missing(
    script: tuple[dict[FiringAlert, Stage], ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """1, and a word on what is not as it should be."""
    assert tell(*script) == 1
    assert f"Not as it should be: {problem}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, Stage.PENDING, "pending"),
        (Stage.PENDING, None, "no longer pending"),
        (Stage.INHIBITED, Stage.ARRIVED, "no longer kept back"),
        (Stage.ARRIVED, None, "resolved"),
    ],
)
def test_change_in_words(before: Stage | None, after: Stage | None, event: str) -> None:
    """What happened, where the stage alone would not tell."""
    change = Change(at=0.0, alert=TICKET, before=before, after=after)
    assert str(change) == f"ticket HighModelLatency (sentiment fast): {event}"
