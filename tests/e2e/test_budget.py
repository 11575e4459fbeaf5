"""An exhausted budget of a probe, in Prometheus and Alertmanager."""

import time

import pytest
import yaml

from probe.demo import files, http
from probe.demo.fault import Fault
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer
from tests.e2e.test_reload import reload

pytestmark = pytest.mark.timing

EXHAUSTED = "InferenceProbeBudgetExhausted"
SUSPENDED = 'inference_probe_suspended{reason="budget"} == 1'


def total(daemon: str, name: str) -> float:
    """Return the sum of the series of a metric in one scrape of the daemon."""
    lines = http.get_text(f"{daemon}/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def only_ticket(observer: Observer) -> None:
    """Fail if Alertmanager has another alert than one ticket about the budget."""
    alerts = [alert["labels"] for alert in observer.alerting.arrived()]
    levels = [(alert["alertname"], alert["slo_severity"]) for alert in alerts]
    if levels != [(EXHAUSTED, "ticket")]:
        observer.fail(f"expected one ticket, not {levels}")


@pytest.mark.full
@pytest.mark.timeout(400)
def test_one_ticket_and_no_page(stack: Stack, newest_binaries: Binaries) -> None:
    """An exhausted budget raises one ticket. With a larger budget, an outage pages again.

    A request of the toy model is estimated at 3 tokens, so 40 requests exhaust the budget.
    """
    model = stack.start_model()
    config = yaml.safe_load(files.probe(FACTOR, url=model.url))
    config["probes"][0]["budget"] = {"tokens_per_day": 120}
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.expect_no_alert(seconds=WINDOW_SECONDS / 2)

    (ticket,) = observer.wait_for_alert(EXHAUSTED, seconds=5 * WINDOW_SECONDS)
    assert ticket["probe"] == "sentiment"
    assert observer.alerting.query(SUSPENDED)
    model.set_fault(Fault.DOWN)
    # Longer than the 5 minutes plus three intervals after which missing results page.
    deadline = time.monotonic() + 3 * WINDOW_SECONDS
    while time.monotonic() < deadline:
        only_ticket(observer)
        time.sleep(1)
    (probe,) = http.get_json(f"{daemon}/api/v1/probes")["probes"]
    assert probe["state"] == "over_budget"
    skipped, runs = (total(daemon, f"inference_probe_{name}_total") for name in ("skipped", "runs"))
    assert (runs, skipped > 2 * runs) == (40, True)

    config["probes"][0]["budget"] = {"tokens_per_day": "1M"}
    reload(stack, daemon, config)
    observer.wait_for_alert("ModelDown", seconds=4 * WINDOW_SECONDS)
    assert observer.alerting.query(SUSPENDED) == []
