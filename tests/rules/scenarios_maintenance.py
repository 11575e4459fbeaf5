"""Scenarios of what is to be looked after in time: certificates, instances, ticks, configs."""

from tests.rules.daemon import Target
from tests.rules.scenario import (
    DAY,
    HOUR,
    MINUTE,
    Check,
    alert,
    case,
    firing,
    instance_alert,
    silent,
    throughout,
)
from tests.rules.scripted_probe import GOOD, LATE, OVERLAP, PAUSED, TOO_LATE, Outcome, Probe, Script

BREAKS = 6 * MINUTE
HEALS = 40 * MINUTE
SEEN = 90  # a scrape of 60 s and an evaluation
HEALTHY: Script = {0: (GOOD,)}


def target(script: Script, interval: float = 5, name: str = "sentiment", **labels: str) -> Target:
    probe = Probe(script=script, interval=interval, name=name, objectives=())
    return Target((probe,), {"job": "inference-probe", "instance": "probe:10115", **labels})


def for_a_while(*outcomes: Outcome) -> Script:
    return {0: (GOOD,), BREAKS: outcomes, HEALS: (GOOD,)}


def fires(after: float, resolves: float, *alerts: str) -> tuple[Check, ...]:
    """These and no others, from so long after it breaks until so long after it heals."""
    name = alerts[0].partition('alertname="')[2].partition('"')[0]
    return (
        silent(0, BREAKS + after - 4 * MINUTE),
        firing(BREAKS + after, *alerts),
        throughout(BREAKS + after, HEALS - 30, name),
        firing(HEALS + resolves),
    )


def certified(certificates: dict[float, float], **labels: str) -> Target:
    probe = Probe(script=HEALTHY, objectives=(), certificates=certificates)
    where = {"job": "inference-probe", "instance": "probe:10115", **labels}
    return Target((probe,), where, failed=(BREAKS + 3 * MINUTE, BREAKS + 15 * MINUTE))


SOON = BREAKS + 14 * DAY
EXPIRES = "ModelCertificateExpires"

CERTIFICATES = (
    case(
        "two weeks before the end, through failed scrapes, until another is served",
        certified({0: SOON, HEALS: SOON + 90 * DAY}),
        certified({0: SOON + 2 * HOUR}, cluster="later"),
        target(HEALTHY, cluster="plain"),
        checks=fires(7 * MINUTE, SEEN, alert(EXPIRES)),
    ),
    case(
        "of several replicas the first to expire counts; clusters and namespaces stay apart",
        certified({0: SOON}, instance="a", cluster="c", namespace="n"),
        certified({0: SOON + 90 * DAY}, instance="b", cluster="c", namespace="n"),
        certified({0: SOON + 90 * DAY}, instance="a", cluster="c", namespace="m"),
        checks=(firing(BREAKS + 8 * MINUTE, alert(EXPIRES, cluster="c", namespace="n")),),
    ),
)

UNREACHABLE = "InferenceProbeInstanceDown"

INSTANCES = (
    case(
        "one of two instances is gone: fires, and resolves when it is back",
        target(HEALTHY, instance="a"),
        Target(
            (Probe(script=HEALTHY, objectives=()),),
            {"job": "inference-probe", "instance": "b"},
            failed=tuple(range(BREAKS, HEALS, 15)),
        ),
        checks=fires(7 * MINUTE, SEEN, instance_alert(UNREACHABLE, instance="b")),
    ),
    case(
        "one failed scrape, a pod that is deleted in order, and what never was a probe",
        Target((Probe(script=HEALTHY, objectives=()),), failed=(BREAKS,)),
        Target((), {"job": "inference-probe", "instance": "b"}, gone=BREAKS, deleted=True),
        Target((), {"job": "other", "instance": "c"}, gone=0),
        checks=(silent(0, 20 * MINUTE),),
    ),
    case(
        "clusters and namespaces with the same names stay apart",
        Target((), {"job": "j", "instance": "i", "cluster": "a", "namespace": "n"}, gone=BREAKS),
        Target((), {"job": "j", "instance": "i", "cluster": "a", "namespace": "m"}),
        checks=(
            firing(
                BREAKS + 8 * MINUTE,
                instance_alert(UNREACHABLE, job="j", instance="i", cluster="a", namespace="n"),
                name=UNREACHABLE,
            ),
        ),
    ),
)


