"""What rules/inference-probe.rules.yml alerts on, as data. Times are seconds."""

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400

PERIOD = 30 * DAY
"""Of the error budget, and of expected numbers of alerts."""

EVALUATION = 30
"""Between two evaluations of the rules. The counters of good and bad requests are recorded then,
so this, and not the scrape, is how far the samples are apart that `increase` sees.
"""

LONG_EVALUATION = 2 * MINUTE
"""Between two evaluations of the rules with windows of days."""

SCRAPE = 15
"""Between two scrapes: what is assumed of the Prometheus that nobody here has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """ModelObjectiveMissed: in one of the windows there is evidence enough, in powers of ten,
    `before` seconds ago there was some, and there is a bad probe in the last `lately` seconds.
    """

    windows: tuple[int, ...] = (10 * MINUTE, 20 * MINUTE, HOUR, 6 * HOUR)
    evidence: float = 6
    before: int = 3 * MINUTE
    evidence_before: float = 2
    lately: int = 2 * MINUTE


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
class Promise:
    """HighModelLatency: the bad share of `window` exceeds the budget for `hold`."""

    window: int = 5 * MINUTE
    hold: int = 10 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """ModelDown: so many failures in a row, and no success for `least` and for `intervals` of the
    probe and its timeout.
    """

    failures: int = 5
    intervals: int = 5
    least: int = 3 * MINUTE


MISSED = Missed()
PROMISE = Promise()
DOWN = Down()
PAGES = (
    Burn(short=5 * MINUTE, long=HOUR, factor=14.4, hold=2 * MINUTE),
    Burn(short=30 * MINUTE, long=6 * HOUR, factor=6, hold=15 * MINUTE),
)
TICKETS = (
    Burn(short=2 * HOUR, long=DAY, factor=3, hold=HOUR),
    Burn(short=6 * HOUR, long=3 * DAY, factor=1, hold=3 * HOUR),
)
