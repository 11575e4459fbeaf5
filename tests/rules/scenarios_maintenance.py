"""Scenarios of the tickets about certificates, instances, skipped and late ticks, and reloads."""

from tests.rules.scenario import (
    DAY,
    DEFAULT_LABELS,
    DELAY,
    HOUR,
    MINUTE,
    Check,
    alert,
    firing,
    instance_alert,
    scenario,
    silent,
    throughout,
)
from tests.rules.scripted_probe import (
    GOOD,
    LATE_SKIP,
    LATE_START,
    OVERLAP,
    PAUSED,
    REFUSED,
    Outcome,
    Probe,
    Script,
)
from tests.rules.scripted_target import Target

BREAKS = 6 * MINUTE
HEALS = 40 * MINUTE
HEALTHY: Script = {0: (GOOD,)}


def target(script: Script, interval: float = 5, name: str = "sentiment", **labels: str) -> Target:
    probe = Probe(script=script, interval=interval, name=name, objectives=())
    return Target((probe,), {**DEFAULT_LABELS, **labels})


def incident(*outcomes: Outcome) -> Script:
    """Return a script with `outcomes` alternating from BREAKS to HEALS."""
    return {0: (GOOD,), BREAKS: outcomes, HEALS: (GOOD,)}


def fires(after: float, resolves: float, *alerts: str) -> tuple[Check, ...]:
    """Check that exactly `alerts` fire: `after` seconds after BREAKS to `resolves` after HEALS."""
    name = alerts[0].partition('alertname="')[2].partition('"')[0]
    return (
        silent(0, BREAKS + after - 4 * MINUTE),
        firing(BREAKS + after, *alerts),
        throughout(BREAKS + after, HEALS - 30, name),
        firing(HEALS + resolves),
    )


def with_certificate(certificates: dict[float, float], **labels: str) -> Target:
    probe = Probe(script=HEALTHY, objectives=(), certificates=certificates)
    failed_scrapes = (BREAKS + 3 * MINUTE, BREAKS + 15 * MINUTE)
    return Target((probe,), {**DEFAULT_LABELS, **labels}, failed_scrapes=failed_scrapes)


EXPIRY = BREAKS + 14 * DAY
CERTIFICATE_EXPIRES = "ModelCertificateExpires"

CERTIFICATES = (
    scenario(
        "14 days before expiry, with failed scrapes: fires, and resolves with a new certificate",
        with_certificate({0: EXPIRY, HEALS: EXPIRY + 90 * DAY}),
        with_certificate({0: EXPIRY + 2 * HOUR}, cluster="later"),
        target(HEALTHY, cluster="plain"),
        checks=fires(7 * MINUTE, DELAY, alert(CERTIFICATE_EXPIRES)),
    ),
    scenario(
        "the replica that expires first counts; clusters and namespaces are separate",
        with_certificate({0: EXPIRY}, instance="a", cluster="c", namespace="n"),
        with_certificate({0: EXPIRY + 90 * DAY}, instance="b", cluster="c", namespace="n"),
        with_certificate({0: EXPIRY + 90 * DAY}, instance="a", cluster="c", namespace="m"),
        checks=(
            firing(BREAKS + 8 * MINUTE, alert(CERTIFICATE_EXPIRES, cluster="c", namespace="n")),
        ),
    ),
)

INSTANCE_DOWN = "InferenceProbeInstanceDown"

