"""Forecast for one objective: what pages, how many false alarms, how soon an outage is detected."""

from dataclasses import dataclass, replace
from math import ceil, floor, inf

from probe.clock import HOUR_SECONDS
from probe.slo.alerts import (
    BUDGET_PERIOD_SECONDS,
    EVALUATION_INTERVAL_SECONDS,
    MODEL_DOWN,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    SCRAPE_INTERVAL_SECONDS,
    TICKET_BURNS,
    BurnRule,
    EvidenceWindow,
)
from probe.slo.brown_out_forecast import pages_per_day
from probe.slo.evidence import min_bad_above, min_bad_of, min_bad_probes, probes_in
from probe.slo.scan_statistics import excursions, median_first_passage
from probe.slo.ticket_forecast import ProbeStream, expected_tickets, median_time_to_high_latency

# Mean time from the end of a probe to the evaluation that sees it.
DELAY_SECONDS = SCRAPE_INTERVAL_SECONDS / 2 + EVALUATION_INTERVAL_SECONDS / 2

_WINDOWS_SECONDS = tuple(window.seconds for window in OBJECTIVE_MISSED.windows)

# With a longer interval the number of probes in a window depends on when the window is evaluated.
_SLOW_INTERVAL_SECONDS = 60

# Bad ratio of a lasting problem, in budgets: small enough for its pages to come and go.
BROWN_OUT_BUDGETS = 3

