"""Texts of alerts, as Prometheus renders their templates: true when they are read, also later."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.rules.scenario import DAY, HOUR, MINUTE, PAGE, TICKET, Check, scenario
from tests.rules.scripted_probe import (
    GOOD,
    INTERNAL,
    LATE_SKIP,
    OVER_BUDGET,
    OVERLAP,
    REFUSED,
    SLOW,
    STARTUP,
    TIMEOUT,
    Objective,
    Outcome,
    Probe,
    Script,
)
from tests.rules.scripted_target import Target
from tests.rules.test_rules import RUNBOOK, run
from tools.render_rule_tests import RULE_FILE, group_names, input_series

BREAKS = 6 * MINUTE
# Three minutes of each six. The scrape 15 minutes before the alert succeeds: it is in the range of
# Prometheus 2, and not in that of Prometheus 3.
UP_HALF_OF_THE_TIME = tuple(
    float(time) for time in range(0, HOUR, 30) if time // (3 * MINUTE) % 2 == 0
)
AVAILABLE = Objective(slo="up", target=0.999, threshold="+Inf")
JOB = {"job": "inference-probe"}
PROBE = {**JOB, "probe": "sentiment"}
INSTANCE = {**JOB, "instance": "probe:10115"}
OTHER_JOB = {"job": "other", "instance": "other:10115"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An alert that fires at `at` (seconds), and its texts."""

    alert: str
    targets: tuple[Target, ...]
    labels: dict[str, str]
    summary: str
    description: str
    at: float = 20 * MINUTE
    full: bool = False
    """Whether it runs only with --full, because another case has a similar text."""


def target(*scripts: Script, objective: Objective | None = None, streams: bool = False) -> Target:
    """Return a target with a probe for each script; the second and later go to other hosts."""
    names = ("sentiment", "b", "c")
    return Target(
        tuple(
            Probe(
                script=script,
                name=name,
                url=f"http://{name}/",
                phases=("first_token" if streams else "wait",),
                objectives=(objective or Objective(),),
                streams=streams,
            )
            for script, name in zip(scripts, names, strict=False)
        )
    )


def certificate(expires: float) -> tuple[Target, ...]:
    probe = Probe(script={0: (GOOD,)}, objectives=(), certificates={0: expires})
    return (Target((probe,)),)


def breaks(*outcomes: Outcome, heals: float = HOUR) -> Script:
    return {0: (GOOD,), BREAKS: outcomes, heals: (GOOD,)}


FIRST_TOKEN = Objective(slo="first", threshold="0.25", signal="time_to_first_token")
TOKEN = Objective(slo="each", threshold="1.0", signal="time_per_output_token")
STREAM = Outcome(latency=0.8, success=True, first_token=0.1, per_token=0.02)
SLOW_FIRST_TOKEN = Outcome(latency=0.8, success=True, first_token=0.5, per_token=0.01)
SLOW_TOKENS = Outcome(latency=9.0, success=True, first_token=0.1, per_token=1.5)
WITHOUT_USAGE = Outcome(latency=0.8, success=True, first_token=0.1)


def slow_streams(outcome: Outcome, objective: Objective) -> Target:
    """Return a target whose streams are good, and from BREAKS on alternately `outcome` and good."""
    return target({0: (STREAM,), BREAKS: (outcome, STREAM)}, objective=objective, streams=True)


