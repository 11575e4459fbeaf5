"""The simulation of the rules, against the same conditions written out evaluation by evaluation."""

from collections.abc import Callable
from itertools import groupby

import numpy as np
import pytest

from bench.simulation import Counters, count_alerts, firing, runs
from probe.slo.alerts import (
    HIGH_LATENCY,
    LONG_EVALUATION_INTERVAL_SECONDS,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    TICKET_BURNS,
)
from probe.slo.evidence import evidence

START, END = 8640, 8640 + 2880  # evaluations
EVALUATIONS = range(START, END)
CASES = [(7, 0.05, 0.06), (10, 0.01, 0.02), (40, 0.15, 0.2), (0.1, 0.01, 0.0101), (300, 0.01, 0.2)]


class Model:
    """A model of which `bad_ratio` of the probes are bad, for four days."""

    def __init__(self, interval: float, bad_ratio: float) -> None:
        random = np.random.default_rng(1)
        failed = random.random(int(END * 30 / interval) + 1) < bad_ratio
        self.counters = Counters(failed, interval, END * 30)
        self.bad, self.all = self.counters.bad, self.counters.all

    def exceeds(self, evaluation: int, width: int, limit: float) -> bool:
        """Return whether the last `width` evaluations saw more than `limit` of their probes bad."""
        bad = self.bad[evaluation] - self.bad[evaluation - width]
        return bool(bad > limit * (self.all[evaluation] - self.all[evaluation - width]) + 1e-9)

    def evidence(self, evaluation: int, window: int, budget: float) -> float:
        first = evaluation - window // 30 + 1
        bad = self.bad[evaluation] - self.bad[first]
        probes = self.all[evaluation] - self.all[first]
        return evidence(bad, probes, budget) * window / (window - 30)


def pending(holds: Callable[[int], bool], step: int, hold: int) -> list[int]:
    """Return the evaluations, counted from 0, that start a run longer than `hold` seconds."""
    starts = []
    for flag, run in groupby(enumerate(EVALUATIONS[::step]), key=lambda pair: holds(pair[1])):
        numbers = [number for number, _ in run]
        if flag and len(numbers) * step * 30 > hold:
            starts.append(numbers[0])
    return starts


def simulated(holds: np.ndarray, step: int, hold: int) -> list[int]:
    """Return the same from the array of a simulated condition."""
    starts, ends = runs(holds)
    return [int(start) for start in starts[(ends - starts) * step * 30 > hold]]


def times(step: int = 1) -> np.ndarray:
    return np.array(EVALUATIONS[::step]) * 30


@pytest.mark.parametrize(("interval", "budget", "bad_ratio"), CASES)
def test_high_latency(interval: float, budget: float, bad_ratio: float) -> None:
    """HighModelLatency is pending in the same runs of evaluations."""
    model = Model(interval, bad_ratio)

    def high(at: int) -> bool:
        # The simulation knows no ratio from before its first evaluation.
        before = at - 20 >= START and model.exceeds(at - 20, 19, budget)
        evident = model.evidence(at, HIGH_LATENCY.long_seconds, budget) > HIGH_LATENCY.evidence
        second = before and model.exceeds(at, 19, budget) and evident
        return second or model.exceeds(at, 9, budget)

    expected = pending(high, 1, HIGH_LATENCY.hold_seconds)
    holds = model.counters.high_latency(times(), budget)
    assert simulated(holds, 1, HIGH_LATENCY.hold_seconds) == expected


@pytest.mark.parametrize(("interval", "budget", "bad_ratio"), CASES)
def test_ticket_burns(interval: float, budget: float, bad_ratio: float) -> None:
    """ModelErrorBudgetBurn: windows of days are of complete half hours, shorter ones exact."""
    model = Model(interval, bad_ratio)
    step = LONG_EVALUATION_INTERVAL_SECONDS // 30
    for rule in TICKET_BURNS:
        limit = rule.factor * budget

        def burns(at: int) -> bool:
            complete = at // 60 * 60
            long = model.exceeds(complete, rule.long_seconds // 30, limit)  # noqa: B023 (called within the turn)
            return long and model.exceeds(at, rule.short_seconds // 30 - 1, limit)  # noqa: B023

        holds = model.counters.burns(times(step), rule, budget, needs_evidence=False)
        assert simulated(holds, step, rule.hold_seconds) == pending(burns, step, rule.hold_seconds)


@pytest.mark.parametrize(("interval", "budget", "bad_ratio"), CASES)
def test_pages(interval: float, budget: float, bad_ratio: float) -> None:
    """ModelObjectiveMissed and the pages of ModelErrorBudgetBurn, which need evidence."""
    model = Model(interval, 3 * bad_ratio)

    def evident(at: int, *windows: int) -> bool:
        return strongest(at, *windows) > OBJECTIVE_MISSED.evidence

    def strongest(at: int, *windows: int) -> float:
        return max(model.evidence(at, window, budget) for window in windows)

    def missed(at: int) -> bool:
        # The simulation knows no evidence from before its first evaluation.
        if at - 6 < START or strongest(at - 6, 600, 1200, 3600, 21600) <= 2:
            return False
        # 2, 10 and 30 minutes hold 3, 19 and 59 steps between evaluations.
        if evident(at, 600, 1200) and model.exceeds(at, 3, 3 * budget):
            return True
        if any(
            evident(at, window) and model.exceeds(at, window // 30 - 1, 3 * budget)
            for window in (600, 1200)
        ):
            return False
        if evident(at, 3600):
            return model.exceeds(at, 19, budget)
        return evident(at, 21600) and model.exceeds(at, 59, budget)

    holds = model.counters.objective_missed(times(), budget)
    assert simulated(holds, 1, 0) == pending(missed, 1, 0)
    rule = PAGE_BURNS[0]

    def burns(at: int) -> bool:
        limit = rule.factor * budget
        both = model.exceeds(at, 9, limit) and model.exceeds(at, 119, limit)
        return both and model.evidence(at, rule.long_seconds, budget) > OBJECTIVE_MISSED.evidence

    holds = model.counters.burns(times(), rule, budget, needs_evidence=True)
    assert simulated(holds, 1, rule.hold_seconds) == pending(burns, 1, rule.hold_seconds)


def test_firing() -> None:
    """An alert fires after its hold time, and for a while after the condition has ended."""
    holds = np.array([0, 1, 1, 1, 0, 0, 0, 1, 0], bool)
    assert firing(holds, 60, 0).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert firing(holds, 60, 60).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_a_kept_alert_fires_on_without_its_hold_time() -> None:
    """The condition holds again while the alert is kept firing, or right after."""
    again = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0], bool)
    assert firing(again, 60, 60).tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0]
    assert count_alerts(firing(again, 60, 60)) == 1
    later = np.array([1, 1, 1, 0, 0, 0, 1, 0, 0], bool)
    assert firing(later, 60, 60).tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]
