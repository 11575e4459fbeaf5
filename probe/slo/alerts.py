"""Parameters of the alerts in rules/inference-probe.rules.yml. Times are seconds."""

from dataclasses import dataclass

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400

# Period of the error budget, and of expected numbers of alerts.
BUDGET_PERIOD_SECONDS = 30 * DAY_SECONDS

# Between two evaluations of the rules. The counters of good and bad requests are recorded then, so
# this, and not the scrape interval, is the spacing of the samples that `increase` sees.
EVALUATION_INTERVAL_SECONDS = 30

# Between two evaluations of the rules with windows of days.
LONG_EVALUATION_INTERVAL_SECONDS = 2 * MINUTE_SECONDS

# Scrape interval of Prometheus: an assumption, since its config is not known here.
SCRAPE_INTERVAL_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveMissedRule:
    """ModelObjectiveMissed: one of the windows holds enough evidence.

    `evidence` and `evidence_before` are powers of ten: the first is needed now, the second is
    needed `confirmation_seconds` ago. A probe of the last `recent_seconds` must be bad.
    """

    windows_seconds: tuple[int, ...] = (
        10 * MINUTE_SECONDS,
        20 * MINUTE_SECONDS,
        HOUR_SECONDS,
        6 * HOUR_SECONDS,
    )
    evidence: float = 6
    confirmation_seconds: int = 3 * MINUTE_SECONDS
    evidence_before: float = 2
    recent_seconds: int = 2 * MINUTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """ModelErrorBudgetBurn: the bad ratio of both windows exceeds `factor` budgets.

    It must do so for `hold_seconds`.
    Windows and factors: Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8.
    """

    short_seconds: int
    long_seconds: int
    factor: float
    hold_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLatencyRule:
    """HighModelLatency: the bad ratio in the window exceeds the budget for `hold_seconds`."""

    window_seconds: int = 5 * MINUTE_SECONDS
    hold_seconds: int = 10 * MINUTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDownRule:
    """ModelDown: `failures` failures in a row, and no success for a long time.

    That time is at least `min_silence_seconds`, and at least `intervals` probe intervals plus the
    timeout.
    """

    failures: int = 5
    intervals: int = 5
    min_silence_seconds: int = 3 * MINUTE_SECONDS


OBJECTIVE_MISSED = ObjectiveMissedRule()
HIGH_LATENCY = HighLatencyRule()
MODEL_DOWN = ModelDownRule()
PAGE_BURNS = (
    BurnRule(
        short_seconds=5 * MINUTE_SECONDS,
        long_seconds=HOUR_SECONDS,
        factor=14.4,
        hold_seconds=2 * MINUTE_SECONDS,
    ),
    BurnRule(
        short_seconds=30 * MINUTE_SECONDS,
        long_seconds=6 * HOUR_SECONDS,
        factor=6,
        hold_seconds=15 * MINUTE_SECONDS,
    ),
)
TICKET_BURNS = (
    BurnRule(
        short_seconds=2 * HOUR_SECONDS,
        long_seconds=DAY_SECONDS,
        factor=3,
        hold_seconds=HOUR_SECONDS,
    ),
    BurnRule(
        short_seconds=6 * HOUR_SECONDS,
        long_seconds=3 * DAY_SECONDS,
        factor=1,
        hold_seconds=3 * HOUR_SECONDS,
    ),
)