# Share of its error budget that a healthy model spends.
HEALTHY_BUDGET_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PageThreshold:
    """Number of bad probes in a window that pages; None if even all of them do not."""

    window: int
    probes: int
    bad: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """Expected alerts in 30 days about a model whose `bad_ratio` is within the budget."""

    bad_ratio: float
    pages: float
    tickets: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTime:
    """Median times from the due time of the first bad probe to the first page and ticket.

    In seconds; infinite if there is none. From then on `bad_ratio` of the probes are bad.
    """

    bad_ratio: float
    page: float
    ticket: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrownOut:
    """Expected new pages per day while `bad_ratio` of the probes stay bad, after the first page."""

    bad_ratio: float
    pages_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTiming:
    """Everything that the alerts of an objective depend on. Times are seconds.

    `budget` is the allowed bad ratio. `pages` is whether the objective pages or opens tickets only.
    `down` is the level of ModelDown: page, ticket or none.
    """

    budget: float
    interval: float
    timeout: float
    pages: bool = True
    down: str = "page"

    def page_thresholds(self) -> list[PageThreshold]:
        """Return the thresholds of ModelObjectiveMissed by window."""
        return [
            PageThreshold(
                window=window,
                probes=probes_in(window, self.interval),
                bad=min_bad_probes(window, self.interval, self.budget, OBJECTIVE_MISSED.evidence),
            )
            for window in _WINDOWS_SECONDS
        ]

    def burn_page_thresholds(self) -> list[tuple[PageThreshold, PageThreshold]]:
        """Return the thresholds of ModelErrorBudgetBurn. Both windows must reach theirs."""
        return [
            (self._burn_threshold(rule.short_seconds, rule.factor), self._long_burn_threshold(rule))
            for rule in PAGE_BURNS
        ]

    def false_alarms(self, bad_ratio: float) -> FalseAlarms:
        """Return the expected alerts about a model with this `bad_ratio`."""
        return FalseAlarms(
            bad_ratio=bad_ratio,
            pages=self._false_pages(bad_ratio),
            tickets=expected_tickets(self._stream(bad_ratio)),
        )

    def detection_time(self, bad_ratio: float) -> DetectionTime:
        """Return how soon a change from no bad probes to `bad_ratio` is detected."""
        if bad_ratio <= self.budget:
            return DetectionTime(bad_ratio=bad_ratio, page=inf, ticket=inf)
        page = self._objective_missed_time(bad_ratio) if self.pages else inf
        ticket = self._ticket_time(bad_ratio)
        down = self._down_time(bad_ratio)
        if self.down == "page":
            page = min(page, down)
        if self.down == "ticket":
            ticket = min(ticket, down)
        return DetectionTime(bad_ratio=bad_ratio, page=page, ticket=ticket)

    def brown_out(self) -> BrownOut | None:
        """Return the forecast of a lasting brown-out; None if the budget is too large for one."""
        bad_ratio = round(BROWN_OUT_BUDGETS * self.budget, 12)
        if not self.pages or bad_ratio >= 1:
            return None
        pages = pages_per_day(self.interval, self.budget, bad_ratio)
        return BrownOut(bad_ratio=bad_ratio, pages_per_day=pages)

    def can_page(self) -> bool:
        """Return whether ModelObjectiveMissed can ever fire."""
        return any(threshold.bad is not None for threshold in self.page_thresholds())

    def false_down_pages(self, failure_ratio: float) -> float:
        """Return the expected pages of ModelDown in 30 days, if `failure_ratio` of probes fail."""
        probes = BUDGET_PERIOD_SECONDS / self.interval
        return probes * (1 - failure_ratio) * failure_ratio ** self.failures_until_down()

    def failures_until_down(self) -> int:
        """Return how many failures in a row fire ModelDown."""
        return max(MODEL_DOWN.failures, ceil(MODEL_DOWN.min_silence_seconds / self.interval))

    def high_latency_time(self, bad_ratio: float) -> float:
        """Return the median time from the first bad probe's due time to HighModelLatency.

        Infinite for a total outage that ModelDown reports before: it is the only alert about it.
        """
        time = self.timeout + DELAY_SECONDS + median_time_to_high_latency(self._stream(bad_ratio))
        return time if time < self._down_time(bad_ratio) else inf

    def _stream(self, bad_ratio: float) -> ProbeStream:
        return ProbeStream(self.interval, self.budget, bad_ratio)

    def _burn_threshold(self, window: int, factor: float) -> PageThreshold:
        """Return the smallest count above `factor` budgets."""
        probes = probes_in(window, self.interval)
        bad = min_bad_above(probes, factor * self.budget)
        return PageThreshold(window=window, probes=probes, bad=bad if bad <= probes else None)

    def _long_burn_threshold(self, rule: BurnRule) -> PageThreshold:
        """Return the threshold of the long window, which must hold enough evidence as well."""
        burn = self._burn_threshold(rule.long_seconds, rule.factor)
        evident = min_bad_probes(
            rule.long_seconds, self.interval, self.budget, OBJECTIVE_MISSED.evidence
        )
        bad = None if burn.bad is None or evident is None else max(burn.bad, evident)
        return replace(burn, bad=bad)

    def _false_pages(self, bad_ratio: float) -> float:
        """Return the sum over all windows, as if they were independent, and of ModelDown."""
        probes = BUDGET_PERIOD_SECONDS / self.interval
        step = max(1, round(EVALUATION_INTERVAL_SECONDS / self.interval))
        missed = sum(
            excursions(threshold.probes, threshold.bad, bad_ratio, step)
            for threshold in self.page_thresholds()
            if self.pages and threshold.bad is not None
        )
        return probes * missed + (self.down == "page") * self.false_down_pages(bad_ratio)

    def _objective_missed_time(self, bad_ratio: float) -> float:
        """Return the median time to a page about the objective."""
        enough = self._evidence_time(bad_ratio, OBJECTIVE_MISSED.evidence)
        some = self._evidence_time(bad_ratio, OBJECTIVE_MISSED.evidence_before)
        before = float(OBJECTIVE_MISSED.confirmation_seconds)
        if self.interval > _SLOW_INTERVAL_SECONDS:
            # The alert needs a bad probe in its current window: it fires when one arrives.
            before = ceil(before / self.interval) * self.interval
        return max(enough, some + before) + self.timeout + DELAY_SECONDS

    def _evidence_time(self, bad_ratio: float, level: float) -> float:
        """Return the median time until one of the windows holds evidence of `level`."""
        return min(
            self._passage_time(window.seconds, probes, bad_ratio, level)
            for window in OBJECTIVE_MISSED.windows
            for probes in self._probes_in(window)
        )

    def _probes_in(self, window: EvidenceWindow) -> range | tuple[int]:
        """Return the numbers of probes in a window, when a bad one is in the current window."""
        if self.interval <= _SLOW_INTERVAL_SECONDS:
            return (probes_in(window.seconds, self.interval),)
        fewest = floor((window.seconds - window.current_seconds) / self.interval) + 1
        most = floor((window.seconds - EVALUATION_INTERVAL_SECONDS) / self.interval) + 1
        return range(fewest, most + 1)

    def _passage_time(self, window: int, probes: int, bad_ratio: float, level: float) -> float:
        count = min_bad_of(probes, window, self.budget, level)
        if count is None:
            return inf
        return self.interval * median_first_passage(probes, count, bad_ratio)

    def _down_time(self, bad_ratio: float) -> float:
        """Return the time to ModelDown, infinite if it does not fire.

        The last success was due one interval before.
        """
        if bad_ratio < 1 or self.down == "none":
            return inf
        failures = (MODEL_DOWN.failures - 1) * self.interval + self.timeout
        silence = (MODEL_DOWN.intervals - 1) * self.interval + self.timeout
        unseen = MODEL_DOWN.min_silence_seconds - self.interval
        return (
            max(
                failures + SCRAPE_INTERVAL_SECONDS / 2,
                silence,
                unseen + SCRAPE_INTERVAL_SECONDS / 2,
            )
            + EVALUATION_INTERVAL_SECONDS / 2
        )

    def _ticket_time(self, bad_ratio: float) -> float:
        """Return the time to the first ticket about the objective."""
        burns = (self._ticket_burn_time(rule, bad_ratio) for rule in TICKET_BURNS)
        return min(self.high_latency_time(bad_ratio), *burns)

    def _ticket_burn_time(self, rule: BurnRule, bad_ratio: float) -> float:
        """Return the time by the law of large numbers. Hours count once they are complete."""
        limit = rule.factor * self.budget
        if bad_ratio <= limit:
            return inf
        hours = ceil(rule.long_seconds * limit / bad_ratio / HOUR_SECONDS) * HOUR_SECONDS
        return max(hours, rule.short_seconds * limit / bad_ratio) + rule.hold_seconds