INSTANCES = (
    scenario(
        "one of two instances cannot be scraped: fires, and resolves when it is up",
        target(HEALTHY, instance="a"),
        Target(
            (Probe(script=HEALTHY, objectives=()),),
            {"job": "inference-probe", "instance": "b"},
            failed_scrapes=tuple(range(BREAKS, HEALS, 15)),
        ),
        checks=fires(7 * MINUTE, DELAY, instance_alert(INSTANCE_DOWN, instance="b")),
    ),
    scenario(
        "a target with labels that the build info has, too",
        Target(
            (),
            {**DEFAULT_LABELS, "version": "7", "python_version": "3"},
            stops=BREAKS,
        ),
        checks=(firing(BREAKS + 7 * MINUTE, instance_alert(INSTANCE_DOWN), name=INSTANCE_DOWN),),
    ),
    scenario(
        "silent: one failed scrape, a deleted pod, and a target that never was a probe",
        Target((Probe(script=HEALTHY, objectives=()),), failed_scrapes=(BREAKS,)),
        Target((), {"job": "inference-probe", "instance": "b"}, stops=BREAKS, deleted=True),
        Target((), {"job": "other", "instance": "c"}, stops=0),
        checks=(silent(0, 20 * MINUTE),),
    ),
    scenario(
        "clusters and namespaces with the same names are separate",
        Target((), {"job": "j", "instance": "i", "cluster": "a", "namespace": "n"}, stops=BREAKS),
        Target((), {"job": "j", "instance": "i", "cluster": "a", "namespace": "m"}),
        checks=(
            firing(
                BREAKS + 8 * MINUTE,
                instance_alert(INSTANCE_DOWN, job="j", instance="i", cluster="a", namespace="n"),
                name=INSTANCE_DOWN,
            ),
        ),
    ),
)


def skips(reason: str, **labels: str) -> str:
    defaults = {"instance": "probe:10115", "reason": reason}
    return alert("InferenceProbeSkippedTicks", **{**defaults, **labels})


ONE_IN_TEN_SKIPPED = incident(OVERLAP, *[GOOD] * 9)

SKIPPED_TICKS = (
    scenario(
        "one tick in ten is skipped in one instance of one cluster: fires, and resolves",
        target(ONE_IN_TEN_SKIPPED),
        target(HEALTHY, instance="b"),
        target(HEALTHY, cluster="b"),
        checks=fires(11 * MINUTE, 30 * MINUTE + DELAY, skips("overlap")),
    ),
    scenario(
        "a target label `reason`",
        target(ONE_IN_TEN_SKIPPED, reason="canary"),
        checks=(firing(BREAKS + 11 * MINUTE, skips("overlap")),),
    ),
    scenario(
        "ticks skipped for being late, with a failed scrape and a restart",
        Target(
            (Probe(script=incident(LATE_SKIP, *[GOOD] * 9), objectives=()),),
            starts=(0, BREAKS + 20 * MINUTE + 5),
            failed_scrapes=(BREAKS + 5 * MINUTE, BREAKS + 15 * MINUTE),
        ),
        checks=(
            firing(BREAKS + 11 * MINUTE, skips("late")),
            throughout(BREAKS + 11 * MINUTE, HEALS, "InferenceProbeSkippedTicks"),
        ),
    ),
    scenario(
        "silent: one tick in forty, two ticks of a slow probe, and a paused probe",
        target({0: (*[GOOD] * 39, OVERLAP)}, name="seldom"),
        target({0: (GOOD, GOOD, GOOD, OVERLAP), 1600: (GOOD,)}, interval=200, name="slow"),
        target({0: (GOOD,), BREAKS: (PAUSED,)}, name="paused"),
        checks=(silent(0, HOUR),),
    ),
)

RESTARTS = "InferenceProbeRestarts"

