"""Scenarios of an exhausted budget of requests: one ticket, and no page."""

from tests.rules.scenario import (
    DELAY,
    HOUR,
    MINUTE,
    Check,
    alert,
    episodes,
    firing,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import GOOD, OVER_BUDGET, REFUSED, Objective, Probe, Script
from tests.rules.scripted_target import Target

BREAKS = 6 * MINUTE
EXHAUSTED = "InferenceProbeBudgetExhausted"
OBJECTIVES = (Objective(), Objective(slo="up", threshold="+Inf"))


def target(script: Script, interval: float = 5, **labels: str) -> Target:
    default = {"job": "inference-probe", "instance": "probe:10115"}
    probe = Probe(script=script, interval=interval, objectives=OBJECTIVES)
    return Target((probe,), {**default, **labels})


def only_tickets(start: float, end: float) -> Check:
    """Check that no alert but the ticket fires at any evaluation after `start`."""
    others = "ALERTS{" + f'alertname!="{EXHAUSTED}", alertstate="firing"' + "}"
    return Check(at=end, expr=f"count_over_time({others}[{end - start:.0f}s])", samples={})


SCENARIOS = (
    scenario(
        "the budget of a healthy model is exhausted for 30 minutes: one ticket, no page",
        target({0: (GOOD,), BREAKS: (OVER_BUDGET,), 36 * MINUTE: (GOOD,)}),
        checks=(
            silent(0, BREAKS),
            firing(BREAKS + 2 * MINUTE + DELAY, alert(EXHAUSTED)),
            throughout(BREAKS + 2 * MINUTE + DELAY, 36 * MINUTE + HOUR - DELAY, EXHAUSTED),
            only_tickets(0, 2 * HOUR),
            firing(36 * MINUTE + HOUR + 2 * DELAY),
        ),
    ),
    scenario(
        "single requests run when older ones leave the window: the ticket does not repeat",
        target({0: (GOOD,), BREAKS: (*[OVER_BUDGET] * 35, GOOD)}, interval=25),
        checks=(
            only_tickets(0, 2 * HOUR),
            throughout(BREAKS + 6 * MINUTE, 2 * HOUR, EXHAUSTED),
            episodes(2 * HOUR, EXHAUSTED, 1),
        ),
    ),
    scenario(
        "two replicas, and a target label `reason`: one ticket for each job",
        target({0: (GOOD,), BREAKS: (OVER_BUDGET,)}, instance="a"),
        target({0: (GOOD,), BREAKS: (OVER_BUDGET,)}, instance="b"),
        target({0: (GOOD,), BREAKS: (OVER_BUDGET,)}, job="canary", reason="canary"),
        checks=(
            firing(BREAKS + 15 * MINUTE, alert(EXHAUSTED), alert(EXHAUSTED, job="canary")),
            only_tickets(0, BREAKS + 30 * MINUTE),
        ),
    ),
    scenario(
        "exhausted during an outage: ModelDown stays active until a request succeeds",
        target(
            {
                0: (GOOD,),
                BREAKS: (REFUSED,),
                BREAKS + 10 * MINUTE: (OVER_BUDGET,),
                HOUR: (GOOD,),
            }
        ),
        checks=(
            throughout(BREAKS + 6 * MINUTE, HOUR, "ModelDown"),
            episodes(2 * HOUR, "ModelDown", 1),
            firing(HOUR + 20 * MINUTE, alert(EXHAUSTED), name=f"ModelDown|{EXHAUSTED}"),
        ),
    ),
)
