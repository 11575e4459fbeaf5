"""What the rules will make of an objective: when they page, how often falsely, how soon."""

from dataclasses import dataclass, replace
from math import ceil, floor, inf

from probe.slo import simulation
from probe.slo.alerts import (
    BUDGET_PERIOD_SECONDS,
    DAY_SECONDS,
    EVALUATION_INTERVAL_SECONDS,
    MODEL_DOWN,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    SCRAPE_INTERVAL_SECONDS,
    TICKET_BURNS,
    Burn,
)
from probe.slo.binomial import excursions, median_first_passage
from probe.slo.evidence import min_bad_probes, probes_in

DELAY = SCRAPE_INTERVAL_SECONDS / 2 + EVALUATION_INTERVAL_SECONDS / 2
"""Seconds, on average, from the end of a probe to the evaluation that knows of it."""

SLOW = 60
"""Seconds between probes, from which on it matters which of the looks find one in a window."""

COMFORTABLE = 0.2
"""Share of its budget that a model spends which is comfortably better than its objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageThreshold:
    """So many bad ones of the probes in a window page; None: not even if all are bad."""

    window: int
    probes: int
    bad: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """Expected in 30 days, of a model that is bad at `share` of the probes, within the budget."""

    share: float
    pages: float
    tickets: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTime:
    """Median seconds from the first bad probe's due time to the first page and the first ticket,
    if `share` of the probes are bad from then on; infinite where none comes.
    """

    share: float
    page: float
    ticket: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTiming:
    """What decides of an objective's fate: the share that may be bad, how often one looks, and
    whether it pages for itself or opens tickets only; ModelDown always pages.
    """

    budget: float
    interval: float
    timeout: float
    pages: bool = True

    def needs(self) -> list[PageThreshold]:
        """Of ModelObjectiveMissed, by window."""
        return [
            PageThreshold(
                window=window,
                probes=probes_in(window, self.interval),
                bad=min_bad_probes(window, self.interval, self.budget, OBJECTIVE_MISSED.evidence),
            )
            for window in OBJECTIVE_MISSED.windows
        ]

    def burn_needs(self) -> list[tuple[PageThreshold, PageThreshold]]:
        """Of the pages of ModelErrorBudgetBurn: both windows must have theirs."""
        return [
            (self._share(burn.short, burn.factor), self._burnt_for_sure(burn))
            for burn in PAGE_BURNS
        ]

    def false_alarms(self, share: float) -> FalseAlarms:
        return FalseAlarms(
            share=share,
            pages=self._false_pages(share),
            tickets=simulation.expected_tickets(self.interval, self.budget, share),
        )

    def found(self, share: float) -> DetectionTime:
        if share <= self.budget:
            return DetectionTime(share=share, page=inf, ticket=inf)
        missed = self._missed(share) if self.pages else inf
        page = min(missed, self._down()) if share == 1 else missed
        return DetectionTime(share=share, page=page, ticket=self._ticket(share))

    def can_page(self) -> bool:
        """Whether ModelObjectiveMissed can ever fire."""
        return any(need.bad is not None for need in self.needs())

    def false_downs(self, share: float) -> float:
        """Pages of ModelDown in 30 days, of a model that fails at `share` of the probes."""
        return BUDGET_PERIOD_SECONDS / self.interval * (1 - share) * share ** self.run()

    def run(self) -> int:
        """Failures in a row that are ModelDown."""
        return max(MODEL_DOWN.failures, ceil(MODEL_DOWN.least / self.interval))

    def _share(self, window: int, factor: float) -> PageThreshold:
        """More bad ones than `factor` budgets."""
        probes = probes_in(window, self.interval)
        bad = floor(factor * self.budget * probes + 1e-9) + 1
        return PageThreshold(window=window, probes=probes, bad=bad if bad <= probes else None)

    def _burnt_for_sure(self, burn: Burn) -> PageThreshold:
        """The long window must be evidence as well."""
        share = self._share(burn.long, burn.factor)
        sure = min_bad_probes(burn.long, self.interval, self.budget, OBJECTIVE_MISSED.evidence)
        enough = None if share.bad is None or sure is None else max(share.bad, sure)
        return replace(share, bad=enough)

    def _false_pages(self, share: float) -> float:
        """Excursions of each window, as if they had nothing in common, and runs of failures."""
        probes = BUDGET_PERIOD_SECONDS / self.interval
        looks = max(1, round(EVALUATION_INTERVAL_SECONDS / self.interval))
        missed = sum(
            excursions(need.probes, need.bad, share, looks)
            for need in self.needs()
            if self.pages and need.bad is not None
        )
        return probes * missed + self.false_downs(share)

    def _missed(self, share: float) -> float:
        """About the objective: by formula for fast probes, and where it takes more than a day."""
        expected = self._evident(share)
        if self.interval > SLOW and expected < DAY_SECONDS:
            expected = simulation.median_time_to_page(
                self.interval, self.budget, share, max(DAY_SECONDS / 4, 4 * expected)
            )
        return expected + self.timeout + DELAY

    def _evident(self, share: float) -> float:
        """ModelObjectiveMissed: evidence enough, and some of it `before` seconds ago."""
        enough = self._first(share, OBJECTIVE_MISSED.evidence)
        some = self._first(share, OBJECTIVE_MISSED.evidence_before)
        return max(enough, some + OBJECTIVE_MISSED.before)

    def _first(self, share: float, level: float) -> float:
        """Median seconds until one of the windows holds evidence of this level."""
        return min(self._passage(window, share, level) for window in OBJECTIVE_MISSED.windows)

    def _passage(self, window: int, share: float, level: float) -> float:
        count = min_bad_probes(window, self.interval, self.budget, level)
        if count is None:
            return inf
        return self.interval * median_first_passage(probes_in(window, self.interval), count, share)

    def _down(self) -> float:
        """ModelDown: the last success was due one interval before the first bad probe."""
        failures = (MODEL_DOWN.failures - 1) * self.interval + self.timeout
        silence = (MODEL_DOWN.intervals - 1) * self.interval + self.timeout
        unseen = MODEL_DOWN.least - self.interval - SCRAPE_INTERVAL_SECONDS / 2
        return (
            max(failures + SCRAPE_INTERVAL_SECONDS / 2, silence, unseen)
            + EVALUATION_INTERVAL_SECONDS / 2
        )

    def promise_broken(self, share: float) -> float:
        """Median seconds from the first bad probe's due time to HighModelLatency."""
        broken = simulation.median_time_to_ticket(self.interval, self.budget, share)
        return broken + self.timeout + DELAY

    def _ticket(self, share: float) -> float:
        return min(
            [self.promise_broken(share), *(self._burnt(burn, share) for burn in TICKET_BURNS)]
        )

    def _burnt(self, burn: Burn, share: float) -> float:
        """By the law of large numbers, the windows being long; hours count once they are full."""
        limit = burn.factor * self.budget
        if share <= limit:
            return inf
        hours = ceil(burn.long * limit / share / 3600) * 3600
        return max(hours, burn.short * limit / share) + burn.hold
