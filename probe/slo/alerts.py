"""Parameters of the alerts in rules/inference-probe.rules.yml. Times are seconds."""

from dataclasses import dataclass

from probe.clock import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS

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
class EvidenceWindow:
    """A window of ModelObjectiveMissed, and a shorter one that confirms that the problem continues.

    In the last `current_seconds`, the bad ratio must exceed `current_factor` budgets.
    """

    seconds: int
    current_seconds: int
    current_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveMissedRule:
    """ModelObjectiveMissed: one of the windows holds enough evidence, and the problem continues.

    `evidence` and `evidence_before` are powers of ten: the first is needed now, the second is
    needed `confirmation_seconds` ago, in any window. A window is ignored while a window with
    a shorter current one has enough evidence, and in it the bad ratio exceeds `current_factor`
    budgets.
    """

    windows: tuple[EvidenceWindow, ...] = (
        EvidenceWindow(
            seconds=10 * MINUTE_SECONDS, current_seconds=2 * MINUTE_SECONDS, current_factor=3
        ),
        EvidenceWindow(
            seconds=20 * MINUTE_SECONDS, current_seconds=2 * MINUTE_SECONDS, current_factor=3
        ),
        EvidenceWindow(seconds=HOUR_SECONDS, current_seconds=10 * MINUTE_SECONDS, current_factor=1),
        EvidenceWindow(
            seconds=6 * HOUR_SECONDS, current_seconds=30 * MINUTE_SECONDS, current_factor=1
        ),
    )
    evidence: float = 6
    confirmation_seconds: int = 3 * MINUTE_SECONDS
    evidence_before: float = 2
    keep_firing_seconds: int = 10 * MINUTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """ModelErrorBudgetBurn: the bad ratio of both windows exceeds `factor` budgets.

    It must do so for `hold_seconds`. The alert fires for `keep_firing_seconds` longer.
    Windows and factors: Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8.
    """

    short_seconds: int
    long_seconds: int
    factor: float
    hold_seconds: int
    keep_firing_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HighLatencyRule:
    """HighModelLatency: one of two conditions holds for `hold_seconds`.

    Either the bad ratio in the short window exceeds the budget. Or it exceeds the budget in the
    last medium window and in the medium window before, and the long window holds `evidence` (a
    power of ten). The second condition finds a small bad ratio, at which short windows without
    a bad probe are common. A single burst does not fire it.
    """

    short_seconds: int = 5 * MINUTE_SECONDS
    medium_seconds: int = 10 * MINUTE_SECONDS
    long_seconds: int = HOUR_SECONDS
    evidence: float = 1
    hold_seconds: int = 10 * MINUTE_SECONDS
    keep_firing_seconds: int = 15 * MINUTE_SECONDS


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
        keep_firing_seconds=5 * MINUTE_SECONDS,
    ),
    BurnRule(
        short_seconds=30 * MINUTE_SECONDS,
        long_seconds=6 * HOUR_SECONDS,
        factor=6,
        hold_seconds=15 * MINUTE_SECONDS,
        keep_firing_seconds=5 * MINUTE_SECONDS,
    ),
)
TICKET_BURNS = (
    BurnRule(
        short_seconds=2 * HOUR_SECONDS,
        long_seconds=DAY_SECONDS,
        factor=3,
        hold_seconds=HOUR_SECONDS,
        keep_firing_seconds=0,
    ),
    BurnRule(
        short_seconds=6 * HOUR_SECONDS,
        long_seconds=3 * DAY_SECONDS,
        factor=1,
        hold_seconds=3 * HOUR_SECONDS,
        keep_firing_seconds=0,
    ),
)
