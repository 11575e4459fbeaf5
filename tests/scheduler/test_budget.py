"""Budgets: which ticks are skipped, and what each request counts."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from probe.result import BudgetKind, Phase, Reason, Result, SkipReason, TokenCounts
from probe.scheduler.runner import CompiledProbe
from probe.scheduler.token_estimate import estimate_tokens
from tests.builders import MEASURED_STREAM, make_result
from tests.scheduler.harness import RunnerHarness

HOUR, DAY = 3600, 24 * 3600
SENT = {Phase.SEND: 0.0, Phase.WAIT: 0.1}
PRICE = {"input": 1, "output": 10, "cached": 0.5, "per": "1k", "currency": "EUR"}
# 10 tokens of input and 30 of output.
BODY = {"prompt": "x" * 40, "max_tokens": 30}


class BudgetHarness(RunnerHarness):
    """Runner whose probe has a body with 40 tokens."""

    def compiled(self, **keys: Any) -> CompiledProbe:
        compiled = super().compiled(**{"json": BODY, **keys})
        return replace(compiled, estimate=estimate_tokens(compiled.probe))

    def reports(self, **tokens: int) -> None:
        """Let the next responses report these numbers of tokens."""
        stream = replace(MEASURED_STREAM, tokens=TokenCounts(**tokens))
        self.outcome = make_result(phases=SENT, status=200, stream=stream)

    def reports_of(self, payload: str, **tokens: int) -> None:
        """Let the next responses report these numbers of tokens for a payload."""
        self.reports(**tokens)
        assert isinstance(self.outcome, Result)
        self.outcome = replace(self.outcome, payload=payload)

    def used(self, kind: BudgetKind = BudgetKind.TOKENS_PER_DAY) -> float:
        uses = {use.kind: use.used for use in self.runner.budget_status.uses}
        return float(uses[kind])

    def ticks(self, count: int) -> int:
        """Let `count` ticks come due, one each second. Return the number of those that ran."""
        before = self.runs
        for _ in range(count):
            self.time.advance(1)
            self.come_due()
            if self.executor.tasks:
                self.run_task()
        assert self.counts.ticks == self.counts.runs + sum(self.counts.skipped.values())
        return self.runs - before

    @property
    def spending(self) -> Any:
        return self.sink[-1].spending


def sent(**more: Any) -> Result:
    return make_result(phases=SENT, **{"status": 200, **more})


def test_a_tick_over_the_budget_is_skipped_and_suspends_the_probe(tmp_path: Path) -> None:
    """Accounting is complete, and the suspension ends with the first request in the next day."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 100})
    harness.reports(input=10, output=30)
    assert harness.ticks(5) == 2
    assert harness.counts.skipped[SkipReason.BUDGET] == 3
    assert harness.runner.is_over_budget
    assert harness.runner.budget_status.is_exhausted
    harness.time.advance(DAY - HOUR)
    assert harness.ticks(1) == 0
    harness.time.advance(HOUR + HOUR / 4)
    assert harness.ticks(5) == 2
    assert harness.counts.skipped[SkipReason.BUDGET] == 7


def test_the_suspension_ends_with_a_request(tmp_path: Path) -> None:
    """Then alerts about the probe are possible again."""
    harness = BudgetHarness(tmp_path, budget={"requests_per_hour": 1})
    assert harness.ticks(2) == 1
    assert harness.runner.is_over_budget
    harness.time.advance(HOUR + 60)
    assert harness.ticks(1) == 1
    assert not harness.runner.is_over_budget


def test_an_exhausted_budget_is_logged_once_in_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if single requests run in between."""
    harness = BudgetHarness(tmp_path, budget={"requests_per_hour": 60})
    for _ in range(59):
        harness.ticks(1)
        harness.time.advance(60)
    assert harness.ticks(10) == 1
    for _ in range(50):
        harness.time.advance(60)
        harness.ticks(5)
    assert harness.runs > 100
    assert caplog.messages == ["budget exhausted, skipping requests"]


def test_requests_per_hour_need_no_tokens(tmp_path: Path) -> None:
    """In any hour at most this number of requests is sent, for any probe."""
    harness = BudgetHarness(tmp_path, budget={"requests_per_hour": 120})
    assert harness.ticks(HOUR) == 120
    assert harness.sink[-1].spending is None


def test_a_budget_of_cost_is_exact(tmp_path: Path) -> None:
    """Three requests of 0.1 are 0.3, which binary fractions would exceed."""
    price = {"input": 10, "per": "1k", "currency": "EUR"}  # 10 tokens: 0.1
    harness = BudgetHarness(tmp_path, price=price, budget={"cost_per_day": 0.3})
    harness.reports(input=10, output=0)
    assert harness.ticks(10) == 3
    assert harness.runner.spending.totals().cost == Decimal("0.3")


def test_requests_in_flight_reserve_what_they_may_take(tmp_path: Path) -> None:
    """Requests that overlap cannot exceed the budget together."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 100}, interval="1s", timeout="10s")
    harness.reports(input=10, output=1)
    for _ in range(4):
        harness.time.advance(1)
        harness.come_due()
    assert len(harness.executor.tasks) == 2
    assert harness.counts.in_flight == 2
    assert harness.used() == 80
    harness.outcome = sent(stream=replace(MEASURED_STREAM, tokens=TokenCounts(input=1, output=1)))
    # They start too late to represent their due time, so they take nothing.
    harness.run_task()
    harness.run_task()
    assert harness.counts.skipped[SkipReason.LATE] == 2
    assert harness.used() == 0


