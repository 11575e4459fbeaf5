"""Scenarios of cold starts: no alert about them, or about the time without requests before them."""

from tests.rules.scenario import MINUTE, alert, firing, scenario, silent
from tests.rules.scripted_probe import (
    COLD_START,
    FOR_COLD_START,
    GOOD,
    LOADING,
    REFUSED,
    Probe,
    Script,
)
from tests.rules.scripted_target import Target

BEGINS = 6 * MINUTE
END = 30 * MINUTE


def target(script: Script) -> Target:
    return Target((Probe(script=script),))


SCENARIOS = (
    scenario(
        "ten minutes without requests before a deliberate cold start: no alert",
        target(
            {
                0: (GOOD,),
                BEGINS: (FOR_COLD_START,),
                BEGINS + 10 * MINUTE: (COLD_START,),
                BEGINS + 10 * MINUTE + 5: (GOOD,),
            }
        ),
        checks=(silent(0, END),),
    ),
    scenario(
        "a model that is loading for five minutes: no alert",
        target({0: (GOOD,), BEGINS: (LOADING,), BEGINS + 5 * MINUTE: (GOOD,)}),
        checks=(silent(0, END),),
    ),
    scenario(
        "a model that is loading for longer is down",
        target({0: (GOOD,), BEGINS: (LOADING,), BEGINS + 5 * MINUTE: (REFUSED,)}),
        checks=(
            silent(0, BEGINS + 5 * MINUTE),
            firing(BEGINS + 9 * MINUTE, alert("ModelDown"), name="ModelDown"),
        ),
    ),
)
