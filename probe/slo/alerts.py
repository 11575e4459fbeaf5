"""What rules/inference-probe.rules.yml alerts on, as data. Times are seconds."""

from dataclasses import dataclass

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400

BUDGET_PERIOD_SECONDS = 30 * DAY_SECONDS
"""Of the error budget, and of expected numbers of alerts."""

EVALUATION_INTERVAL_SECONDS = 30
"""Between two evaluations of the rules. The counters of good and bad requests are recorded then,
so this, and not the scrape, is how far the samples are apart that `increase` sees.
"""

LONG_EVALUATION_INTERVAL_SECONDS = 2 * MINUTE_SECONDS
"""Between two evaluations of the rules with windows of days."""

SCRAPE_INTERVAL_SECONDS = 15
"""Between two scrapes: what is assumed of the Prometheus that nobody here has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveMissedRule:
    """ModelObjectiveMissed: in one of the windows there is evidence enough, in powers of ten,
    `before` seconds ago there was some, and there is a bad probe in the last `lately` seconds.
    """

    windows: tuple[int, ...] = (
        10 * MINUTE_SECONDS,
        20 * MINUTE_SECONDS,
        HOUR_SECONDS,
        6 * HOUR_SECONDS,
    )
    evidence: float = 6
    before: int = 3 * MINUTE_SECONDS
    evidence_before: float = 2
    lately: int = 2 * MINUTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """ModelErrorBudgetBurn: the bad share of both windows exceeds `factor` budgets for `hold`.

    Windows and factors: Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8.
    """

    short: int
    long: int
    factor: float
    hold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLatencyRule:
    """HighModelLatency: the bad share of `window` exceeds the budget for `hold`."""

    window: int = 5 * MINUTE_SECONDS
    hold: int = 10 * MINUTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDownRule:
    """ModelDown: so many failures in a row, and no success for `least` and for `intervals` of the
    probe and its timeout.
    """

    failures: int = 5
    intervals: int = 5
    least: int = 3 * MINUTE_SECONDS


OBJECTIVE_MISSED = ObjectiveMissedRule()
HIGH_LATENCY = HighLatencyRule()
MODEL_DOWN = ModelDownRule()
PAGE_BURNS = (
    Burn(short=5 * MINUTE_SECONDS, long=HOUR_SECONDS, factor=14.4, hold=2 * MINUTE_SECONDS),
    Burn(short=30 * MINUTE_SECONDS, long=6 * HOUR_SECONDS, factor=6, hold=15 * MINUTE_SECONDS),
)
TICKET_BURNS = (
    Burn(short=2 * HOUR_SECONDS, long=DAY_SECONDS, factor=3, hold=HOUR_SECONDS),
    Burn(short=6 * HOUR_SECONDS, long=3 * DAY_SECONDS, factor=1, hold=3 * HOUR_SECONDS),
)
