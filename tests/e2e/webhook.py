"""A webhook that receives the notifications of Alertmanager and counts them."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from probe.demo.stack import HOST

RECEIVERS = ("page", "ticket")


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification about one group of alerts, in the form of Alertmanager's webhook."""

    receiver: str
    body: Mapping[str, Any]

    @property
    def job(self) -> str:
        return str(self.body["groupLabels"].get("job", ""))

    @property
    def names(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.body["alerts"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Notifications of one receiver. A group that fires opens an incident until it resolves."""

    opened: int
    updates: int
    names: frozenset[str]


def count(notifications: Sequence[Notification], receiver: str, job: str) -> Counts:
    """Count the notifications of `receiver` about the alerts of `job`.

    Pagers treat a group as one incident: a notification opens it, later ones update it, and the
    next one after a resolved notification opens it again.
    """
    firing: set[str] = set()
    opened = updates = 0
    names: set[str] = set()
    for notification in notifications:
        if (notification.receiver, notification.job) != (receiver, job):
            continue
        group = str(notification.body["groupKey"])
        names |= notification.names
        if notification.body["status"] == "resolved":
            firing.discard(group)
        elif group in firing:
            updates += 1
        else:
            opened += 1
            firing.add(group)
    return Counts(opened=opened, updates=updates, names=frozenset(names))


class Webhook:
    """Collects the notifications to `/page` and `/ticket`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._notifications: list[Notification] = []
        self._lock = threading.Lock()

    @property
    def notifications(self) -> list[Notification]:
        with self._lock:
            return list(self._notifications)

    def receivers(self) -> list[dict[str, Any]]:
        """Return the receivers of a config of Alertmanager."""
        return [
            {"name": name, "webhook_configs": [{"url": f"http://{HOST}:{self.port}/{name}"}]}
            for name in RECEIVERS
        ]

    def add(self, receiver: str, body: bytes) -> None:
        with self._lock:
            self._notifications.append(Notification(receiver, json.loads(body)))


@contextmanager
def serve_webhook(port: int) -> Iterator[Webhook]:
    """Serve a webhook on `port` of the loopback interface."""
    webhook = Webhook(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.add(self.path.strip("/"), body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