def test_the_cost_of_reported_tokens(tmp_path: Path) -> None:
    """Cached tokens are a part of the input and have their own price."""
    harness = BudgetHarness(tmp_path, price=PRICE)
    harness.reports(input=100, output=20, cached=60, reasoning=5)
    harness.ticks(1)
    spending = harness.spending
    assert (spending.input, spending.output, spending.cached) == (100, 20, 60)
    assert not spending.estimated
    assert (spending.cost, spending.currency) == (0.04 + 0.03 + 0.2, "EUR")


@pytest.mark.parametrize(
    ("result", "tokens", "estimated"),
    [
        pytest.param(sent(), (10, 30), True, id="no usage"),
        pytest.param(sent(reason=Reason.FIRST_BYTE_TIMEOUT, status=None), (10, 30), True),
        pytest.param(sent(reason=Reason.HTTP_5XX, status=500), (0, 0), False),
        pytest.param(sent(reason=Reason.RATE_LIMITED, status=429), (0, 0), False),
        pytest.param(
            make_result(reason=Reason.REFUSED, phases={Phase.CONNECT: 0.1}), (0, 0), False
        ),
        pytest.param(
            sent(stream=replace(MEASURED_STREAM, tokens=TokenCounts(input=12))), (12, 30), True
        ),
        pytest.param(
            sent(
                reason=Reason.ASSERTION,
                stream=replace(MEASURED_STREAM, tokens=TokenCounts(input=12, output=3)),
            ),
            (12, 3),
            False,
        ),
    ],
)
def test_tokens_that_the_server_does_not_report(
    tmp_path: Path, result: Result, tokens: tuple[int, int], estimated: bool
) -> None:
    """They are estimated if the server may have charged them, and then marked as estimated."""
    harness = BudgetHarness(tmp_path, price=PRICE, budget={"tokens_per_day": "1M"})
    harness.outcome = result
    harness.ticks(1)
    spending = harness.spending
    assert (spending.input, spending.output) == tokens
    assert spending.estimated is estimated
    assert harness.used() == sum(tokens)
    assert harness.runner.spending.totals().estimated_requests == estimated


def test_the_last_reported_input_is_the_prediction(tmp_path: Path) -> None:
    """A quarter of the characters is only the estimate of the first request."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 200})
    harness.reports(input=100, output=1)
    assert harness.ticks(3) == 1


def test_the_last_reported_output_is_the_prediction_without_a_limit(tmp_path: Path) -> None:
    """With a limit in the request, the limit is the prediction: the next response may have it."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 1100})
    unlimited = {**BODY, "max_tokens": None}
    harness.runner.update(harness.compiled(json=unlimited, budget={"tokens_per_day": 1100}))
    harness.reports(input=10, output=40)
    assert harness.ticks(30) == 22
    assert harness.used() == 1100


def test_another_request_is_estimated_again(tmp_path: Path) -> None:
    """The numbers that the server reported belong to the request before."""
    budget = {"tokens_per_day": 1000}
    harness = BudgetHarness(tmp_path, budget=budget)
    harness.reports(input=500, output=1)
    assert harness.ticks(2) == 1
    longer = {**BODY, "prompt": "x" * 80}
    harness.runner.update(harness.compiled(json=longer, budget=budget))
    assert harness.ticks(1) == 1


def test_cached_tokens_without_a_number_of_input_tokens(tmp_path: Path) -> None:
    """The predicted input is not smaller than its part."""
    harness = BudgetHarness(tmp_path, price=PRICE)
    harness.reports(output=0, cached=1000)
    harness.ticks(1)
    assert (harness.spending.input, harness.spending.cached) == (1000, 1000)
    assert (harness.spending.cost, harness.spending.estimated) == (0.5, True)


def test_an_exception_of_the_prober_takes_no_tokens(tmp_path: Path) -> None:
    """The reservation ends, and the tick is a failed run."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 50})
    harness.outcome = RuntimeError("bug")
    assert harness.ticks(3) == 3
    assert harness.used() == 0


def test_a_reload_keeps_the_windows(tmp_path: Path) -> None:
    """Another limit applies to what was used before."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 100})
    harness.reports(input=10, output=30)
    assert harness.ticks(3) == 2
    harness.runner.update(harness.compiled(budget={"tokens_per_day": 130}))
    assert not harness.runner.is_over_budget
    assert harness.used() == 80
    assert harness.ticks(3) == 1
    harness.runner.update(harness.compiled())
    assert not harness.runner.is_over_budget
    assert harness.ticks(3) == 3