def skips(reason: str, **labels: str) -> str:
    where = {"instance": "probe:10115", "reason": reason, **labels}
    return alert("InferenceProbeSkippedTicks", **where)


ONE_IN_TEN_SKIPPED = for_a_while(OVERLAP, *[GOOD] * 9)

TICKS = (
    case(
        "one tick in ten is skipped, of one instance in one cluster: fires, and resolves",
        target(ONE_IN_TEN_SKIPPED),
        target(HEALTHY, instance="b"),
        target(HEALTHY, cluster="b"),
        checks=fires(11 * MINUTE, 30 * MINUTE + SEEN, skips("overlap")),
    ),
    case(
        "ticks that come too late are skipped, over a failed scrape and a restart",
        Target(
            (Probe(script=for_a_while(TOO_LATE, *[GOOD] * 9), objectives=()),),
            starts=(0, BREAKS + 20 * MINUTE + 5),
            failed=(BREAKS + 5 * MINUTE, BREAKS + 15 * MINUTE),
        ),
        checks=(
            firing(BREAKS + 11 * MINUTE, skips("late")),
            throughout(BREAKS + 11 * MINUTE, HEALS, "InferenceProbeSkippedTicks"),
        ),
    ),
    case(
        "one tick in forty, two ticks of a slow probe, and those of a paused probe",
        target({0: (*[GOOD] * 39, OVERLAP)}, name="seldom"),
        target({0: (GOOD, GOOD, GOOD, OVERLAP), 1600: (GOOD,)}, interval=200, name="slow"),
        target({0: (GOOD,), BREAKS: (PAUSED,)}, name="paused"),
        checks=(silent(0, HOUR),),
    ),
)

LATENESS = (
    case(
        "one run in ten starts late, of one of two instances: fires, and resolves",
        target(for_a_while(LATE, *[GOOD] * 9)),
        target(HEALTHY, instance="b"),
        checks=fires(23 * MINUTE, 10 * MINUTE + SEEN, instance_alert("InferenceProbeLate")),
    ),
    case(
        "through a failed scrape and a restart",
        Target(
            (Probe(script=for_a_while(LATE), objectives=()),),
            starts=(0, BREAKS + 25 * MINUTE + 5),
            failed=(BREAKS + 10 * MINUTE, BREAKS + 22 * MINUTE),
        ),
        checks=(throughout(BREAKS + 19 * MINUTE, HEALS, "InferenceProbeLate"),),
    ),
    case(
        "one run in forty, and ten minutes of lateness",
        target({0: (LATE, *[GOOD] * 39)}),
        target({0: (GOOD,), BREAKS: (LATE,), BREAKS + 300: (GOOD,)}, instance="b"),
        checks=(silent(0, HOUR),),
    ),
)

UNLOADED = "InferenceProbeReloadFailed"


def reloading(reloads: dict[float, float], **labels: str) -> Target:
    return Target(
        (Probe(script=HEALTHY, objectives=()),),
        {"job": "inference-probe", "instance": "probe:10115", **labels},
        failed=(BREAKS + 3 * MINUTE, BREAKS + 15 * MINUTE),
        reloads=reloads,
    )


CONFIGS = (
    case(
        "a reload fails: fires through failed scrapes, and resolves with the next that succeeds",
        reloading({0: 1, BREAKS: 0, HEALS: 1}),
        reloading({0: 1}, instance="b"),
        reloading({0: 1}, cluster="b"),
        checks=fires(7 * MINUTE, SEEN, instance_alert(UNLOADED)),
    ),
    case(
        "a reload that fails and is mended at once",
        reloading({0: 1, BREAKS: 0, BREAKS + 60: 1}),
        checks=(silent(0, 20 * MINUTE),),
    ),
)
