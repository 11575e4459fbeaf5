"""Scenarios of InferenceProbeNoData and InferenceProbeAbsent."""

from tests.rules.scenario import (
    DAY,
    DEFAULT_LABELS,
    DELAY,
    HOUR,
    MINUTE,
    absent,
    firing,
    histogram_missing,
    instance_alert,
    missed,
    no_data,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import (
    GOOD,
    HUNG,
    INTERNAL,
    PAUSED,
    REFUSED,
    TIMEOUT,
    Objective,
    Outcome,
    Probe,
    Script,
)
from tests.rules.scripted_target import Target

STOPS = 6 * MINUTE
KEEP_FIRING = 5 * MINUTE
NO_DATA_FIRES = STOPS + 8 * MINUTE + DELAY  # 3m without an event, then `for`
ABSENT_FIRES = STOPS + 4 * MINUTE + DELAY
NAME = "InferenceProbeAbsent"
DEFAULT_ALERT = absent()
HANGING: Script = {0: (GOOD,), STOPS: (HUNG,)}
HEALTHY: Script = {0: (GOOD,)}
SLOWER = Outcome(latency=1.5, success=True)


def target(script: Script, *objectives: Objective, interval: float = 5) -> Target:
    objectives = objectives or (Objective(),)
    return Target((Probe(script=script, interval=interval, objectives=objectives),))


def instance(name: str, script: Script, stops: float = 1e9, deleted: bool = False) -> Target:
    labels = {"job": "inference-probe", "instance": f"{name}:10115"}
    return Target((Probe(script=script),), labels, stops=stops, deleted=deleted)


def sidecar(namespace: str, stops: float = 1e9) -> Target:
    labels = {"job": "inference-probe", "instance": "pod:10115", "namespace": namespace}
    return Target((Probe(script=HEALTHY),), labels, stops=stops, deleted=True)


TWO_OBJECTIVES = (Objective(threshold="1.0"), Objective(slo="up", threshold="+Inf"))
HISTOGRAMS = (
    scenario(
        "native histograms without classic ones: one ticket, and no page",
        Target(
            (
                Probe(script=HEALTHY, objectives=TWO_OBJECTIVES),
                Probe(script=HEALTHY, name="other", objectives=TWO_OBJECTIVES),
                Probe(script=HEALTHY, name="third", objectives=()),
            ),
            native_histograms=True,
        ),
        checks=(silent(0, 4 * MINUTE), firing(8 * MINUTE, histogram_missing())),
    ),
    scenario(
        "a target label `outcome`, which the rules do not support: one ticket, and no page",
        Target(
            (Probe(script=HEALTHY, objectives=TWO_OBJECTIVES),), {**DEFAULT_LABELS, "outcome": "x"}
        ),
        checks=(firing(8 * MINUTE, histogram_missing()),),
    ),
    scenario(
        "buckets from OTLP, where a second is 1 and not 1.0",
        Target(
            (
                Probe(
                    script={0: (GOOD,), STOPS: (SLOWER,)},
                    objectives=TWO_OBJECTIVES,
                    buckets=("0.25", "0.5", "1", "+Inf"),
                ),
            ),
        ),
        checks=(
            silent(0, STOPS),
            firing(STOPS + 10 * MINUTE, missed(), name="ModelObjectiveMissed|InferenceProbe.+"),
        ),
    ),
)

NO_DATA = (
    scenario(
        "a scheduler that hangs fires, and resolves after its recovery",
        target({**HANGING, NO_DATA_FIRES + 10 * MINUTE: (GOOD,)}),
        checks=(
            silent(0, STOPS + 5 * MINUTE),
            firing(NO_DATA_FIRES, no_data()),
            throughout(NO_DATA_FIRES, NO_DATA_FIRES + 15 * MINUTE, "InferenceProbeNoData"),
            firing(NO_DATA_FIRES + 15 * MINUTE + DELAY),
        ),
    ),
    scenario(
        "a scheduler that hangs in one of two instances fires for that instance",
        instance("a", HEALTHY),
        instance("b", HANGING),
        checks=(firing(NO_DATA_FIRES, no_data(instance="b:10115")),),
    ),
    scenario(
        "one failed scrape while pending and one while firing",
        Target((Probe(script=HANGING),), failed_scrapes=(STOPS + 5 * MINUTE, NO_DATA_FIRES + 90)),
        checks=(throughout(NO_DATA_FIRES, NO_DATA_FIRES + 6 * MINUTE, "InferenceProbeNoData"),),
    ),
    scenario(
        "a probe every 10 minutes has data",
        target(HEALTHY, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    scenario(
        "a probe every 10 minutes that hangs fires after three intervals",
        target({0: (GOOD,), 1800: (HUNG,)}, interval=600),
        checks=(silent(0, 1200 + 1800), firing(1200 + 1805 + 5 * MINUTE + DELAY, no_data())),
    ),
    scenario(
        "a probe every 10 minutes whose model starts slower than the startup grace has data",
        target({0: (REFUSED,)}, interval=600),
        checks=(silent(0, HOUR, "InferenceProbeNoData"),),
    ),
    scenario(
        "a probe every second has data at any scrape interval",
        target(HEALTHY, interval=1),
        checks=(silent(0, 15 * MINUTE),),
    ),
    scenario(
        "an objective whose threshold is not a bucket has no data; the other objective has",
        target(HEALTHY, Objective(slo="typo", threshold="0.3"), Objective()),
        checks=(firing(7 * MINUTE, histogram_missing()),),
    ),
    scenario(
        "internal failures are not data",
        target({0: (GOOD,), STOPS: (INTERNAL,)}),
        checks=(firing(NO_DATA_FIRES, no_data()),),
    ),
    scenario(
        "timeouts are data",
        target({0: (GOOD,), STOPS: (TIMEOUT,)}),
        checks=(silent(0, NO_DATA_FIRES + 10 * MINUTE, "InferenceProbeNoData"),),
    ),
    scenario(
        "a paused probe needs no data, also directly after it resumes",
        target({0: (GOOD,), 1205: (PAUSED,), 5405: (GOOD,)}, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    scenario(
        "a paused probe needs no data, even if its threshold is not a bucket",
        target({0: (GOOD,), 65: (PAUSED,)}, Objective(threshold="0.3")),
        checks=(silent(0, 20 * MINUTE, "InferenceProbeNoData"),),
    ),
    scenario(
        "a deleted target causes no alert",
        instance("a", HEALTHY),
        instance("b", HEALTHY, stops=STOPS, deleted=True),
        checks=(silent(0, STOPS + 20 * MINUTE),),
    ),
    scenario(
        "an objective with alert: ticket gets a ticket, one with alert: none gets no alert",
        target(
            HANGING, Objective(alert="ticket"), Objective(slo="up", threshold="+Inf", alert="none")
        ),
        checks=(firing(NO_DATA_FIRES, no_data(severity="warning", slo_severity="ticket")),),
    ),
    scenario(
        "two targets with the same job, instance and probe do not break the rule",
        Target((Probe(script=HANGING),), {"job": "j", "instance": "i", "pod": "a"}),
        Target((Probe(script=HANGING),), {"job": "j", "instance": "i", "pod": "b"}),
        checks=(firing(NO_DATA_FIRES, no_data(job="j", instance="i")),),
    ),
)

ABSENT = (
    scenario(
        "the only instance stops: fires, and resolves when another one is up",
        Target((Probe(script=HEALTHY),), stops=STOPS),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "inference-probe", "instance": "next:10115"},
            starts=(ABSENT_FIRES + 5 * MINUTE,),
        ),
        checks=(
            silent(0, STOPS + 3 * MINUTE),
            firing(ABSENT_FIRES, DEFAULT_ALERT, name=NAME),
            throughout(ABSENT_FIRES, ABSENT_FIRES + 5 * MINUTE + KEEP_FIRING - MINUTE, NAME),
            firing(ABSENT_FIRES + 10 * MINUTE + DELAY, name=NAME),
        ),
    ),
    scenario(
        "one failed scrape is not absence",
        Target((Probe(script=HEALTHY),), failed_scrapes=(STOPS,)),
        checks=(silent(0, 20 * MINUTE),),
    ),
    scenario(
        "the last instance is deleted: nothing monitors the models any more",
        instance("a", HEALTHY, stops=STOPS, deleted=True),
        checks=(firing(ABSENT_FIRES, DEFAULT_ALERT),),
    ),
    scenario(
        "one of two instances stops: the job still has one",
        instance("a", HEALTHY),
        instance("b", HEALTHY, stops=STOPS),
        checks=(silent(0, 20 * MINUTE, NAME),),
    ),
    scenario(
        "each job must have an instance in each cluster",
        Target((Probe(script=HEALTHY),), {"job": "a/sidecar", "instance": "i"}, stops=STOPS),
        Target((Probe(script=HEALTHY),), {"job": "b", "instance": "i"}),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "b", "instance": "i", "cluster": "c", "namespace": "n"},
            stops=STOPS,
        ),
        checks=(
            firing(
                ABSENT_FIRES,
                absent(job="a/sidecar", severity="warning", slo_severity="ticket"),
                absent(job="b", cluster="c"),
                name=NAME,
            ),
        ),
    ),
    scenario(
        "the last sidecar of a namespace is deleted: the job has another namespace",
        sidecar("preview", stops=STOPS),
        sidecar("prod"),
        checks=(silent(0, STOPS + 30 * MINUTE),),
    ),
    scenario(
        "the last sidecars of all namespaces are deleted: one page",
        sidecar("preview", stops=STOPS),
        sidecar("prod", stops=STOPS + MINUTE),
        checks=(silent(0, STOPS + 4 * MINUTE), firing(ABSENT_FIRES + MINUTE, DEFAULT_ALERT)),
    ),
    scenario(
        "no instance was ever scraped",
        checks=(silent(0, 3 * MINUTE), firing(5 * MINUTE, absent(job=""))),
    ),
    scenario(
        "the daemon stops while a page fires: one of the two alerts fires at all times",
        Target((Probe(script={0: (GOOD,), STOPS: (REFUSED,)}),), stops=STOPS + 10 * MINUTE),
        checks=(
            throughout(
                STOPS + 4 * MINUTE,
                STOPS + 25 * MINUTE,
                "ModelDown|InferenceProbeAbsent",
            ),
            firing(STOPS + 25 * MINUTE, DEFAULT_ALERT, name="ModelDown|InferenceProbeAbsent"),
        ),
    ),
)

ABSENT_DAY = (
    scenario(
        "a job without instances fires for a day, then resolves; another job is present",
        Target((), {"job": "old", "instance": "i"}, stops=STOPS),
        Target((), {"job": "new", "instance": "i"}),
        checks=(
            throughout(ABSENT_FIRES, DAY, NAME),
            firing(
                DAY,
                absent(job="old", severity="warning", slo_severity="ticket"),
                instance_alert("InferenceProbeInstanceDown", job="old", instance="i"),
            ),
            firing(STOPS + DAY + KEEP_FIRING + DELAY),
        ),
        scrape_seconds=(60,),
    ),
)
