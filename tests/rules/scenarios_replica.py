"""Scenarios of several replicas of a probe: ModelReplicaDown and ModelDown."""

from dataclasses import replace

from tests.rules.scenario import (
    DELAY,
    HOUR,
    MINUTE,
    alert,
    firing,
    scenario,
    silent,
    throughout,
)
from tests.rules.scenarios_outage import BREAKS, DOWN, KEEP_FIRING, PAGES, down
from tests.rules.scripted_probe import GOOD, INTERNAL, PAUSED, REFUSED, Probe
from tests.rules.scripted_target import Target

FIRES = BREAKS + 7 * MINUTE  # 3m without a success, 2m of `for`, a scrape and an evaluation
HEALS = BREAKS + 20 * MINUTE
HEALTHY = Probe(script={0: (GOOD,)}, objectives=())
PAUSED_PROBE = Probe(script={0: (GOOD,), 2 * MINUTE: (PAUSED,)}, objectives=())


def labels(name: str) -> dict[str, str]:
    return {"job": "inference-probe", "instance": f"{name}:10115"}


def replica(name: str, probe: Probe, **extra: str) -> Target:
    return Target((probe,), {**labels(name), **extra})


def replica_down(**labels: str) -> str:
    return alert("ModelReplicaDown", **{"instance": "a:10115", **labels})


SCENARIOS = (
    scenario(
        "one of two replicas down: ModelReplicaDown fires and resolves, ModelDown does not fire",
        replica("a", down(REFUSED, heals=20 * MINUTE)),
        replica("b", HEALTHY),
        checks=(
            silent(0, BREAKS + 3 * MINUTE),
            firing(FIRES, replica_down()),
            throughout(FIRES, HEALS, "ModelReplicaDown"),
            firing(HEALS + KEEP_FIRING + DELAY),
            silent(0, HEALS + KEEP_FIRING + DELAY, "ModelDown"),
        ),
    ),
    scenario(
        "one failed scrape while firing",
        Target((down(REFUSED),), labels("a"), failed_scrapes=(FIRES + 30,)),
        replica("b", HEALTHY),
        checks=(throughout(FIRES, FIRES + 8 * MINUTE, "ModelReplicaDown"),),
    ),
    scenario(
        "a replica with one success in five is not down",
        replica("a", Probe(script={0: (REFUSED, REFUSED, REFUSED, REFUSED, GOOD)}, objectives=())),
        replica("b", HEALTHY),
        checks=(silent(0, 20 * MINUTE),),
    ),
    scenario(
        "four failures followed by internal failures do not fire",
        replica(
            "a",
            Probe(script={0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 20: (INTERNAL,)}, objectives=()),
        ),
        replica("b", HEALTHY),
        checks=(silent(0, 20 * MINUTE),),
    ),
    scenario(
        "a replica that restarts in its outage is down again after the startup grace",
        Target((down(REFUSED),), labels("a"), starts=(0, FIRES + 65)),
        replica("b", HEALTHY),
        checks=(firing(FIRES + 65 + 12 * MINUTE, replica_down()),),
    ),
    scenario(
        "a healthy replica that probes every 10 minutes counts",
        replica("a", down(REFUSED)),
        replica("b", replace(HEALTHY, interval=600)),
        checks=(firing(HOUR, replica_down()), silent(0, HOUR, "ModelDown")),
    ),
    scenario(
        "both replicas down are one alert",
        replica("a", down(REFUSED)),
        replica("b", down(REFUSED)),
        checks=(firing(PAGES + 5 * MINUTE, DOWN),),
    ),
    scenario(
        "a paused replica does not hide that the other one is down",
        replica("a", down(REFUSED)),
        replica("b", PAUSED_PROBE),
        checks=(firing(PAGES, DOWN),),
    ),
    scenario(
        "a paused replica does not make a healthy one down",
        replica("a", HEALTHY),
        replica("b", PAUSED_PROBE),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "a replica that restarts does not hide that the other one is down",
        replica("a", down(REFUSED)),
        Target(
            (down(REFUSED),),
            labels("b"),
            starts=(0, PAGES + 65, PAGES + 8 * MINUTE + 5),
        ),
        checks=(throughout(PAGES, PAGES + 20 * MINUTE, "ModelDown"),),
    ),
    scenario(
        "the healthy replica is deleted while the other one is down: ModelDown fires",
        replica("a", down(REFUSED)),
        Target(
            (HEALTHY,),
            labels("b"),
            stops=PAGES + 5 * MINUTE,
            deleted=True,
        ),
        checks=(
            silent(0, PAGES + 5 * MINUTE, "ModelDown"),
            firing(PAGES + 9 * MINUTE, DOWN, name="ModelDown"),
            firing(PAGES + 15 * MINUTE, DOWN),
        ),
    ),
    scenario(
        "the replica that is down is deleted: nothing fires",
        Target(
            (down(REFUSED),),
            labels("a"),
            stops=BREAKS + 2 * MINUTE,
            deleted=True,
        ),
        replica("b", HEALTHY),
        checks=(silent(0, 30 * MINUTE),),
    ),
    scenario(
        "clusters and namespaces with the same names are separate",
        replica("a", down(REFUSED), cluster="a", namespace="n"),
        replica("a", HEALTHY, cluster="b", namespace="n"),
        replica("a", HEALTHY, cluster="a", namespace="m"),
        checks=(firing(PAGES + 5 * MINUTE, alert("ModelDown", cluster="a", namespace="n")),),
    ),
    scenario(
        "two targets with the same job, instance and probe do not break the rule",
        replica("a", down(REFUSED), pod="a"),
        replica("a", down(REFUSED), pod="b"),
        checks=(firing(PAGES, DOWN),),
    ),
)