CASES = {
    "budget of requests exhausted": Case(
        alert="InferenceProbeBudgetExhausted",
        targets=(target(breaks(OVER_BUDGET)),),
        labels={**PROBE, **TICKET},
        summary="sentiment: requests were skipped because the budget is exhausted",
        description=(
            "At 00:20 UTC, inference-probe had skipped requests to sentiment in the last hour,"
            " because they could have exceeded the `budget` in its config (tokens_per_day: 99.8%"
            " used). Skipped in the last hour: 169. While this lasts, an outage of the model may"
            " raise no alert. Next: run `inference-probe check`, and choose a longer interval,"
            " fewer tokens or a larger budget. The alert stays active for an hour after the last"
            " skipped request."
        ),
    ),
    "down, and held after the recovery": Case(
        alert="ModelDown",
        at=22 * MINUTE,
        targets=(target(breaks(REFUSED, heals=15 * MINUTE)),),
        labels={**PROBE, **PAGE},
        summary="sentiment down: no request succeeded from 00:05 to 00:15 UTC",
        description=(
            "At 00:15 UTC, no instance of inference-probe had a successful request to sentiment"
            " for at least 3 minutes (last success at 00:05:55 UTC). 108 requests in a row failed."
            " Most frequent failure: refused. URL: http://sentiment/. Next: check whether other"
            " models are down, too. If all are, check the prober first. The alert stays active for"
            " 12 minutes after the first success."
        ),
    ),
    "down since the start, and most failures were in the startup grace": Case(
        alert="ModelDown",
        at=9.5 * MINUTE,
        targets=(target({0: (STARTUP,), 5 * MINUTE: (REFUSED,)}),),
        labels={**PROBE, **PAGE},
        summary="sentiment down at 00:09 UTC: no request had succeeded since the probe started",
        description=(
            "At 00:09 UTC, no instance of inference-probe had a successful request to sentiment"
            " for at least 3 minutes (none since the probe started). 54 requests in a row failed."
            " Most frequent failure: refused. URL: http://sentiment/. Next: check whether other"
            " models are down, too. If all are, check the prober first. The alert stays active for"
            " 12 minutes after the first success."
        ),
    ),
    "objective missed by slow responses": Case(
        alert="ModelObjectiveMissed",
        targets=(target(breaks(SLOW, GOOD)),),
        labels={**PROBE, "slo": "fast", **PAGE},
        summary='sentiment: objective "fast" (99%) missed, 50% of requests bad in 10 minutes',
        description=(
            'At 00:20 UTC, more requests to sentiment were bad than objective "fast" (99% of'
            " requests must succeed within 500ms) allows, for at least 3 minutes: 50% in the last"
            " 10 minutes, 35% in the last hour. At the rate of that hour, the error budget of 30"
            " days lasts 20h 34m 17s. Slowest phase: wait (95th percentile about 950ms). URL:"
            " http://sentiment/. Next: compare the time at which it began with rollouts and load."
            " The alert stays active for 10 minutes after the problem ends."
        ),
    ),
    "budget burn": Case(
        alert="ModelErrorBudgetBurn",
        at=12 * MINUTE,
        targets=(target(breaks(SLOW, GOOD)),),
        labels={**PROBE, "slo": "fast", "short": "5m", "long": "1h", **PAGE},
        summary=(
            "sentiment: 50% of requests were bad in 5 minutes, which spends the error budget of"
            ' objective "fast" too fast'
        ),
        description=(
            "At 00:12 UTC, 50% of the requests to sentiment in the last 5 minutes were bad for"
            ' objective "fast" (99% of requests must succeed within 500ms). Over the last'
            " hour, the share was also above 14.4 times the allowed share of 1%. A problem that"
            " began recently can cause that. At this rate, the error budget of 30 days lasts 14h"
            " 24m 0s. Slowest phase: wait (95th percentile about 950ms). URL: http://sentiment/."
            " Next: compare the time at which it began with rollouts and load. The alert stays"
            " active for 5 minutes after the problem ends."
        ),
    ),
    "an objective without a threshold": Case(
        alert="HighModelLatency",
        at=25 * MINUTE,
        targets=(target(breaks(REFUSED, GOOD), objective=AVAILABLE),),
        labels={**PROBE, "slo": "up", **TICKET},
        summary=('sentiment: objective "up" was missed for 10 minutes, 50% of requests were bad'),
        description=(
            "At 00:25 UTC, 50% of the requests to sentiment in the last 10 minutes were bad for"
            ' objective "up" (99.9% of requests must succeed). At this rate, the error budget of'
            " 30 days lasts 1h 26m 24s. Most frequent failure: refused. Slowest phase: wait (95th"
            " percentile about 240ms). URL: http://sentiment/. Next: find out whether requests"
            " fail or are slow, and since which change. The alert stays active for 15 minutes"
            " after the problem ends."
        ),
    ),
    "first tokens that are slow for 10 minutes": Case(
        full=True,
        alert="HighModelLatency",
        at=25 * MINUTE,
        targets=(slow_streams(SLOW_FIRST_TOKEN, FIRST_TOKEN),),
        labels={**PROBE, "slo": "first", **TICKET},
        summary=(
            'sentiment: objective "first" (99% time to first token < 250ms) was missed for 10'
            " minutes, 50% of requests were bad"
        ),
        description=(
            "At 00:25 UTC, 50% of the requests to sentiment in the last 10 minutes were bad for"
            ' objective "first" (99% of requests must succeed with a time to first token of at most'
            " 250ms). At this rate, the error budget of 30 days lasts 14h 24m 0s. Slowest phase:"
            " first_token (95th percentile about 970ms). URL: http://sentiment/. Next: find out"
            " whether requests fail or are slow, and since which change. The alert stays active"
            " for 15 minutes after the problem ends."
        ),
    ),
    "first tokens that burn the budget": Case(
        alert="ModelErrorBudgetBurn",
        at=12 * MINUTE,
        targets=(slow_streams(SLOW_FIRST_TOKEN, FIRST_TOKEN),),
        labels={**PROBE, "slo": "first", "short": "5m", "long": "1h", **PAGE},
        summary=(
            "sentiment: 50% of requests were bad in 5 minutes, which spends the error budget of"
            ' objective "first" (99% time to first token < 250ms) too fast'
        ),
        description=(
            "At 00:12 UTC, 50% of the requests to sentiment in the last 5 minutes were bad for"
            ' objective "first" (99% of requests must succeed with a time to first token of at most'
            " 250ms). Over the last hour, the share was also above 14.4 times the allowed share of"
            " 1%. A problem that began recently can cause that. At this rate, the error budget of"
            " 30 days lasts 14h 24m 0s. Slowest phase: first_token (95th percentile about 970ms)."
            " URL: http://sentiment/. Next: compare the time at which it began with rollouts and"
            " load. The alert stays active for 5 minutes after the problem ends."
        ),
    ),
    "tokens that are slow for 10 minutes": Case(
        full=True,
        alert="ModelObjectiveMissed",
        targets=(slow_streams(SLOW_TOKENS, TOKEN),),
        labels={**PROBE, "slo": "each", **PAGE},
        summary=(
            'sentiment: objective "each" (99% time per output token < 1s) missed, 50% of requests'
            " bad in 10 minutes"
        ),
        description=(
            'At 00:20 UTC, more requests to sentiment were bad than objective "each" (99% of'
            " requests must succeed with a time per output token of at most 1s) allows, for at"
            " least 3 minutes: 50% in the last 10 minutes, 35% in the last hour. At the rate of"
            " that hour, the error budget of 30 days lasts 20h 34m 17s. Slowest phase: first_token"
            " (95th percentile about 1s). URL: http://sentiment/. Next: compare the time at which"
            " it began with rollouts and load. The alert stays active for 10 minutes after the"
            " problem ends."
        ),
    ),
    "streams without usage": Case(
        full=True,
        alert="InferenceProbeSignalMissing",
        at=40 * MINUTE,
        targets=(target({0: (WITHOUT_USAGE,)}, objective=TOKEN, streams=True),),
        labels={**PROBE, "slo": "each", **TICKET},
        summary=(
            'sentiment: no stream had a time per output token for objective "each" in 30 minutes'
        ),
        description=(
            "At 00:40 UTC, requests to sentiment had succeeded for at least 30 minutes without a"
            ' value for objective "each" (99% of requests must succeed with a time per output token'
            " of at most 1s). Such requests are neither good nor bad, so alerts about this"
            " objective fire only for failures. A time per output token needs the number of tokens"
            " in the server's usage, and at least two of them in two reads. URL: http://sentiment/."
            " Next: run `inference-probe once` with this probe, and compare the number of tokens"
            " with the usage that the server reports."
        ),
    ),
    "no data": Case(
        alert="InferenceProbeNoData",
        targets=(target(breaks(INTERNAL)),),
        labels={**PROBE, **INSTANCE, "slo": "fast", **PAGE},
        summary='sentiment was not monitored by probe:10115: no results for objective "fast"',
        description=(
            "At 00:20 UTC, probe:10115 responded to scrapes, but had counted no good or bad request"
            " to sentiment for at least 5 minutes and three intervals. While this lasts, alerts"
            ' about objective "fast" cannot fire from this instance. Most frequent failure:'
            " internal. Next: check the log of the daemon, and restart it."
        ),
    ),
    "isolated": Case(
        alert="InferenceProbeIsolated",
        targets=(target(breaks(TIMEOUT), breaks(TIMEOUT), breaks(TIMEOUT)),),
        labels={**INSTANCE, **PAGE},
        summary=(
            "probe:10115 was probably cut off: its probes of several hosts began to fail together"
        ),
        description=(
            "At 00:20 UTC, 3 probes of probe:10115, to at least two hosts, were failing. They had"
            " begun to fail within 5 minutes of each other, and no probe of probe:10115 had a"
            " success in the last 2 minutes. The common cause is probably the network of"
            " probe:10115, and not the models. Most frequent failure: first_byte_timeout. Next:"
            " request a model from another machine. While this alert is active, Alertmanager mutes"
            " alerts about models of this job, if it has the bundled inhibition rules. The alert"
            " stays active for 15 minutes after the first success."
        ),
    ),
    "skipped because of overlap": Case(
        alert="InferenceProbeSkippedTicks",
        targets=(target(breaks(OVERLAP, GOOD)),),
        labels={**PROBE, **INSTANCE, "reason": "overlap", **TICKET},
        summary=(
            "probe:10115 skipped requests to sentiment, because earlier ones had not finished"
        ),
        description=(
            "At 00:20 UTC, probe:10115 had skipped 85 scheduled requests to sentiment in the last"
            " 30 minutes because earlier ones had not finished, although their timeout had passed."
            " Possible causes: an overloaded machine, a low CPU limit, or an `expect` that is"
            " expensive to evaluate. A slow model is not the cause. More than 5% of the requests"
            " were skipped, so objectives are evaluated on fewer requests than configured. Next:"
            " give probe:10115 more CPU, or fewer probes."
        ),
    ),
    "skipped because they were late": Case(
        full=True,
        alert="InferenceProbeSkippedTicks",
        targets=(target(breaks(LATE_SKIP, GOOD)),),
        labels={**PROBE, **INSTANCE, "reason": "late", **TICKET},
        summary=(
            "probe:10115 skipped requests to sentiment, because it could not start them in time"
        ),
        description=(
            "At 00:20 UTC, probe:10115 had skipped 85 scheduled requests to sentiment in the last"
            " 30 minutes because it could not start them in time. Its machine is probably"
            " overloaded, or its CPU limit too low. A slow model is not the cause. More than 5% of"
            " the requests were skipped, so objectives are evaluated on fewer requests than"
            " configured. Next: give probe:10115 more CPU, or fewer probes."
        ),
    ),
    "histograms without classic buckets": Case(
        alert="InferenceProbeHistogramMissing",
        targets=(Target((Probe(script={0: (GOOD,)}),), native_histograms=True),),
        labels={**JOB, **TICKET},
        summary="Job inference-probe: Prometheus lacks histogram buckets that the rules need",
        description=(
            "At 00:20 UTC, Prometheus scraped job inference-probe, but for 1 of its probes it had"
            " no classic latency buckets, or no bucket with the threshold of an objective. Alerts"
            " about their objectives cannot fire. Possible causes: classic histograms that are"
            " converted to native ones, relabelling that drops buckets, or a target label such as"
            ' "outcome" that the metrics have, too. Next: query'
            " inference_probe_latency_seconds_bucket."
        ),
    ),
    "scrapes that fail in several periods": Case(
        alert="InferenceProbeRestarts",
        targets=(Target((), failed_scrapes=UP_HALF_OF_THE_TIME),),
        labels={**INSTANCE, **TICKET},
        summary="probe:10115 of inference-probe could not be scraped several times in 15 minutes",
        description=(
            "At 00:20 UTC, probe:10115 could not be scraped several times. Scrapes that failed in"
            " the last 15 minutes: 17. After each start, failures do not count until the first"
            " success or the end of the startup grace, so an outage of a model may not be reported."
            " Next: check whether the daemon restarts, and the last error of the target in"
            " Prometheus."
        ),
    ),
    "restarts": Case(
        alert="InferenceProbeRestarts",
        targets=(Target((), starts=(0, 245, 485, 725)),),
        labels={**INSTANCE, **TICKET},
        summary="probe:10115 of inference-probe restarted 3 times in an hour",
        description=(
            "At 00:20 UTC, probe:10115 had restarted 3 times in the last hour. After each start,"
            " failures do not count until the first success or the end of the startup grace, so an"
            " outage of a model may not be reported. Next: look at the log and the exit code of"
            " the previous run."
        ),
    ),
    "a renamed job": Case(
        alert="InferenceProbeAbsent",
        targets=(Target((), stops=BREAKS), Target((), OTHER_JOB)),
        labels={**JOB, **TICKET},
        summary=(
            "No inference-probe in job inference-probe could be scraped, but one in another job"
            " could"
        ),
        description=(
            "At 00:20 UTC, Prometheus had no metrics of any inference-probe in job"
            " inference-probe, in any namespace, although it had some in the last day. Another"
            " job had some. If the job was renamed or removed on purpose, silence this alert."
            " Otherwise no alert about its models can fire, and alerts that were firing resolve"
            " without a recovery. Next: check the targets of Prometheus, then the daemon."
        ),
    ),
    "a certificate that expires": Case(
        alert="ModelCertificateExpires",
        targets=certificate(5 * DAY),
        labels={**PROBE, **TICKET},
        summary="sentiment: the certificate expires on 1970-01-06",
        description=(
            "The certificate that sentiment served expires at 1970-01-06 00:00 UTC. After that"
            " time, clients that verify it refuse the connection. Next: renew it, and check that"
            " the server uses the new one."
        ),
    ),
    "a certificate that has expired": Case(
        full=True,
        alert="ModelCertificateExpires",
        targets=certificate(60),
        labels={**PROBE, **TICKET},
        summary="sentiment: the certificate expired on 1970-01-01",
        description=(
            "The certificate that sentiment served expired at 1970-01-01 00:01 UTC. After that"
            " time, clients that verify it refuse the connection. Next: renew it, and check that"
            " the server uses the new one."
        ),
    ),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=pytest.mark.full if case.full else ())
        for name, case in CASES.items()
    ],
)
def test_texts(promtool: Path, tmp_path: Path, case: Case) -> None:
    """The alert has these texts."""
    end = Check(at=case.at, expr="", samples={})
    inputs = input_series(scenario(case.alert, *case.targets, checks=(end,)), 30)
    annotations = {
        "summary": case.summary,
        "description": case.description,
        "runbook_url": f"{RUNBOOK}#{case.alert.lower()}",
    }
    test = {
        "interval": "30s",
        "input_series": [{"series": series, "values": values} for series, values in inputs],
        "alert_rule_test": [
            {
                "eval_time": f"{case.at:.0f}s",
                "alertname": case.alert,
                "exp_alerts": [{"exp_labels": case.labels, "exp_annotations": annotations}],
            }
        ],
    }
    path = tmp_path / "annotations.yml"
    document = {
        "rule_files": [str(RULE_FILE)],
        "evaluation_interval": "30s",
        "group_eval_order": group_names(),
        "tests": [test],
    }
    path.write_text(yaml.safe_dump(document))
    run(promtool, "test", "rules", path)