def test_another_currency_starts_a_new_sum(tmp_path: Path) -> None:
    """Amounts of different currencies have no sum."""
    budget = {"cost_per_day": 1, "tokens_per_day": "1M"}
    harness = BudgetHarness(tmp_path, price=PRICE, budget=budget)
    harness.reports(input=10, output=30)
    harness.ticks(1)
    assert harness.used(BudgetKind.COST_PER_DAY) == 0.31
    price = {**PRICE, "currency": "USD"}
    harness.runner.update(harness.compiled(price=price, budget=budget))
    assert harness.used(BudgetKind.COST_PER_DAY) == 0
    assert harness.used() == 40


def test_a_request_on_demand_that_raises(tmp_path: Path) -> None:
    """Its reservation ends."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 100})
    harness.outcome = RuntimeError("bug")
    with pytest.raises(RuntimeError):
        harness.runner.run_on_demand(harness.runner._compiled)
    assert harness.used() == 0


def test_requests_on_demand_count_and_are_refused(tmp_path: Path) -> None:
    """They cause the same cost. A refused one does not suspend the probe."""
    harness = BudgetHarness(tmp_path, budget={"tokens_per_day": 100})
    harness.reports(input=10, output=30)
    compiled = harness.compiled(budget={"tokens_per_day": 100})
    first, second, third = [harness.runner.run_on_demand(compiled) for _ in range(3)]
    assert first is not None
    assert second is not None
    assert third is None
    assert first.spending is not None
    assert harness.used() == 80
    assert not harness.runner.is_over_budget
    assert harness.ticks(1) == 0
    assert harness.counts.runs == 0


SHORT = {"name": "short", "json": BODY}
LONG = {"name": "long", "json": {"prompt": "x" * 400}}


def test_payloads(tmp_path: Path) -> None:
    """The prediction is that of the payload with most tokens: which one is next is not known."""
    budget = {"tokens_per_day": "2k"}
    harness = BudgetHarness(tmp_path, json=None, payloads=[SHORT, LONG], budget=budget)
    harness.reports_of("long", input=90, output=500)
    assert harness.ticks(1) == 1
    assert harness.used() == 590
    harness.reports_of("short", input=10, output=30)
    # Of the 2,000, 590 + 40 n are used, and a request is predicted to take 590.
    assert harness.ticks(30) == 21


def test_a_payload_without_a_result(tmp_path: Path) -> None:
    """Its estimate counts, also if the numbers of a shorter one are known."""
    budget = {"tokens_per_day": 1200}
    harness = BudgetHarness(tmp_path, json=None, payloads=[SHORT, LONG], budget=budget)
    harness.reports_of("short", input=10, output=30)
    assert harness.ticks(1) == 1
    # Of the 1,200, 40 n are used, and a request is predicted to take 100 + 1,024.
    harness.reports_of("long", input=100, output=1000)
    assert harness.ticks(1) == 1
    assert harness.used() == 1140
    assert harness.ticks(1) == 0


def test_a_budget_is_not_exceeded_by_the_second_payload(tmp_path: Path) -> None:
    """The prediction does not drop to the first one, which is short."""
    budget = {"tokens_per_day": 1150}
    harness = BudgetHarness(tmp_path, json=None, payloads=[SHORT, LONG], budget=budget)
    harness.reports_of("short", input=10, output=30)
    assert harness.ticks(1) == 1
    harness.reports_of("long", input=100, output=1024)
    assert harness.ticks(1) == 0
    assert harness.used() == 40


def test_a_removed_payload_is_forgotten(tmp_path: Path) -> None:
    """The numbers of the other ones stay."""
    medium = {"name": "medium", "json": {**BODY, "max_tokens": None}}
    budget = {"tokens_per_day": 1000}
    harness = BudgetHarness(
        tmp_path, json=None, payloads=[medium, LONG], budget={"tokens_per_day": "100k"}
    )
    harness.reports_of("medium", input=20, output=20)
    harness.ticks(1)
    harness.reports_of("long", input=100, output=800)
    harness.ticks(1)
    harness.runner.update(harness.compiled(json=None, payloads=[SHORT, medium], budget=budget))
    assert harness.used() == 940
    harness.reports_of("medium", input=20, output=20)
    assert harness.ticks(3) == 1
    assert harness.used() == 980
    # A request that was in flight meanwhile.
    harness.reports_of("long", input=100, output=800)
    assert isinstance(harness.outcome, Result)
    harness.runner.spending.settle(None, harness.outcome)
    assert harness.used() == 1880
    # The payload is new again, so its estimate counts: 1,124 tokens.
    more = {"tokens_per_day": 2900}
    harness.runner.update(harness.compiled(json=None, payloads=[medium, LONG], budget=more))
    assert harness.ticks(1) == 0
