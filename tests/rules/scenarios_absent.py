"""Scenarios of the probe watching itself: InferenceProbeNoData and InferenceProbeAbsent."""

from tests.rules.daemon import Target
from tests.rules.scenario import (
    DAY,
    HOUR,
    MINUTE,
    absent,
    case,
    firing,
    instance_alert,
    no_data,
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
    Probe,
    Script,
)

STOPS = 6 * MINUTE
KEPT = 5 * MINUTE  # the pages' keep_firing_for
SEEN = 90  # a scrape of 60 s and an evaluation
NOTICED = STOPS + 8 * MINUTE + SEEN  # 3m without an event, as the pace is fast, then `for`
MISSED = STOPS + 4 * MINUTE + SEEN
NAME = "InferenceProbeAbsent"
ABSENT = absent()
HANGS: Script = {0: (GOOD,), STOPS: (HUNG,)}
HEALTHY: Script = {0: (GOOD,)}


def one(script: Script, *objectives: Objective, interval: float = 5) -> Target:
    them = objectives or (Objective(),)
    return Target((Probe(script=script, interval=interval, objectives=them),))


def instance(name: str, script: Script, gone: float = 1e9, deleted: bool = False) -> Target:
    labels = {"job": "inference-probe", "instance": f"{name}:10115"}
    return Target((Probe(script=script),), labels, gone=gone, deleted=deleted)


def sidecar(namespace: str, gone: float = 1e9) -> Target:
    labels = {"job": "inference-probe", "instance": "pod:10115", "namespace": namespace}
    return Target((Probe(script=HEALTHY),), labels, gone=gone, deleted=True)


