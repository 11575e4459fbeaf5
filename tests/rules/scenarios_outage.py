"""Scenarios of ModelDown."""

from dataclasses import replace

from tests.rules.daemon import Target
from tests.rules.scenario import (
    HOUR,
    MINUTE,
    Scenario,
    alert,
    burn,
    case,
    firing,
    high_latency,
    missed,
    silent,
    throughout,
)
from tests.rules.scripted_probe import (
    GOOD,
    INTERNAL,
    PAUSED,
    REFUSED,
    SLOW,
    TIMEOUT,
    Outcome,
    Probe,
    Script,
)

BREAKS = 6 * MINUTE
KEPT = 12 * MINUTE  # the page's keep_firing_for
SEEN = 90  # a scrape of 60 s and an evaluation
DOWN = alert("ModelDown")


def bound(probe: Probe) -> float:
    """Seconds from the first bad probe in which a total outage must page."""
    return max(4 * MINUTE, 5 * probe.interval + probe.timeout)


def down(*outcomes: Outcome, interval: float = 5, heals: float = HOUR) -> Probe:
    """A probe that breaks after a while. It has no objectives: ModelDown needs none."""
    breaks = max(BREAKS, 2 * interval)
    script = {0: (GOOD,), breaks: outcomes, breaks + heals: (GOOD,)}
    return Probe(interval=interval, script=script, objectives=())


def quiet(script: Script, interval: float = 5) -> Target:
    return Target((Probe(interval=interval, script=script, objectives=()),))


def total(interval: float, *outcomes: Outcome) -> Scenario:
    """A total outage: pages within the bound, and resolves."""
    breaks = max(BREAKS, 2 * interval)
    pages = breaks + bound(Probe(interval=interval, script={0: (GOOD,)}))
    heals = breaks + (pages - breaks) // interval * interval + 6 * MINUTE // interval * interval
    heals += interval
    script = {0: (GOOD,), breaks: outcomes, heals: (GOOD,)}
    return case(
        f"a total outage of a probe every {interval:g} s ends in {outcomes[0].latency:g} s",
        quiet(script, interval),
        checks=(
            silent(0, breaks + max(MINUTE, 4 * interval)),
            firing(pages, DOWN),
            throughout(pages, heals + KEPT, "ModelDown"),
            firing(heals + KEPT + SEEN),
        ),
    )


PAGES = BREAKS + 4 * MINUTE

OUTAGES = (
    total(1, REFUSED),
    total(10, REFUSED),
    total(10, TIMEOUT),
    total(60, REFUSED),
    total(60, TIMEOUT),
    total(600, TIMEOUT),
    case(
        "an outage misses the objectives as well",
        Target((Probe(script={0: (GOOD,), BREAKS: (TIMEOUT,)}),)),
        checks=(firing(BREAKS + 13 * MINUTE, DOWN, missed(), burn("5m", "1h"), high_latency()),),
    ),
    case(
        "one failed scrape while firing",
        Target((down(REFUSED),), failed=(PAGES + 2 * MINUTE,)),
        checks=(throughout(PAGES, PAGES + 10 * MINUTE, "ModelDown"),),
    ),
    case(
        "a model that never came up: silent in the startup grace, then down",
        quiet({0: (REFUSED,)}),
        checks=(silent(0, 5 * MINUTE), firing(9 * MINUTE, DOWN)),
    ),
    case(
        "a model that is down before and after a restart without a startup grace",
        replace(quiet({-10 * MINUTE: (REFUSED,)}), starts=(-10 * MINUTE, BREAKS + 5), grace=0),
        checks=(throughout(4 * MINUTE, BREAKS + 15 * MINUTE, "ModelDown"),),
    ),
    case(
        "a timeout longer than the interval is waited for",
        Target((replace(down(REFUSED, interval=60), timeout=120),)),
        checks=(silent(0, BREAKS + 5 * MINUTE), firing(BREAKS + 7 * MINUTE, DOWN)),
    ),
    case(
        "a restart of the daemon in the middle of an outage: down again after the grace",
        Target((down(REFUSED),), starts=(0, PAGES + 65)),
        checks=(firing(PAGES, DOWN), firing(PAGES + 65 + 9 * MINUTE, DOWN)),
    ),
    case(
        "a scrape job with another name",
        Target((down(REFUSED),), {"job": "monitoring/model-sidecars", "instance": "i"}),
        checks=(firing(PAGES, alert("ModelDown", job="monitoring/model-sidecars")),),
    ),
)

ALIVE = (
    case(
        "slow but alive is not down",
        quiet({0: (GOOD,), BREAKS: (SLOW,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "one success in five is not down",
        quiet({0: (GOOD, REFUSED, REFUSED, REFUSED, REFUSED)}, interval=60),
        checks=(silent(0, HOUR),),
    ),
    case(
        "a blip of a fast probe is not an outage",
        quiet({0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 100: (GOOD,)}, interval=1),
        checks=(silent(0, BREAKS + 5 * MINUTE),),
    ),
    case(
        "our own faults are not the model's, not even after many failures that a success ended",
        quiet({0: (REFUSED, GOOD), BREAKS: (INTERNAL,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "four failures, and our own faults ever after, are short of the count",
        quiet({0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 20: (INTERNAL,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "failures from before a pause are not counted after it",
        quiet(
            {
                0: (GOOD,),
                BREAKS: (REFUSED,),
                BREAKS + 3 * MINUTE: (PAUSED,),
                BREAKS + 13 * MINUTE: (REFUSED,),
                BREAKS + 17 * MINUTE: (GOOD,),
            },
            interval=60,
        ),
        checks=(silent(0, 40 * MINUTE),),
    ),
    case(
        "a probe that is paused in an outage starts from nothing when it resumes",
        quiet(
            {
                0: (GOOD,),
                BREAKS: (REFUSED,),
                BREAKS + 2 * MINUTE: (PAUSED,),
                BREAKS + 10 * MINUTE: (REFUSED,),
                BREAKS + 11 * MINUTE: (GOOD,),
            }
        ),
        checks=(silent(0, 30 * MINUTE),),
    ),
)

SCENARIOS = (*OUTAGES, *ALIVE)
