"""Scenarios of `alert_labels` and `down`."""

from dataclasses import replace

from tests.rules.scenario import (
    DAY,
    DEFAULT_LABELS,
    HOUR,
    MINUTE,
    PAGE,
    TICKET,
    alert,
    burn,
    firing,
    high_latency,
    missed,
    no_data,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import GOOD, HUNG, REFUSED, SLOW, Objective, Probe, Script
from tests.rules.scripted_target import Target

BREAKS = 6 * MINUTE
FIRES = BREAKS + 15 * MINUTE
HEALTHY: Script = {0: (GOOD,)}
OUTAGE: Script = {0: (GOOD,), BREAKS: (REFUSED,)}
SLOWNESS: Script = {0: (GOOD,), BREAKS: (SLOW,)}
TEAM = {"team": "fraud", "model": "v2"}
MODEL = "Model.+|HighModelLatency"
DOWN = "Model(Replica)?Down"


def probe(script: Script, down: str = "page", **labels: str) -> Probe:
    return Probe(script=script, objectives=(), down=down, alert_labels=labels)


def replica(probe: Probe, instance: str, **labels: str) -> Target:
    return Target((probe,), {**DEFAULT_LABELS, "instance": instance, **labels})


def with_objective(script: Script, **labels: str) -> Probe:
    return replace(probe(script, **labels), objectives=(Objective(),))


SCENARIOS = (
    scenario(
        "alerts about objectives have the labels of the probe",
        Target((with_objective(SLOWNESS, **TEAM),)),
        checks=(firing(FIRES, missed(**TEAM), burn("5m", "1h", **TEAM), high_latency(**TEAM)),),
    ),
    scenario(
        "alerts about the model and its certificate have the labels of the probe",
        Target((replace(probe(OUTAGE, **TEAM), certificates={0: DAY}),)),
        checks=(
            firing(FIRES, alert("ModelDown", **TEAM), alert("ModelCertificateExpires", **TEAM)),
            throughout(BREAKS + 4 * MINUTE, FIRES, "ModelDown"),
        ),
    ),
    scenario(
        "alerts about an instance have the labels of the probe",
        replica(probe(HEALTHY, **TEAM), "a"),
        replica(probe(OUTAGE, **TEAM), "b"),
        replica(replace(with_objective({0: (GOOD,), BREAKS: (HUNG,)}, **TEAM), name="hung"), "c"),
        checks=(
            firing(
                FIRES,
                alert("ModelReplicaDown", instance="b", **TEAM),
                no_data(probe="hung", instance="c", **TEAM),
            ),
        ),
    ),
    scenario(
        "replicas differ in target labels: one alert without those of the replicas",
        replica(probe(OUTAGE, **TEAM), "a", pod="a", node="n1", zone="z"),
        replica(probe(OUTAGE, **TEAM), "b", pod="b", node="n2", zone="z"),
        checks=(firing(FIRES, alert("ModelDown", zone="z", **TEAM), name=DOWN),),
    ),
    scenario(
        "without alert labels, no target label reaches the alerts",
        replica(probe(OUTAGE), "a", pod="a", zone="z1"),
        replica(probe(OUTAGE), "b", pod="b", zone="z2"),
        checks=(firing(FIRES, alert("ModelDown"), name=DOWN),),
    ),
    scenario(
        "replicas have different alert labels: one alert for each team",
        replica(with_objective(OUTAGE, team="fraud"), "a"),
        replica(with_objective(OUTAGE, team="search"), "b"),
        checks=(
            firing(
                FIRES,
                *(alert("ModelDown", team=team) for team in ("fraud", "search")),
                *(missed(team=team) for team in ("fraud", "search")),
                name="ModelDown|ModelObjectiveMissed",
            ),
        ),
    ),
    scenario(
        "only one replica exports alert labels: they apply to the alert",
        replica(with_objective(OUTAGE, **TEAM), "a"),
        replica(replace(with_objective(OUTAGE), down=""), "b"),
        checks=(
            firing(
                FIRES,
                alert("ModelDown", **TEAM),
                missed(**TEAM),
                name="ModelDown|ModelObjectiveMissed",
            ),
        ),
    ),
    scenario(
        "down: ticket",
        Target((probe(OUTAGE, "ticket", **TEAM),)),
        checks=(firing(FIRES, alert("ModelDown", **TEAM, **TICKET), name=MODEL),),
    ),
    scenario(
        "down: none",
        replica(probe(OUTAGE, "none"), "a"),
        replica(replace(probe(OUTAGE, "none"), name="one"), "b"),
        replica(replace(probe(HEALTHY, "none"), name="one"), "c"),
        checks=(silent(0, HOUR, MODEL),),
    ),
    scenario(
        "replicas differ in the level of ModelDown: the highest applies",
        replica(probe(OUTAGE, "ticket", **TEAM), "a"),
        replica(probe(OUTAGE, "page", **TEAM), "b"),
        replica(probe(OUTAGE, "none", **TEAM), "c"),
        checks=(firing(FIRES, alert("ModelDown", **TEAM, **PAGE), name=DOWN),),
    ),
    scenario(
        "failed scrapes and a restart change neither labels nor state",
        Target(
            (with_objective(OUTAGE, **TEAM),),
            failed_scrapes=(FIRES, FIRES + 30),
            starts=(0, FIRES + 10 * MINUTE + 5),
        ),
        checks=(
            throughout(BREAKS + 4 * MINUTE, HOUR, "ModelDown"),
            *(
                firing(at, alert("ModelDown", **TEAM), name="ModelDown")
                for at in (FIRES, FIRES + 2 * MINUTE, FIRES + 12 * MINUTE)
            ),
        ),
    ),
    scenario(
        "a target label with the name of an alert label: both are on the alert",
        Target((probe(OUTAGE, **TEAM),), {**DEFAULT_LABELS, "team": "platform"}),
        checks=(
            firing(
                FIRES,
                alert("ModelDown", team="platform", exported_team="fraud", model="v2"),
                name=DOWN,
            ),
        ),
    ),
)
