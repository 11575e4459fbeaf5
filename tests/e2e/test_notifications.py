"""How many notifications an incident causes, with the bundled rules and routes."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from probe.demo import files
from probe.demo.stack import HOST, Binaries, Stack, free_port
from tests.e2e import alert_texts
from tests.e2e.notification_scenarios import END_SECONDS, INCIDENTS
from tests.e2e.scripted_exporters import serve_targets
from tests.e2e.webhook import RECEIVERS, Counts, Notification, Webhook, count, serve_webhook
from tests.rules.scripted_target import Target

pytestmark = pytest.mark.timing

# All durations are divided by this: 120 minutes become 3.
FACTOR = 40


def alertmanager_config(webhook: Webhook) -> str:
    config = yaml.safe_load(files.alertmanager(FACTOR))
    return yaml.safe_dump({**config, "receivers": webhook.receivers()})


def prometheus_config(rules: Path, exporter_port: int, alertmanager: str) -> str:
    """Return a config with one job for each incident."""
    config = yaml.safe_load(
        files.prometheus(FACTOR, rules=str(rules), target="", alertmanager=alertmanager)
    )
    # The machine does not become faster.
    config["global"]["scrape_timeout"] = config["global"]["scrape_interval"]
    config["scrape_configs"] = [
        {
            "job_name": name,
            "metrics_path": f"/{name}",
            "static_configs": [{"targets": [f"{HOST}:{exporter_port}"]}],
        }
        for name in INCIDENTS
    ]
    return yaml.safe_dump(config)


def start_alertmanager(stack: Stack, binaries: Binaries, config: str) -> str:
    address = f"{HOST}:{free_port()}"
    path = stack.directory / "alertmanager.yml"
    path.write_text(config)
    command = [
        binaries.alertmanager,
        f"--config.file={path}",
        f"--storage.path={stack.directory / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    stack.start("alertmanager", command, ready_url=f"http://{address}/-/ready")
    return address


def start_prometheus(stack: Stack, binaries: Binaries, config: str) -> None:
    address = f"{HOST}:{free_port()}"
    path = stack.directory / "prometheus.yml"
    path.write_text(config)
    command = [
        binaries.prometheus,
        f"--config.file={path}",
        f"--storage.tsdb.path={stack.directory / 'prometheus'}",
        f"--web.listen-address={address}",
        f"--query.lookback-delta={files.prometheus_duration(300 / FACTOR)}",
    ]
    stack.start("prometheus", command, ready_url=f"http://{address}/-/ready")


def targets(start: float) -> Mapping[str, Target]:
    return {name: incident.target(FACTOR, start) for name, incident in INCIDENTS.items()}


def sent(receiver: str, status: str, probe: str, *names: str) -> Notification:
    alerts = [{"labels": {"alertname": name}} for name in names]
    body = {"status": status, "groupKey": probe, "groupLabels": {"job": "j"}, "alerts": alerts}
    return Notification(receiver, body)


def test_count() -> None:
    """A group that fires opens an incident, further notifications update it until it resolves."""
    notifications = [
        sent("page", "firing", "a", "ModelDown"),
        sent("page", "firing", "b", "ModelDown"),
        sent("page", "firing", "a", "ModelDown", "ModelObjectiveMissed"),
        sent("ticket", "firing", "a", "HighModelLatency"),
        sent("page", "resolved", "a", "ModelDown"),
        sent("page", "firing", "a", "ModelDown"),
    ]
    names = frozenset({"ModelDown", "ModelObjectiveMissed"})
    assert count(notifications, "page", "j") == Counts(opened=3, updates=1, names=names)
    assert count(notifications, "page", "other") == Counts(opened=0, updates=0, names=frozenset())


@pytest.mark.full
@pytest.mark.timeout(600)
def test_notifications(stack: Stack, newest_binaries: Binaries) -> None:
    """Each incident causes the documented number of pages, at most one per incident."""
    rules = stack.directory / "rules.yml"
    rules.write_text(files.rules(FACTOR))
    port = free_port()
    with serve_webhook(free_port()) as webhook:
        alertmanager = start_alertmanager(stack, newest_binaries, alertmanager_config(webhook))
        seconds = END_SECONDS / FACTOR
        with serve_targets(port, targets, seconds + 60):
            config = prometheus_config(rules, port, alertmanager)
            start_prometheus(stack, newest_binaries, config)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                stack.check()
                time.sleep(1)
        notifications = webhook.notifications
    alert_texts.collect(alert for sent in notifications for alert in sent.body["alerts"])
    counts = {
        name: tuple(count(notifications, receiver, name) for receiver in RECEIVERS)
        for name in INCIDENTS
    }
    print(*(f"{name}: {pages} {tickets}" for name, (pages, tickets) in counts.items()), sep="\n")
    for name, (pages, tickets) in counts.items():
        incident = INCIDENTS[name]
        assert pages.opened == incident.pages, name
        assert pages.names <= set(incident.alerts), name
        assert tickets.opened <= incident.max_tickets, name
