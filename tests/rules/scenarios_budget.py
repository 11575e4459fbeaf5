"""Scenarios of ModelErrorBudgetBurn and of the remaining error budget."""

from tests.rules.scenario import (
    DAY,
    HOUR,
    MINUTE,
    Check,
    burn,
    firing,
    scenario,
    silent,
    throughout,
)
from tests.rules.scenarios_objective import AVAILABLE, target
from tests.rules.scripted_probe import GOOD, SLOW, TIMEOUT, Objective, Outcome, Probe, Script
from tests.rules.scripted_target import Target

NAME = "ModelErrorBudgetBurn"
BREAKS = 6 * MINUTE
HEALTHY: Script = {0: (GOOD,)}
FAST_BURN, SLOW_BURN = burn("5m", "1h"), burn("30m", "6h")
TWO_HOURS, SIX_HOURS = burn("2h", "1d"), burn("6h", "3d")


def one_slow_in(count: int, start: float, end: float) -> Script:
    """Return a script with one slow response in `count` from `start` to `end`."""
    return {0: (GOOD,), start: (SLOW, *[GOOD] * (count - 1)), end: (GOOD,)}


PAGES = (
    scenario(
        "half of the responses slow for 20 minutes: fast burn, then slow burn, then both resolve",
        target(one_slow_in(2, BREAKS, BREAKS + 20 * MINUTE)),
        checks=(
            silent(0, BREAKS + 3 * MINUTE, NAME),
            firing(BREAKS + 13 * MINUTE, FAST_BURN, name=NAME),
            firing(BREAKS + 20 * MINUTE, FAST_BURN, SLOW_BURN, name=NAME),
            firing(BREAKS + 40 * MINUTE, SLOW_BURN, name=NAME),
            firing(BREAKS + 60 * MINUTE, name=NAME),
        ),
    ),
    scenario(
        "one in ten slow is a slow burn, one in 33 is not; a failed scrape, a gap, a restart",
        Target(
            (Probe(script=one_slow_in(10, BREAKS, HOUR)),),
            starts=(0, 40 * MINUTE + 5),
            failed_scrapes=(20 * MINUTE, *range(45 * MINUTE, 48 * MINUTE, 15)),
        ),
        target(one_slow_in(33, BREAKS, HOUR), interval=1, cluster="less"),
        checks=(
            silent(0, BREAKS + 20 * MINUTE, NAME),
            firing(BREAKS + 32 * MINUTE, SLOW_BURN, name=NAME),
            throughout(BREAKS + 32 * MINUTE, HOUR + 10 * MINUTE, NAME),
            firing(HOUR, SLOW_BURN, name=NAME),
        ),
    ),
    scenario(
        "replicas are added up, clusters are not; each objective has its own budget",
        target(one_slow_in(2, BREAKS, HOUR), Objective(), AVAILABLE, instance="a"),
        target(HEALTHY, Objective(), AVAILABLE, instance="b"),
        target(HEALTHY, cluster="b"),
        target({0: (GOOD,), BREAKS: (TIMEOUT, GOOD)}, Objective(), AVAILABLE, cluster="c"),
        checks=(
            firing(
                BREAKS + 12 * MINUTE,
                FAST_BURN,
                burn("5m", "1h", cluster="c"),
                burn("5m", "1h", cluster="c", slo="up"),
                name=NAME,
            ),
        ),
    ),
    scenario(
        "an outage that ModelDown has reported does not fire the slow burn",
        target({0: (GOOD,), BREAKS: (TIMEOUT,), BREAKS + 8 * MINUTE: (GOOD,)}),
        checks=(
            firing(BREAKS + 8 * MINUTE, FAST_BURN, name=NAME),
            firing(BREAKS + 15 * MINUTE, FAST_BURN, name=NAME),
            firing(BREAKS + 27 * MINUTE, name=NAME),
        ),
    ),
    scenario(
        "a bad minute in an hour ends before it is a burn",
        target({0: (GOOD,), HOUR: (SLOW,), HOUR + 60: (GOOD,)}),
        checks=(silent(0, 2 * HOUR, NAME),),
    ),
    scenario(
        "an objective with alert: ticket or alert: none does not page",
        target(
            one_slow_in(2, BREAKS, HOUR),
            Objective(alert="ticket"),
            Objective(slo="no", alert="none"),
        ),
        checks=(silent(0, HOUR, NAME),),
    ),
    scenario(
        "one slow response of a probe every 10 minutes is not enough evidence",
        target({0: (GOOD,), HOUR: (SLOW,), HOUR + 600: (GOOD,)}, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    scenario(
        "a threshold that changes for 12 minutes of slow responses, and back",
        Target(
            (
                Probe(
                    script={0: (GOOD,), BREAKS: (SLOW,), BREAKS + 12 * MINUTE: (GOOD,)},
                    objectives=(
                        Objective(until=BREAKS),
                        Objective(threshold="1.0", since=BREAKS, until=BREAKS + 12 * MINUTE),
                        Objective(since=BREAKS + 12 * MINUTE),
                    ),
                    histogram_resets=(BREAKS, BREAKS + 12 * MINUTE),
                ),
            )
        ),
        checks=(silent(0, HOUR),),
    ),
    scenario(
        "an objective that is removed for 12 minutes of slow responses, and restored",
        Target(
            (
                Probe(
                    script={0: (GOOD,), BREAKS: (SLOW,), BREAKS + 12 * MINUTE: (GOOD,)},
                    objectives=(
                        Objective(until=BREAKS),
                        Objective(since=BREAKS + 12 * MINUTE),
                    ),
                    histogram_resets=(BREAKS + 12 * MINUTE,),
                ),
            )
        ),
        checks=(silent(0, HOUR),),
    ),
    scenario(
        "a threshold that moves below the latency for a minute",
        target(
            {0: (Outcome(latency=0.4, success=True),)},
            Objective(until=BREAKS + 5),
            Objective(threshold="0.25", since=BREAKS + 5, until=BREAKS + 65),
            Objective(since=BREAKS + 65),
        ),
        checks=(silent(0, HOUR),),
    ),
)

TICKETS = (
    scenario(
        "one in ten slow for six hours, with alert: ticket",
        target(
            one_slow_in(10, 5 * HOUR, 11 * HOUR),
            Objective(alert="ticket"),
            Objective(slo="no", alert="none"),
            interval=30,
        ),
        checks=(
            silent(0, 8 * HOUR, NAME),
            firing(10 * HOUR, TWO_HOURS, SIX_HOURS, name=NAME),
            firing(14 * HOUR, SIX_HOURS, name=NAME),
            firing(17.5 * HOUR, name=NAME),
        ),
    ),
    scenario(
        "one in fifty slow is a ticket and not a page",
        target(one_slow_in(50, HOUR, 9 * HOUR), interval=30),
        target(
            one_slow_in(50, HOUR, 9 * HOUR), Objective(alert="none"), interval=30, cluster="none"
        ),
        target(one_slow_in(200, 0, DAY), interval=30, cluster="kept"),
        checks=(
            silent(0, 4 * HOUR, NAME),
            firing(8 * HOUR, SIX_HOURS, name=NAME),
            silent(0, 8 * HOUR, "ModelObjectiveMissed|ModelDown"),
        ),
    ),
)


def recorded(at: float, name: str, value: float) -> Check:
    """Check the value of a recording rule, rounded to 0.05."""
    labels = '{job="inference-probe", probe="sentiment", slo="fast"}'
    return Check(at=at, expr=f"round(inference_probe:{name}, 0.05)", samples={labels: value})


def history(at: float, seconds: float, evaluation_seconds: float) -> Check:
    """Check how much history the remaining budget is computed from.

    promtool evaluates all groups every `evaluation_seconds`, and so records as many half hours.
    """
    labels = '{job="inference-probe", probe="sentiment", slo="fast"}'
    half_hours = f"inference_probe:slo_history:seconds30d * {evaluation_seconds} / 1800"
    return Check(at=at, expr=f"round({half_hours}, 1800)", samples={labels: seconds})


LENIENT = Objective(target=0.9)

REMAINING = (
    scenario(
        "one in twenty slow with a target of 90 % spends half of the budget",
        target({0: (SLOW, *[GOOD] * 19)}, LENIENT, interval=3),
        checks=(
            recorded(4 * HOUR, "slo_burn:rate1h", 0.5),
            recorded(4 * HOUR, "slo_budget_left:ratio30d", 0.5),
            history(4 * HOUR, 4 * HOUR, 120),
        ),
    ),
)

HOURS = (*TICKETS, *REMAINING)

DAYS = (
    scenario(
        "a bad day still counts after three good days",
        target({0: (SLOW, GOOD), DAY: (GOOD,)}, LENIENT, interval=600),
        checks=(
            recorded(DAY, "slo_budget_left:ratio30d", -4),
            recorded(1.5 * DAY, "slo_bad:ratio1d", 0.25),
            recorded(3.5 * DAY, "slo_bad:ratio3d", 0.1),  # half of a sixth
            recorded(5 * DAY, "slo_budget_left:ratio30d", 0),
            recorded(5 * DAY, "slo_burn:rate1h", 0),
            history(5 * DAY, 5 * DAY, 600),
        ),
        scrape_seconds=(120,),
    ),
)
