"""Scenarios of ModelDown."""

from dataclasses import replace

from tests.rules.scenario import (
    DEFAULT_LABELS,
    DELAY,
    HOUR,
    MINUTE,
    Scenario,
    alert,
    burn,
    firing,
    high_latency,
    instance_alert,
    missed,
    scenario,
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
from tests.rules.scripted_target import Target

BREAKS = 6 * MINUTE
HEALS = BREAKS + 30 * MINUTE
KEEP_FIRING = 12 * MINUTE
DOWN = alert("ModelDown")
RESTARTS = instance_alert("InferenceProbeRestarts")


def page_deadline(probe: Probe) -> float:
    """Return the seconds from the first failure within which a total outage must page."""
    return max(4 * MINUTE, 5 * probe.interval + probe.timeout)


def down(*outcomes: Outcome, interval: float = 5, heals: float = HOUR) -> Probe:
    """Return a probe that fails for `heals` seconds. It has no objectives: ModelDown needs none."""
    breaks = max(BREAKS, 2 * interval)
    script = {0: (GOOD,), breaks: outcomes, breaks + heals: (GOOD,)}
    return Probe(interval=interval, script=script, objectives=())


def without_objectives(script: Script, interval: float = 5) -> Target:
    return Target((Probe(interval=interval, script=script, objectives=()),))


def total_outage(interval: float, *outcomes: Outcome) -> Scenario:
    """Return the scenario of a total outage: it pages within the deadline, and resolves."""
    breaks = max(BREAKS, 2 * interval)
    pages = breaks + page_deadline(Probe(interval=interval, script={0: (GOOD,)}))
    heals = breaks + (pages - breaks) // interval * interval + 6 * MINUTE // interval * interval
    heals += interval
    script = {0: (GOOD,), breaks: outcomes, heals: (GOOD,)}
    return scenario(
        f"total outage: a probe every {interval:g} s that fails after {outcomes[0].latency:g} s",
        without_objectives(script, interval),
        checks=(
            silent(0, breaks + max(MINUTE, 4 * interval)),
            firing(pages, DOWN),
            throughout(pages, heals + KEEP_FIRING, "ModelDown"),
            firing(heals + KEEP_FIRING + DELAY),
        ),
    )


PAGES = BREAKS + 4 * MINUTE

OUTAGES = (
    total_outage(1, REFUSED),
    total_outage(10, REFUSED),
    total_outage(10, TIMEOUT),
    total_outage(60, REFUSED),
    total_outage(60, TIMEOUT),
    total_outage(600, TIMEOUT),
    scenario(
        "an outage misses the objectives as well, and causes no ticket after it",
        Target((Probe(script={0: (GOOD,), BREAKS: (TIMEOUT,), HEALS: (GOOD,)}),)),
        checks=(
            firing(BREAKS + 13 * MINUTE, DOWN, missed(), burn("5m", "1h")),
            silent(0, HEALS + 40 * MINUTE, "HighModelLatency"),
        ),
    ),
    scenario(
        "a ticket for the outage of a probe without ModelDown",
        Target((Probe(script={0: (GOOD,), BREAKS: (TIMEOUT,)}, down="none"),)),
        checks=(firing(BREAKS + 13 * MINUTE, missed(), burn("5m", "1h"), high_latency()),),
    ),
    scenario(
        "a ticket if responses are slow after an outage",
        Target((Probe(script={0: (GOOD,), BREAKS: (TIMEOUT,), HEALS: (SLOW,)}),)),
        checks=(
            silent(0, HEALS + 10 * MINUTE, "HighModelLatency"),
            firing(HEALS + 17 * MINUTE, high_latency(), name="HighModelLatency"),
        ),
    ),
    scenario(
        "one failed scrape while firing",
        Target((down(REFUSED),), failed_scrapes=(PAGES + 2 * MINUTE,)),
        checks=(throughout(PAGES, PAGES + 10 * MINUTE, "ModelDown"),),
    ),
    scenario(
        "a model that never starts: silent in the startup grace, then down",
        without_objectives({0: (REFUSED,)}),
        checks=(silent(0, 5 * MINUTE), firing(9 * MINUTE, DOWN)),
    ),
    scenario(
        "a model that never starts, with a startup grace shorter than the scrape interval",
        replace(without_objectives({0: (REFUSED,)}), starts=(1,), startup_grace=5),
        checks=(silent(0, 3 * MINUTE + 1), firing(5 * MINUTE, DOWN)),
    ),
    scenario(
        "the clock of the daemon is an hour ahead, and the model never starts",
        replace(
            without_objectives({0: (REFUSED,)}), starts=(1,), startup_grace=5, clock_ahead=HOUR
        ),
        checks=(silent(0, 3 * MINUTE + 1), firing(5 * MINUTE, DOWN)),
    ),
    scenario(
        "the only success was before the first scrape",
        replace(without_objectives({0: (GOOD,), 70: (REFUSED,)}), starts=(61,), startup_grace=5),
        checks=(silent(0, 65 + 3 * MINUTE), firing(6 * MINUTE, DOWN)),
    ),
    scenario(
        "new instances in an outage do not delay the alert",
        *(
            Target(
                (Probe(script={0: (REFUSED,)}, objectives=()),),
                {"job": "inference-probe", "instance": f"probe:{start}"},
                starts=(start,),
                startup_grace=5,
            )
            for start in (1, 2 * MINUTE + 1, 4 * MINUTE + 1)
        ),
        checks=(silent(0, 3 * MINUTE + 1), firing(5 * MINUTE, DOWN)),
    ),
    scenario(
        "a model that is down before and after a restart without a startup grace",
        replace(
            without_objectives({-10 * MINUTE: (REFUSED,)}),
            starts=(-10 * MINUTE, BREAKS + 5),
            startup_grace=0,
        ),
        checks=(throughout(4 * MINUTE, BREAKS + 15 * MINUTE, "ModelDown"),),
    ),
    scenario(
        "a timeout longer than the interval delays the alert",
        Target((replace(down(REFUSED, interval=60), timeout=120),)),
        checks=(silent(0, BREAKS + 5 * MINUTE), firing(BREAKS + 7 * MINUTE, DOWN)),
    ),
    scenario(
        "the daemon restarts during an outage: down again after the startup grace",
        Target((down(REFUSED),), starts=(0, PAGES + 65)),
        checks=(firing(PAGES, DOWN), firing(PAGES + 65 + 9 * MINUTE, DOWN)),
    ),
    scenario(
        "the daemon restarts during an outage, with a startup grace of 10 minutes",
        Target((down(REFUSED),), starts=(0, PAGES + 65), startup_grace=600),
        checks=(
            throughout(PAGES, PAGES + 35 * MINUTE, "ModelDown"),
            firing(BREAKS + HOUR + 16 * MINUTE),
        ),
    ),
    scenario(
        "the daemon restarts every 4 minutes during an outage: down, and a ticket for the restarts",
        Target((down(REFUSED),), starts=(0, *range(PAGES + 65, HOUR, 4 * MINUTE))),
        checks=(
            throughout(PAGES, HOUR, "ModelDown"),
            firing(PAGES + 65 + 10 * MINUTE + DELAY, DOWN, RESTARTS),
        ),
    ),
    scenario(
        "the clock of the daemon is an hour ahead",
        Target((down(REFUSED),), clock_ahead=HOUR),
        checks=(silent(0, BREAKS), firing(PAGES, DOWN)),
    ),
    scenario(
        "the clock of the daemon is an hour ahead, and a probe every 10 minutes has successes",
        replace(without_objectives({0: (GOOD,)}, interval=600), clock_ahead=HOUR),
        checks=(silent(0, 2 * HOUR),),
    ),
    scenario(
        "target labels with the names of labels of the metrics",
        Target(
            (down(REFUSED),),
            {**DEFAULT_LABELS, "version": "1", "reason": "canary", "team": "ml"},
            starts=(0, PAGES + 65),
            startup_grace=600,
        ),
        checks=(silent(0, BREAKS), throughout(PAGES, PAGES + 35 * MINUTE, "ModelDown")),
    ),
    scenario(
        "a scrape job with another name",
        Target((down(REFUSED),), {"job": "monitoring/model-sidecars", "instance": "i"}),
        checks=(firing(PAGES, alert("ModelDown", job="monitoring/model-sidecars")),),
    ),
)

NO_OUTAGES = (
    scenario(
        "slow responses are not an outage",
        without_objectives({0: (GOOD,), BREAKS: (SLOW,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "one success in five is not down",
        without_objectives({0: (GOOD, REFUSED, REFUSED, REFUSED, REFUSED)}, interval=60),
        checks=(silent(0, HOUR),),
    ),
    scenario(
        "100 s of failures of a probe every second are not an outage",
        without_objectives({0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 100: (GOOD,)}, interval=1),
        checks=(silent(0, BREAKS + 5 * MINUTE),),
    ),
    scenario(
        "internal failures are not an outage, even after failures that a success ended",
        without_objectives({0: (REFUSED, GOOD), BREAKS: (INTERNAL,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "four failures followed by internal failures do not fire",
        without_objectives({0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 20: (INTERNAL,)}),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "failures before a pause are not counted after it",
        without_objectives(
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
    scenario(
        "a probe that is paused in an outage starts counting at zero when it resumes",
        without_objectives(
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

SCENARIOS = (*OUTAGES, *NO_OUTAGES)
