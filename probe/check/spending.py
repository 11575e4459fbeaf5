"""Forecast of the tokens and the cost of a schedule, and whether its budget is sufficient."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.config.settings import Probe
from probe.config.units import format_duration
from probe.result import BudgetKind
from probe.scheduler.spending import DAY_SLICES, HOUR_SLICES
from probe.scheduler.token_estimate import DEFAULT_OUTPUT_TOKENS, TokenEstimate

# How long an amount can stay in the window: up to one slice longer than the window.
DAY_WINDOW_SECONDS = DAY_SECONDS + DAY_SECONDS // DAY_SLICES
HOUR_WINDOW_SECONDS = HOUR_SECONDS + HOUR_SECONDS // HOUR_SLICES


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """Whether the schedule of a probe exceeds one limit of its budget. Of one replica."""

    kind: BudgetKind
    limit: Decimal
    needed: Decimal
    """What the schedule takes in the window of the limit."""
    allowed_requests: int
    """Requests in the window that the limit allows."""
    window_seconds: int
    exhausted_after_seconds: float | None
    """From the start of the daemon until the first tick is skipped. None if none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingForecast:
    """Requests, tokens and cost per day, if each response has the maximum number of tokens."""

    estimate: TokenEstimate
    """Of one request."""
    requests_per_day: float
    tokens_per_day: float | None
    """None if tokens do not count."""
    cost_per_day: float | None
    """None without `price`."""
    currency: str | None
    replicas: int
    """The sums above are those of this number of daemons."""
    budgets: tuple[BudgetForecast, ...]


def forecast_spending(
    probe: Probe, estimate: TokenEstimate, replicas: int
) -> SpendingForecast | None:
    """Return the forecast of `replicas` daemons; None without `price` and `budget`.

    `estimate` has the tokens of one request.
    """
    if probe.price is None and probe.budget is None:
        return None
    requests_per_day = replicas * DAY_SECONDS / probe.interval
    tokens = estimate.input + estimate.output
    return SpendingForecast(
        estimate=estimate,
        requests_per_day=requests_per_day,
        tokens_per_day=requests_per_day * tokens if probe.counts_tokens else None,
        cost_per_day=requests_per_day * float(_cost(probe, estimate)) if probe.price else None,
        currency=probe.price.currency if probe.price else None,
        replicas=replicas,
        budgets=tuple(_budget_forecasts(probe, estimate)),
    )


def spending_advice(probe: Probe, estimate: TokenEstimate) -> Iterator[str]:
    """Yield advice about requests without a limit, and about limits that the schedule exceeds."""
    forecast = forecast_spending(probe, estimate, replicas=1)
    if forecast is None:
        return
    if probe.counts_tokens and not forecast.tokens_per_day:
        yield f"{probe.name}: the request has no body, so it has no tokens that count"
    if probe.counts_tokens and not forecast.estimate.has_limit:
        yield (
            f"{probe.name}: the request does not limit its output, so {DEFAULT_OUTPUT_TOKENS}"
            " tokens are assumed until the server reports some; write a limit such as max_tokens in"
            " the body"
        )
    if probe.price and not probe.price.has_output and estimate.output:
        yield f"{probe.name}: `price` has no `output`, so generated tokens cost nothing; write it"
    for budget in forecast.budgets:
        if budget.allowed_requests == 0:
            yield f"{probe.name}: `{budget.kind}` is less than one request may take; raise it"
        elif budget.exhausted_after_seconds is not None:
            duration = _round(budget.exhausted_after_seconds)
            interval = _longer_interval(budget.window_seconds / budget.allowed_requests)
            yield (
                f"{probe.name}: the schedule exceeds `{budget.kind}`, which is exhausted after"
                f" {duration}; then ticks are skipped until older requests leave the window; probe"
                f" every {interval}, or raise it to {_round_up(budget.needed)}"
            )


def _budget_forecasts(probe: Probe, estimate: TokenEstimate) -> Iterator[BudgetForecast]:
    if probe.budget is None:
        return
    tokens = Decimal(estimate.input + estimate.output)
    for kind, limit, per_request, window in (
        (BudgetKind.TOKENS_PER_DAY, probe.budget.tokens_per_day, tokens, DAY_WINDOW_SECONDS),
        (
            BudgetKind.COST_PER_DAY,
            probe.budget.cost_per_day,
            _cost(probe, estimate),
            DAY_WINDOW_SECONDS,
        ),
        (
            BudgetKind.REQUESTS_PER_HOUR,
            probe.budget.requests_per_hour,
            Decimal(1),
            HOUR_WINDOW_SECONDS,
        ),
    ):
        if limit is None or not per_request:
            continue
        needed = per_request * Decimal(window) / Decimal(repr(probe.interval))
        allowed = int(limit // per_request)
        yield BudgetForecast(
            kind=kind,
            limit=Decimal(limit),
            needed=needed,
            allowed_requests=allowed,
            window_seconds=window,
            exhausted_after_seconds=allowed * probe.interval if needed > limit else None,
        )


def _cost(probe: Probe, estimate: TokenEstimate) -> Decimal:
    """Return the cost of one request; 0 without `price`."""
    if probe.price is None:
        return Decimal(0)
    return probe.price.cost(input_tokens=estimate.input, output_tokens=estimate.output)


def _round(seconds: float) -> str:
    """Return a duration to the second, or to the minute from 10 minutes on."""
    unit = 60 if seconds >= 600 else 1
    return format_duration(float(round(seconds / unit) * unit))


def _longer_interval(seconds: float) -> str:
    """Return a duration that people would write in a config, not below `seconds`."""
    unit = 60 if seconds >= 120 else 1
    return format_duration(float(-(-seconds // unit) * unit))


def _round_up(amount: Decimal) -> str:
    """Return `amount` with two significant digits, not below it."""
    unit = Decimal(1).scaleb(amount.adjusted() - 1)
    rounded = (amount / unit).to_integral_value(ROUND_CEILING) * unit
    return f"{rounded.normalize():f}"
