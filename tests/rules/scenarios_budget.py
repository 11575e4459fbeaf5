"""Scenarios of ModelErrorBudgetBurn, and of the budget that is left."""

from tests.rules.daemon import Target
from tests.rules.scenario import (
    DAY,
    HOUR,
    MINUTE,
    Check,
    burn,
    case,
    firing,
    silent,
    throughout,
)
from tests.rules.scenarios_objective import UP, one
from tests.rules.scripted_probe import GOOD, SLOW, TIMEOUT, Objective, Outcome, Probe, Script

NAME = "ModelErrorBudgetBurn"
BREAKS = 6 * MINUTE
HEALTHY: Script = {0: (GOOD,)}
FAST, SLOWER = burn("5m", "1h"), burn("30m", "6h")
TWO_HOURS, SIX_HOURS = burn("2h", "1d"), burn("6h", "3d")


def one_in(count: int, begins: float, ends: float) -> Script:
    """Of so many answers one is slow, for a time."""
    return {0: (GOOD,), begins: (SLOW, *[GOOD] * (count - 1)), ends: (GOOD,)}


PAGED = (
    case(
        "half slow for 20 minutes: the fast burn fires, then the slower, and both resolve",
        one(one_in(2, BREAKS, BREAKS + 20 * MINUTE)),
        checks=(
            silent(0, BREAKS + 3 * MINUTE, NAME),
            firing(BREAKS + 13 * MINUTE, FAST, name=NAME),
            firing(BREAKS + 20 * MINUTE, FAST, SLOWER, name=NAME),
            firing(BREAKS + 40 * MINUTE, SLOWER, name=NAME),
            firing(BREAKS + 65 * MINUTE, name=NAME),
        ),
    ),
    case(
        "one in ten slow is the slower burn's, one in 33 none; a failed scrape, a gap, a restart",
        Target(
            (Probe(script=one_in(10, BREAKS, HOUR)),),
            starts=(0, 40 * MINUTE + 5),
            failed=(20 * MINUTE, *range(45 * MINUTE, 48 * MINUTE, 15)),
        ),
        one(one_in(33, BREAKS, HOUR), interval=1, cluster="less"),
        checks=(
            silent(0, BREAKS + 20 * MINUTE, NAME),
            firing(BREAKS + 32 * MINUTE, SLOWER, name=NAME),
            throughout(BREAKS + 32 * MINUTE, HOUR + 10 * MINUTE, NAME),
            firing(HOUR, SLOWER, name=NAME),
        ),
    ),
    case(
        "replicas add up, clusters do not; each objective has its own budget",
        one(one_in(2, BREAKS, HOUR), Objective(), UP, instance="a"),
        one(HEALTHY, Objective(), UP, instance="b"),
        one(HEALTHY, cluster="b"),
        one({0: (GOOD,), BREAKS: (TIMEOUT, GOOD)}, Objective(), UP, cluster="c"),
        checks=(
            firing(
                BREAKS + 12 * MINUTE,
                FAST,
                burn("5m", "1h", cluster="c"),
                burn("5m", "1h", cluster="c", slo="up"),
                name=NAME,
            ),
        ),
    ),
    case(
        "an outage that ModelDown has told is not told again by the slower burn",
        one({0: (GOOD,), BREAKS: (TIMEOUT,), BREAKS + 8 * MINUTE: (GOOD,)}),
        checks=(
            firing(BREAKS + 8 * MINUTE, FAST, name=NAME),
            firing(BREAKS + 15 * MINUTE, FAST, name=NAME),
            firing(BREAKS + 27 * MINUTE, name=NAME),
        ),
    ),
    case(
        "a bad minute in an hour is over before it is a burn",
        one({0: (GOOD,), HOUR: (SLOW,), HOUR + 60: (GOOD,)}),
        checks=(silent(0, 2 * HOUR, NAME),),
    ),
    case(
        "an objective that asks for tickets, or for none, is not paged for",
        one(one_in(2, BREAKS, HOUR), Objective(alert="ticket"), Objective(slo="no", alert="none")),
        checks=(silent(0, HOUR, NAME),),
    ),
    case(
        "one slow answer of a probe every 10 minutes is no evidence",
        one({0: (GOOD,), HOUR: (SLOW,), HOUR + 600: (GOOD,)}, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    case(
        "a threshold that moves below the latency for a minute",
        one(
            {0: (Outcome(latency=0.4, success=True),)},
            Objective(until=BREAKS + 5),
            Objective(threshold="0.25", since=BREAKS + 5, until=BREAKS + 65),
            Objective(since=BREAKS + 65),
        ),
        checks=(silent(0, HOUR),),
    ),
)

TICKETED = (
    case(
        "one in ten slow for six hours, of an objective that asks for tickets",
        one(
            one_in(10, 5 * HOUR, 11 * HOUR),
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
    case(
        "one in fifty slow pages nobody, and is a ticket",
        one(one_in(50, HOUR, 9 * HOUR), interval=30),
        one(one_in(50, HOUR, 9 * HOUR), Objective(alert="none"), interval=30, cluster="none"),
        one(one_in(200, 0, DAY), interval=30, cluster="kept"),
        checks=(
            silent(0, 4 * HOUR, NAME),
            firing(8 * HOUR, SIX_HOURS, name=NAME),
            silent(0, 8 * HOUR, "ModelObjectiveMissed|ModelDown"),
        ),
        scrapes=(60,),
    ),
)


def recorded(at: float, name: str, value: float) -> Check:
    """The value of a recording, rounded to twentieths."""
    labels = '{job="inference-probe", probe="sentiment", slo="fast"}'
    return Check(at=at, expr=f"round(inference_probe:{name}, 0.05)", samples={labels: value})


def history(at: float, seconds: float) -> Check:
    labels = '{job="inference-probe", probe="sentiment", slo="fast"}'
    name = "inference_probe:slo_history:seconds30d"
    return Check(at=at, expr=name, samples={f"{name}{labels}": seconds})


HALF = Objective(target=0.9)

LEFT = (
    case(
        "one in twenty slow, where one in ten may be, spends half of the budget",
        one({0: (SLOW, *[GOOD] * 19)}, HALF, interval=3),
        checks=(
            recorded(4 * HOUR, "slo_burn:rate1h", 0.5),
            recorded(4 * HOUR, "slo_budget_left:ratio30d", 0.5),
            history(4 * HOUR, 4 * HOUR),
        ),
        scrapes=(60,),
    ),
)

DAYS = (
    case(
        "a bad day is not forgotten after three good ones",
        one({0: (SLOW, GOOD), DAY: (GOOD,)}, HALF, interval=600),
        checks=(
            recorded(DAY, "slo_budget_left:ratio30d", -4),
            recorded(1.5 * DAY, "slo_bad:ratio1d", 0.25),
            recorded(3.5 * DAY, "slo_bad:ratio3d", 0.1),  # a half of a sixth
            recorded(5 * DAY, "slo_budget_left:ratio30d", 0),
            recorded(5 * DAY, "slo_burn:rate1h", 0),
            history(5 * DAY, 5 * DAY),
        ),
        scrapes=(120,),
    ),
)