RESTART_LOOPS = (
    scenario(
        "three restarts in 12 minutes fire for an hour, also with a model that was never up",
        Target(
            (Probe(script={0: (REFUSED,)}, objectives=()),),
            starts=(0, 4 * MINUTE + 5, 8 * MINUTE + 5, 12 * MINUTE + 5),
        ),
        target(HEALTHY, instance="b"),
        checks=(
            silent(0, 12 * MINUTE),
            firing(15 * MINUTE, instance_alert(RESTARTS), name=RESTARTS),
            throughout(15 * MINUTE, HOUR, RESTARTS),
            firing(75 * MINUTE, name=RESTARTS),
        ),
    ),
    scenario(
        "an instance that is up for 3 minutes and down for 3 minutes",
        Target(
            (Probe(script=HEALTHY, objectives=()),),
            failed_scrapes=tuple(
                second
                for start in range(BREAKS, HOUR, 6 * MINUTE)
                for second in range(start, start + 3 * MINUTE, 15)
            ),
        ),
        checks=(
            silent(0, BREAKS + 3 * MINUTE),
            throughout(BREAKS + 14 * MINUTE, HOUR, RESTARTS),
        ),
    ),
    scenario(
        "silent: two restarts, and one restart of 4 minutes",
        Target(
            (Probe(script=HEALTHY, objectives=()),),
            starts=(0, BREAKS + 5, BREAKS + 5 * MINUTE + 5),
        ),
        Target(
            (Probe(script=HEALTHY, objectives=()),),
            {**DEFAULT_LABELS, "instance": "b"},
            starts=(0, BREAKS + 4 * MINUTE - 5),
            failed_scrapes=tuple(range(BREAKS, BREAKS + 4 * MINUTE, 15)),
        ),
        checks=(silent(0, HOUR),),
    ),
)

PAUSES = (
    scenario(
        "a pause that lasts 4 hours, in an outage",
        target({0: (GOOD,), BREAKS: (REFUSED,), BREAKS + 100: (PAUSED,), 5 * HOUR: (GOOD,)}),
        target({0: (GOOD,), HOUR: (PAUSED,), 4.5 * HOUR: (GOOD,)}, instance="b"),
        target({0: (GOOD,), BREAKS: (PAUSED,)}, instance="c", reason="canary"),
        checks=(
            silent(0, BREAKS + 4 * HOUR),
            firing(
                BREAKS + 4 * HOUR + 10 * MINUTE,
                instance_alert("InferenceProbePaused"),
                instance_alert("InferenceProbePaused", instance="c"),
            ),
            firing(5 * HOUR + DELAY, instance_alert("InferenceProbePaused", instance="c")),
        ),
    ),
)

LATE_RUNS = (
    scenario(
        "one run in ten starts late in one of two instances: fires, and resolves",
        target(incident(LATE_START, *[GOOD] * 9)),
        target(HEALTHY, instance="b"),
        checks=fires(23 * MINUTE, 10 * MINUTE + DELAY, instance_alert("InferenceProbeLate")),
    ),
    scenario(
        "fires through a failed scrape and a restart",
        Target(
            (Probe(script=incident(LATE_START), objectives=()),),
            starts=(0, BREAKS + 25 * MINUTE + 5),
            failed_scrapes=(BREAKS + 10 * MINUTE, BREAKS + 22 * MINUTE),
        ),
        checks=(throughout(BREAKS + 19 * MINUTE, HEALS, "InferenceProbeLate"),),
    ),
    scenario(
        "silent: one late run in forty, and five minutes of late runs",
        target({0: (LATE_START, *[GOOD] * 39)}),
        target({0: (GOOD,), BREAKS: (LATE_START,), BREAKS + 300: (GOOD,)}, instance="b"),
        checks=(silent(0, HOUR),),
    ),
)

RELOAD_FAILED = "InferenceProbeReloadFailed"


def reloading(reloads: dict[float, float], **labels: str) -> Target:
    return Target(
        (Probe(script=HEALTHY, objectives=()),),
        {**DEFAULT_LABELS, **labels},
        failed_scrapes=(BREAKS + 3 * MINUTE, BREAKS + 15 * MINUTE),
        reloads=reloads,
    )


RELOADS = (
    scenario(
        "a reload fails: fires through failed scrapes, and resolves with the next success",
        reloading({0: 1, BREAKS: 0, HEALS: 1}),
        reloading({0: 1}, instance="b"),
        reloading({0: 1}, cluster="b"),
        checks=fires(7 * MINUTE, DELAY, instance_alert(RELOAD_FAILED)),
    ),
    scenario(
        "silent: a reload that fails and succeeds a minute later",
        reloading({0: 1, BREAKS: 0, BREAKS + 60: 1}),
        checks=(silent(0, 20 * MINUTE),),
    ),
)
