"""The state of alerts in Prometheus and Alertmanager."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from probe.demo import http

# The labels that distinguish alerts of the same name if Prometheus has one job.
_DISTINGUISHING_LABELS = ("instance", "probe", "slo", "short", "long", "quantile")


class Stage(StrEnum):
    """State of an alert on its way to Alertmanager."""

    PENDING = "pending"
    FIRING = "firing"
    ARRIVED = "firing, arrived in Alertmanager"
    INHIBITED = "firing, inhibited in Alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AlertKey:
    """Identifies an alert: its level (`page` or `ticket`), its name and its other labels."""

    level: str
    name: str
    labels: tuple[str, ...]

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> "AlertKey":
        return cls(
            level=labels.get("slo_severity", ""),
            name=labels["alertname"],
            labels=tuple(labels[name] for name in _DISTINGUISHING_LABELS if name in labels),
        )

    def __str__(self) -> str:
        title = f"{self.level} {self.name}".lstrip()
        return f"{title} ({' '.join(self.labels)})" if self.labels else title


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertApi:
    """Queries a Prometheus and an Alertmanager, which are given by their URLs.

    All methods raise requests.RequestException if a server does not respond.
    """

    prometheus: str
    alertmanager: str

    def stages(self) -> dict[AlertKey, Stage]:
        """Return the stage of every alert that is pending or firing."""
        # Alertmanager first: an alert that resolves in between must not seem to go back to firing.
        arrived = self.arrived()
        alerts = http.get_json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        stages = {AlertKey.from_labels(alert["labels"]): Stage(alert["state"]) for alert in alerts}
        for alert in arrived:
            inhibited = alert["status"]["inhibitedBy"]
            key = AlertKey.from_labels(alert["labels"])
            stages[key] = Stage.INHIBITED if inhibited else Stage.ARRIVED
        return stages

    def arrived(self) -> list[dict[str, Any]]:
        """Return the active alerts of Alertmanager, in the form of its API."""
        alerts: list[dict[str, Any]] = http.get_json(f"{self.alertmanager}/api/v2/alerts")
        return alerts

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return an instant vector of Prometheus: `metric` and `value` of each series."""
        url = f"{self.prometheus}/api/v1/query"
        vector: list[dict[str, Any]] = http.get_json(url, query=expression)["data"]["result"]
        return vector
