"""What Prometheus and Alertmanager know of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from probe.demo import http

_ABOUT = ("instance", "probe", "slo", "short", "long", "quantile")
"""Labels by which alerts of one name differ, in a place with one job."""


class Stage(StrEnum):
    """How far an alert has come."""

    PENDING = "pending"
    FIRING = "firing"
    ARRIVED = "firing, arrived in Alertmanager"
    INHIBITED = "firing, arrived in Alertmanager, kept back under another alert"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FiringAlert:
    """Which alert, whether a page or a ticket, and of what."""

    level: str
    name: str
    about: tuple[str, ...]

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "FiringAlert":
        return cls(
            level=labels.get("slo_severity", ""),
            name=labels["alertname"],
            about=tuple(labels[name] for name in _ABOUT if name in labels),
        )

    def __str__(self) -> str:
        what = f"{self.level} {self.name}".lstrip()
        return f"{what} ({' '.join(self.about)})" if self.about else what


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerState:
    """Both by their URLs. requests.RequestException when they do not answer."""

    prometheus: str
    alertmanager: str

    def stages(self) -> dict[FiringAlert, Stage]:
        """Every alert that is pending or more, the furthest stage of each."""
        arrived = self.arrived()  # first, so that one which resolves does not seem to go back
        told = http.json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        stages = {FiringAlert.of(alert["labels"]): Stage(alert["state"]) for alert in told}
        for alert in arrived:
            inhibited = alert["status"]["inhibitedBy"]
            stages[FiringAlert.of(alert["labels"])] = (
                Stage.INHIBITED if inhibited else Stage.ARRIVED
            )
        return stages

    def arrived(self) -> list[dict[str, Any]]:
        """What Alertmanager's API says of each alert that it has; it drops one that resolved."""
        alerts: list[dict[str, Any]] = http.json(f"{self.alertmanager}/api/v2/alerts")
        return alerts

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus' instant vector: `metric` and `value` of each series."""
        address = f"{self.prometheus}/api/v1/query"
        result: list[dict[str, Any]] = http.json(address, query=expression)["data"]["result"]
        return result
