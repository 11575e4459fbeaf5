"""Faults of streams with the status 200: their alerts in Alertmanager, and the texts of these."""

import time
from collections.abc import Mapping

import pytest
import yaml

from probe.demo import files
from probe.demo.fault import Fault, ModelType
from probe.demo.stack import Binaries, Stack
from tests.e2e import alert_texts
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer

pytestmark = pytest.mark.timing

FAULTS = (Fault.SLOW_FIRST_TOKEN, Fault.STALL, Fault.STREAM_ERROR)


def config(urls: Mapping[Fault, str]) -> str:
    """Return a config with a probe for each URL, named after its fault."""
    probes = []
    for fault, url in urls.items():
        (probe,) = yaml.safe_load(files.probe(FACTOR, url=url, model=ModelType.LLM))["probes"]
        probes.append(probe | {"name": fault.value})
    return yaml.safe_dump({"probes": probes})


def wait_for_text(observer: Observer, name: str, fault: Fault, *parts: str) -> None:
    """Wait until the texts of the alert `name` of the probe of a fault have all `parts`."""
    deadline = time.monotonic() + 4 * WINDOW_SECONDS
    text = ""
    while not (text and all(part in text for part in parts)):
        if time.monotonic() > deadline:
            observer.fail(
                f"{name} of {fault} does not have the texts {parts}: {text or 'no alert'}"
            )
        alerts = observer.alerting.arrived()
        alert_texts.collect(alerts)
        for alert in alerts:
            if (alert["labels"]["alertname"], alert["labels"]["probe"]) == (name, fault):
                text = "\n".join(alert["annotations"].values())
        time.sleep(0.5)


@pytest.mark.full
def test_alerts_name_the_fault(stack: Stack, newest_binaries: Binaries) -> None:
    """A slow first token, a stall and an error in a stream raise alerts that name them.

    The latency of the streams with a slow first token stays below its objective.
    """
    models = {fault: stack.start_model(ModelType.LLM) for fault in FAULTS}
    daemon = stack.start_daemon(config({fault: model.url for fault, model in models.items()}))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.expect_no_alert(seconds=WINDOW_SECONDS / 2)
    for fault, model in models.items():
        model.set_fault(fault)

    wait_for_text(
        observer, "ModelDown", Fault.STALL, "stall down", "Most frequent failure: stall_timeout."
    )
    wait_for_text(
        observer,
        "ModelDown",
        Fault.STREAM_ERROR,
        "stream-error down",
        "Most frequent failure: stream_error.",
    )
    for fault in (Fault.STALL, Fault.STREAM_ERROR):
        status = f'inference_probe_last_status_code{{probe="{fault}"}} == 200'
        assert observer.alerting.query(status)
    wait_for_text(
        observer,
        "ModelObjectiveMissed",
        Fault.SLOW_FIRST_TOKEN,
        'objective "first-token" (99% time to first token < 500ms) missed',
        "with a time to first token of at most 500ms",
        "Slowest phase: first_token ",
    )
    alerts = [alert["labels"] for alert in observer.alerting.arrived()]
    slow = [alert for alert in alerts if alert["probe"] == Fault.SLOW_FIRST_TOKEN]
    assert {alert["slo"] for alert in slow} == {"first-token"}
