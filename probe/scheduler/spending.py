"""Tokens and cost of a probe's requests, and its budget.

A request is admitted if no limit is exceeded even if it takes as many tokens as predicted. The
prediction is reserved while the request is in flight, and then replaced by what it took.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from probe.clock import DAY_SECONDS, HOUR_SECONDS, Clock
from probe.config.settings import Probe
from probe.result import BudgetKind, BudgetUse, Phase, Result, Spending, TokenCounts
from probe.scheduler.rolling_window import RollingWindow
from probe.scheduler.token_estimate import TokenEstimate

DAY_SLICES = 96
HOUR_SLICES = 60

# Statuses from this one on are refusals and errors, for which no tokens are charged.
_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What one request in flight is predicted to take."""

    tokens: int
    cost: Decimal


_EMPTY_RESERVATION = Reservation(tokens=0, cost=Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingTotals:
    """Sums since the start of the probe."""

    cost: Decimal
    estimated_requests: int
    """Requests for which the server did not report all tokens."""


class SpendingMeter:
    """Counts what the requests of one probe take, and admits them within its budget.

    The windows continue when the config of the probe changes. Thread-safe.
    """

    def __init__(self, probe: Probe, estimate: TokenEstimate, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._probe = probe
        self._counts_tokens = probe.counts_tokens
        self._estimate = estimate
        self._tokens = RollingWindow(clock.monotonic, DAY_SECONDS, DAY_SLICES)
        self._cost = RollingWindow(clock.monotonic, DAY_SECONDS, DAY_SLICES)
        self._requests = RollingWindow(clock.monotonic, HOUR_SECONDS, HOUR_SLICES)
        self._reserved = list[Reservation]()
        self._totals = SpendingTotals(cost=Decimal(0), estimated_requests=0)
        # Tokens that the server has reported last for each payload, by its name.
        self._last_inputs: dict[str | None, int] = {}
        self._last_outputs: dict[str | None, int] = {}

    def update(self, probe: Probe, estimate: TokenEstimate) -> None:
        """Use another config. Amounts of another currency are forgotten."""
        with self._lock:
            old, new = self._probe.price, probe.price
            if (old and old.currency) != (new and new.currency):
                self._cost.clear()
                self._totals = SpendingTotals(
                    cost=Decimal(0), estimated_requests=self._totals.estimated_requests
                )
            self._forget_changed_payloads(estimate)
            self._probe, self._estimate = probe, estimate
            self._counts_tokens = probe.counts_tokens

    def reserve(self) -> Reservation | None:
        """Reserve the tokens of one request. Return None if they could exceed the budget."""
        with self._lock:
            # In most probes, tokens do not count.
            predicted = self._predict() if self._counts_tokens else _EMPTY_RESERVATION
            # Without a budget as well: a reload may add one while the request is in flight.
            if self._probe.budget and any(use.used > use.limit for use in self._uses(predicted)):
                return None
            self._reserved.append(predicted)
            return predicted

    def release(self, reservation: Reservation) -> None:
        """Cancel the reservation of a request that was not sent."""
        with self._lock:
            self._reserved.remove(reservation)

    def settle(self, reservation: Reservation | None, result: Result) -> Spending | None:
        """Replace a reservation by what its request took, and return that.

        `reservation` is None for a request that needed none. Return None if tokens do not count.
        """
        with self._lock:
            if reservation:
                self._reserved.remove(reservation)
            if not self._probe.budget and not self._probe.price:
                return None
            self._requests.add(Decimal(1))
            return self._spend(result) if self._counts_tokens else None

    def uses(self) -> tuple[BudgetUse, ...]:
        """Return how much of each limit is used; nothing without a budget."""
        with self._lock:
            return tuple(self._uses(None))

    def totals(self) -> SpendingTotals:
        """Return the sums since the start of the probe."""
        with self._lock:
            return self._totals

    def _forget_changed_payloads(self, estimate: TokenEstimate) -> None:
        """Forget reported tokens of payloads that are not in `estimate`, or are another request."""
        old, new = self._estimate.by_request, estimate.by_request
        for name in old:
            if old[name] != new.get(name):
                self._last_inputs.pop(name, None)
                self._last_outputs.pop(name, None)

    def _spend(self, result: Result) -> Spending:
        """Count the tokens of `result`. The caller holds the lock."""
        reported = result.reported_tokens
        spending = self._spending(reported, is_charged=_is_charged(result, reported))
        # A request in flight during a reload may have a payload that the config has no more.
        if result.payload in self._estimate.by_request:
            if reported.input is not None:
                self._last_inputs[result.payload] = spending.input
            if reported.output is not None:
                self._last_outputs[result.payload] = spending.output
        price = self._probe.price
        cost = Decimal(0)
        if price:
            cost = price.cost(
                input_tokens=spending.input,
                output_tokens=spending.output,
                cached_tokens=spending.cached,
            )
            spending = replace(spending, cost=float(cost), currency=price.currency)
        self._cost.add(cost)
        self._tokens.add(Decimal(spending.input + spending.output))
        self._totals = SpendingTotals(
            cost=self._totals.cost + cost,
            estimated_requests=self._totals.estimated_requests + spending.estimated,
        )
        return spending

    def _spending(self, reported: TokenCounts, *, is_charged: bool) -> Spending:
        """Return the tokens of a request, predicted ones for those that are not `reported`."""
        input_tokens, output_tokens = self._predicted_tokens() if is_charged else (0, 0)
        if reported.input is not None:
            input_tokens = reported.input
        cached_tokens = reported.cached or 0
        # A prediction may be smaller than its part.
        input_tokens = max(input_tokens, cached_tokens)
        return Spending(
            input=input_tokens,
            output=output_tokens if reported.output is None else reported.output,
            cached=cached_tokens,
            estimated=is_charged and None in (reported.input, reported.output),
            cost=None,
            currency=None,
        )

    def _predicted_tokens(self) -> tuple[int, int]:
        """Return the predicted tokens of input and output of a request.

        Of several payloads, the largest numbers count: which one is next is not known.
        """
        requests = self._estimate.by_request.items()
        input_tokens = max(self._last_inputs.get(name, request.input) for name, request in requests)
        # The limit, if there is one: the next response may be longer than the last one.
        output_tokens = max(
            request.output if request.has_limit else self._last_outputs.get(name, request.output)
            for name, request in requests
        )
        return input_tokens, output_tokens

    def _predict(self) -> Reservation:
        input_tokens, output_tokens = self._predicted_tokens()
        price = self._probe.price
        return Reservation(
            tokens=input_tokens + output_tokens,
            cost=price.cost(input_tokens=input_tokens, output_tokens=output_tokens)
            if price
            else Decimal(0),
        )

    def _uses(self, requested: Reservation | None) -> Iterator[BudgetUse]:
        """Yield the use of each limit, with all reservations and a `requested` one."""
        budget = self._probe.budget
        if budget is None:
            return
        reserved = [*self._reserved, *([requested] if requested else [])]
        if budget.tokens_per_day is not None:
            tokens = self._tokens.total() + sum(item.tokens for item in reserved)
            yield _use(BudgetKind.TOKENS_PER_DAY, tokens, budget.tokens_per_day)
        if budget.cost_per_day is not None:
            cost = self._cost.total() + sum(item.cost for item in reserved)
            yield _use(BudgetKind.COST_PER_DAY, cost, budget.cost_per_day)
        if budget.requests_per_hour is not None:
            requests = self._requests.total() + len(reserved)
            yield _use(BudgetKind.REQUESTS_PER_HOUR, requests, budget.requests_per_hour)


def _use(kind: BudgetKind, used: Decimal, limit: Decimal | int) -> BudgetUse:
    return BudgetUse(kind=kind, used=used, limit=Decimal(limit))


def _is_charged(result: Result, reported: TokenCounts) -> bool:
    """Return whether the server may have charged tokens: it got the request and did not refuse it.

    Servers charge nothing for a request that they refuse with an error.
    """
    if reported != TokenCounts():
        return True
    is_refused = result.status is not None and result.status >= _FIRST_ERROR_STATUS
    return Phase.SEND in result.phases and not is_refused
