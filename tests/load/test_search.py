"""The search for the highest safe rate, with endpoints whose limit is known."""

from collections.abc import Callable

import pytest

from probe.load.measurement import Counts
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.step import StepPlanner, run_step
from probe.load.stop import StopReason
from probe.load.verdict import Verdict
from probe.result import Reason
from tests.load.step_fixtures import OBJECTIVE, ScriptedGenerator, second


def search(
    respond: Callable[[float, int], Counts],
    *,
    first_rate: float = 10,
    max_rate: float = 1000,
    max_seconds: float = 1200,
    rates: tuple[float, ...] = (),
) -> tuple[SearchResult, ScriptedGenerator]:
    generator = ScriptedGenerator(respond)
    options = SearchOptions(
        first_rate=first_rate, max_rate=max_rate, max_seconds=max_seconds, rates=rates
    )
    result = Search(
        options,
        StepPlanner(objectives=[OBJECTIVE], latency_seconds=0.05),
        run_step=lambda plan: run_step(generator, plan, [OBJECTIVE], lambda *_: None),
        now=lambda: generator.clock,
    ).run()
    return result, generator


def limited(limit: float) -> Callable[[float, int], Counts]:
    """Return an endpoint that is good up to `limit`. Above, half of the requests are bad."""

    def respond(rate: float, _second: int) -> Counts:
        return second(round(rate), round(rate / 2) if rate > limit else 0)

    return respond


def confirmed_rate(result: SearchResult) -> float:
    assert result.confirmed
    assert result.confirmed.verdict is Verdict.MET
    assert result.reason is StopReason.CONFIRMED
    return result.confirmed.rate


@pytest.mark.parametrize("limit", [12, 47, 100, 333])
def test_limit_is_found(limit: float) -> None:
    """The result is at most 5 % below the limit, and never above."""
    result, generator = search(limited(limit))
    assert limit / 1.05 <= confirmed_rate(result) <= limit
    assert generator.rates[:2] == [10, 15]


def test_first_rate_above_the_limit() -> None:
    """The search goes down to the rate of the good requests, not in small steps."""
    result, generator = search(limited(20), first_rate=600)
    assert 19 <= confirmed_rate(result) <= 20
    assert generator.rates[1] == pytest.approx(300, rel=0.05)


def test_highest_rate_is_met() -> None:
    """Without a missed rate, the highest allowed rate is confirmed."""
    result, generator = search(limited(1e9), max_rate=25)
    assert confirmed_rate(result) == 25
    assert generator.rates == [10, 15, 22.5, 25, 25]


def test_unconfirmed_rate_is_lowered() -> None:
    """A rate that is missed only in long steps is lowered by 5 % until it is confirmed."""

    def respond(rate: float, number: int) -> Counts:
        limit = 100 if number < 60 else 91
        return second(round(rate), round(rate / 2) if rate > limit else 0)

    result, generator = search(respond)
    rate = confirmed_rate(result)
    assert rate <= 91
    assert generator.rates[-1] / generator.rates[-2] == pytest.approx(0.95)


def test_no_rate_meets_the_objective() -> None:
    """An endpoint that is always too slow has no safe rate."""
    result, _ = search(lambda rate, _: second(max(30, round(rate)), max(30, round(rate))))
    assert (result.confirmed, result.reason) == (None, StopReason.NO_RATE)


def test_dead_endpoint_ends_the_search() -> None:
    """An endpoint that dies is not searched for lower and lower rates."""

    def respond(rate: float, _second: int) -> Counts:
        requests = round(rate)
        is_dead = len(rates | {rate}) > 3
        rates.add(rate)
        return second(requests, failed=requests if is_dead else 0, reason=Reason.REFUSED)

    rates: set[float] = set()
    result, _ = search(respond)
    assert (result.confirmed, result.reason) == (None, StopReason.ENDPOINT_DOWN)
    assert len(result.steps) < 12


def test_endpoint_that_never_responds() -> None:
    """Two rates without one good request are enough."""
    result, generator = search(
        lambda rate, _: second(round(rate) + 20, failed=round(rate) + 20, reason=Reason.REFUSED)
    )
    assert result.reason is StopReason.ENDPOINT_DOWN
    assert len(generator.rates) == 2


def test_rate_limit_is_found() -> None:
    """Status 429 above a rate is a limit of the endpoint, not its death."""

    def respond(rate: float, _second: int) -> Counts:
        excess = max(0, round(rate) - 50)
        return second(round(rate), failed=excess, reason=Reason.RATE_LIMITED)

    result, _ = search(respond, first_rate=400)
    assert 46 <= confirmed_rate(result) <= 53


def test_given_rates() -> None:
    """All given rates are measured, and the highest below the first missed one is confirmed."""
    result, generator = search(limited(120), rates=(50, 100, 150, 200))
    assert confirmed_rate(result) == 100
    assert generator.rates == [50, 100, 150, 200, 100]


def test_given_rates_are_all_missed() -> None:
    """Then no rate is confirmed."""
    result, _ = search(limited(20), rates=(50, 100))
    assert (result.confirmed, result.reason) == (None, StopReason.NO_RATE)


def test_time_ends_before_the_confirmation() -> None:
    """Without time for a confirmation there is no safe rate, and the steps are kept."""

    def respond(rate: float, number: int) -> Counts:
        return second(round(rate), round(rate / 2) if rate > 100 or number > 100 else 0)

    result, generator = search(respond, max_seconds=800)
    assert (result.confirmed, result.reason) == (None, StopReason.OUT_OF_TIME)
    assert result.steps[-1].plan.is_confirmation
    assert generator.clock <= 800


def test_no_time_at_all() -> None:
    """A test that is too short for a step and its confirmation sends nothing."""
    result, generator = search(limited(100), max_seconds=150)
    assert (result.reason, generator.rates) == (StopReason.OUT_OF_TIME, [])


def test_search_keeps_its_duration() -> None:
    """Bisection ends early if the time is needed for the confirmation."""
    for max_seconds in (400, 600, 1200):
        _, generator = search(limited(333), max_seconds=max_seconds)
        assert generator.clock <= max_seconds


def test_late_generator_bounds_the_search() -> None:
    """A rate that the generator cannot send is no limit of the endpoint."""
    result, _ = search(lambda rate, _: second(round(rate), lag=0.05 if rate > 80 else 0.0))
    assert 76 <= confirmed_rate(result) <= 80
    result, _ = search(lambda rate, _: second(round(rate) + 20, lag=0.05))
    assert result.reason is StopReason.SATURATED


def test_void_step_is_repeated() -> None:
    """A step that was void because of another program does not bound the search."""

    def respond(rate: float, _second: int) -> Counts:
        attempts.append(rate)
        is_busy = rate > 20 and len(attempts) <= 80
        return second(round(rate), lag=0.05 if is_busy else 0.0)

    attempts: list[float] = []
    result, generator = search(respond, max_rate=30)
    assert confirmed_rate(result) == 30
    assert generator.rates == [10, 15, 22.5, 22.5, 22.5, 30, 30]