NO_DATA = (
    case(
        "a scheduler that hangs is noticed, and its recovery",
        one({**HANGS, NOTICED + 10 * MINUTE: (GOOD,)}),
        checks=(
            silent(0, STOPS + 5 * MINUTE),
            firing(NOTICED, no_data()),
            throughout(NOTICED, NOTICED + 15 * MINUTE, "InferenceProbeNoData"),
            firing(NOTICED + 15 * MINUTE + SEEN),
        ),
    ),
    case(
        "a scheduler that hangs in one of two instances is noticed there",
        instance("a", HEALTHY),
        instance("b", HANGS),
        checks=(firing(NOTICED, no_data(instance="b:10115")),),
    ),
    case(
        "one failed scrape while pending and one while firing",
        Target((Probe(script=HANGS),), failed=(STOPS + 5 * MINUTE, NOTICED + 90)),
        checks=(throughout(NOTICED, NOTICED + 6 * MINUTE, "InferenceProbeNoData"),),
    ),
    case(
        "a probe every 10 minutes has data",
        one(HEALTHY, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    case(
        "a probe every 10 minutes that hangs is noticed after three of them",
        one({0: (GOOD,), 1800: (HUNG,)}, interval=600),
        checks=(silent(0, 1200 + 1800), firing(1200 + 1805 + 5 * MINUTE + SEEN, no_data())),
    ),
    case(
        "a probe every 10 minutes whose model takes longer than the grace has data in time",
        one({0: (REFUSED,)}, interval=600),
        checks=(silent(0, HOUR, "InferenceProbeNoData"),),
    ),
    case(
        "a probe every second has data however slow the scrapes",
        one(HEALTHY, interval=1),
        checks=(silent(0, 15 * MINUTE),),
    ),
    case(
        "an objective whose threshold is no bucket has no data; its neighbour has",
        one(HEALTHY, Objective(slo="typo", threshold="0.3"), Objective()),
        checks=(firing(7 * MINUTE, no_data(slo="typo")),),
    ),
    case(
        "our own faults are no data",
        one({0: (GOOD,), STOPS: (INTERNAL,)}),
        checks=(firing(NOTICED, no_data()),),
    ),
    case(
        "timeouts are data",
        one({0: (GOOD,), STOPS: (TIMEOUT,)}),
        checks=(silent(0, NOTICED + 10 * MINUTE, "InferenceProbeNoData"),),
    ),
    case(
        "a suspended probe owes no data, nor right after it resumes",
        one({0: (GOOD,), 1205: (PAUSED,), 5405: (GOOD,)}, interval=600),
        checks=(silent(0, 2 * HOUR),),
    ),
    case(
        "a suspended probe owes no data even where its threshold is no bucket",
        one({0: (GOOD,), 65: (PAUSED,)}, Objective(threshold="0.3")),
        checks=(silent(0, 20 * MINUTE),),
    ),
    case(
        "an instance that is deleted in order leaves no alert",
        instance("a", HEALTHY),
        instance("b", HEALTHY, gone=STOPS, deleted=True),
        checks=(silent(0, STOPS + 20 * MINUTE),),
    ),
    case(
        "an objective that asks for tickets gets one, and one that asks for nothing gets that",
        one(HANGS, Objective(alert="ticket"), Objective(slo="up", threshold="+Inf", alert="none")),
        checks=(firing(NOTICED, no_data(severity="warning", slo_severity="ticket")),),
    ),
    case(
        "two targets that share job, instance and probe do not end the rule",
        Target((Probe(script=HANGS),), {"job": "j", "instance": "i", "pod": "a"}),
        Target((Probe(script=HANGS),), {"job": "j", "instance": "i", "pod": "b"}),
        checks=(firing(NOTICED, no_data(job="j", instance="i")),),
    ),
)

ABSENCE = (
    case(
        "the daemon is gone: fires, and resolves when it is back",
        Target((Probe(script=HEALTHY),), gone=STOPS),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "inference-probe", "instance": "next:10115"},
            starts=(MISSED + 5 * MINUTE,),
        ),
        checks=(
            silent(0, STOPS + 3 * MINUTE),
            firing(MISSED, ABSENT, name=NAME),
            throughout(MISSED, MISSED + 5 * MINUTE + KEPT - MINUTE, NAME),
            firing(MISSED + 10 * MINUTE + SEEN, name=NAME),
        ),
    ),
    case(
        "one failed scrape is not absence",
        Target((Probe(script=HEALTHY),), failed=(STOPS,)),
        checks=(silent(0, 20 * MINUTE),),
    ),
    case(
        "the last instance is deleted in order: nobody watches any more",
        instance("a", HEALTHY, gone=STOPS, deleted=True),
        checks=(firing(MISSED, ABSENT),),
    ),
    case(
        "one of two instances is gone: the job still has one",
        instance("a", HEALTHY),
        instance("b", HEALTHY, gone=STOPS),
        checks=(silent(0, 20 * MINUTE, NAME),),
    ),
    case(
        "each job must have an instance in each cluster, whatever their names",
        Target((Probe(script=HEALTHY),), {"job": "a/sidecar", "instance": "i"}, gone=STOPS),
        Target((Probe(script=HEALTHY),), {"job": "b", "instance": "i"}),
        Target(
            (Probe(script=HEALTHY),),
            {"job": "b", "instance": "i", "cluster": "c", "namespace": "n"},
            gone=STOPS,
        ),
        checks=(
            firing(
                MISSED,
                absent(job="a/sidecar"),
                absent(job="b", cluster="c"),
                name=NAME,
            ),
        ),
    ),
    case(
        "the last sidecar of a namespace is deleted in order: the job lives on in another",
        sidecar("preview", gone=STOPS),
        sidecar("prod"),
        checks=(silent(0, STOPS + 30 * MINUTE),),
    ),
    case(
        "the last sidecars of all namespaces are deleted in order: one page",
        sidecar("preview", gone=STOPS),
        sidecar("prod", gone=STOPS + MINUTE),
        checks=(silent(0, STOPS + 4 * MINUTE), firing(MISSED + MINUTE, ABSENT)),
    ),
    case(
        "none was ever seen",
        checks=(silent(0, 3 * MINUTE), firing(5 * MINUTE, absent(job=""))),
    ),
    case(
        "the daemon dies while a page fires: at every moment one of them is firing",
        Target((Probe(script={0: (GOOD,), STOPS: (REFUSED,)}),), gone=STOPS + 10 * MINUTE),
        checks=(
            throughout(
                STOPS + 4 * MINUTE,
                STOPS + 25 * MINUTE,
                "ModelDown|InferenceProbeAbsent",
            ),
            firing(STOPS + 25 * MINUTE, ABSENT, name="ModelDown|InferenceProbeAbsent"),
        ),
    ),
)

MISSED_FOR_A_DAY = (
    case(
        "a job that went is missed for a day, and then forgotten, where another is left",
        Target((), {"job": "old", "instance": "i"}, gone=STOPS),
        Target((), {"job": "new", "instance": "i"}),
        checks=(
            throughout(MISSED, DAY, NAME),
            firing(
                DAY,
                absent(job="old"),
                instance_alert("InferenceProbeInstanceDown", job="old", instance="i"),
            ),
            firing(STOPS + DAY + KEPT + SEEN),
        ),
        scrapes=(60,),
    ),
)
