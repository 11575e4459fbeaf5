"""Scenarios of several replicas of a probe: ModelReplicaDown, and ModelDown of them all."""

from dataclasses import replace

from tests.rules.daemon import Target
from tests.rules.scenario import HOUR, MINUTE, alert, case, firing, silent, throughout
from tests.rules.scenarios_outage import BREAKS, DOWN, KEPT, PAGES, SEEN, down
from tests.rules.scripted_probe import GOOD, INTERNAL, PAUSED, REFUSED, Probe

FIRES = BREAKS + 7 * MINUTE  # 3m without a success, 2m of `for`, scraped and evaluated
HEALS = BREAKS + 20 * MINUTE
HEALTHY = Probe(script={0: (GOOD,)}, objectives=())
SUSPENDED = Probe(script={0: (GOOD,), 2 * MINUTE: (PAUSED,)}, objectives=())


def labels(name: str) -> dict[str, str]:
    return {"job": "inference-probe", "instance": f"{name}:10115"}


def replica(name: str, probe: Probe, **more: str) -> Target:
    return Target((probe,), {**labels(name), **more})


def replica_down(**labels: str) -> str:
    return alert("ModelReplicaDown", **{"instance": "a:10115", **labels})


SCENARIOS = (
    case(
        "one of two replicas down is not the model down: fires, and resolves",
        replica("a", down(REFUSED, heals=20 * MINUTE)),
        replica("b", HEALTHY),
        checks=(
            silent(0, BREAKS + 3 * MINUTE),
            firing(FIRES, replica_down()),
            throughout(FIRES, HEALS, "ModelReplicaDown"),
            firing(HEALS + KEPT + SEEN),
            silent(0, HEALS + KEPT + SEEN, "ModelDown"),
        ),
    ),
    case(
        "one failed scrape while firing",
        Target((down(REFUSED),), labels("a"), failed=(FIRES + 30,)),
        replica("b", HEALTHY),
        checks=(throughout(FIRES, FIRES + 8 * MINUTE, "ModelReplicaDown"),),
    ),
    case(
        "a replica that is answered now and then is not down",
        replica("a", Probe(script={0: (REFUSED, REFUSED, REFUSED, REFUSED, GOOD)}, objectives=())),
        replica("b", HEALTHY),
        checks=(silent(0, 20 * MINUTE),),
    ),
    case(
        "four failures, and our own faults ever after, are short of the count",
        replica(
            "a",
            Probe(script={0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 20: (INTERNAL,)}, objectives=()),
        ),
        replica("b", HEALTHY),
        checks=(silent(0, 20 * MINUTE),),
    ),
    case(
        "a replica that starts anew in its outage is down again after the grace",
        Target((down(REFUSED),), labels("a"), starts=(0, FIRES + 65)),
        replica("b", HEALTHY),
        checks=(firing(FIRES + 65 + 12 * MINUTE, replica_down()),),
    ),
    case(
        "a healthy replica that probes every 10 minutes is heard",
        replica("a", down(REFUSED)),
        replica("b", replace(HEALTHY, interval=600)),
        checks=(firing(HOUR, replica_down()), silent(0, HOUR, "ModelDown")),
    ),
    case(
        "both replicas down are one alert",
        replica("a", down(REFUSED)),
        replica("b", down(REFUSED)),
        checks=(firing(PAGES + 5 * MINUTE, DOWN),),
    ),
    case(
        "a suspended replica does not hide that the other is down",
        replica("a", down(REFUSED)),
        replica("b", SUSPENDED),
        checks=(firing(PAGES, DOWN),),
    ),
    case(
        "a suspended replica does not make a healthy one down",
        replica("a", HEALTHY),
        replica("b", SUSPENDED),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "a replica that restarts does not hide that the other is down",
        replica("a", down(REFUSED)),
        Target(
            (down(REFUSED),),
            labels("b"),
            starts=(0, PAGES + 65, PAGES + 8 * MINUTE + 5),
        ),
        checks=(throughout(PAGES, PAGES + 20 * MINUTE, "ModelDown"),),
    ),
    case(
        "when the healthy replica is deleted, the other's outage is everybody's",
        replica("a", down(REFUSED)),
        Target(
            (HEALTHY,),
            labels("b"),
            gone=PAGES + 5 * MINUTE,
            deleted=True,
        ),
        checks=(
            silent(0, PAGES + 5 * MINUTE, "ModelDown"),
            firing(PAGES + 9 * MINUTE, DOWN, name="ModelDown"),
            firing(PAGES + 15 * MINUTE, DOWN),
        ),
    ),
    case(
        "when the replica that is down is deleted, nothing fires",
        Target(
            (down(REFUSED),),
            labels("a"),
            gone=BREAKS + 2 * MINUTE,
            deleted=True,
        ),
        replica("b", HEALTHY),
        checks=(silent(0, 30 * MINUTE),),
    ),
    case(
        "clusters and namespaces with the same names stay apart",
        replica("a", down(REFUSED), cluster="a", namespace="n"),
        replica("a", HEALTHY, cluster="b", namespace="n"),
        replica("a", HEALTHY, cluster="a", namespace="m"),
        checks=(firing(PAGES + 5 * MINUTE, alert("ModelDown", cluster="a", namespace="n")),),
    ),
    case(
        "two targets that share job, instance and probe do not end the rule",
        replica("a", down(REFUSED), pod="a"),
        replica("a", down(REFUSED), pod="b"),
        checks=(firing(PAGES, DOWN),),
    ),
)
