"""What Prometheus and Alertmanager know of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from probe.demo import fetch


class Stage(StrEnum):
    """How far an alert has come."""

    PENDING = "pending"
    FIRING = "firing"
    ARRIVED = "firing, arrived in Alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Alert:
    """Which alert, of what; "" where a label is absent."""

    name: str
    probe: str
    slo: str

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Alert":
        return cls(
            name=labels["alertname"], probe=labels.get("probe", ""), slo=labels.get("slo", "")
        )

    def __str__(self) -> str:
        about = " ".join(part for part in (self.probe, self.slo) if part)
        return f"{self.name} ({about})" if about else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """Both by their URLs. requests.RequestException when they do not answer."""

    prometheus: str
    alertmanager: str

    def stages(self) -> dict[Alert, Stage]:
        """Every alert that is pending or more, the furthest stage of each."""
        told = fetch.json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        stages = {Alert.of(alert["labels"]): Stage(alert["state"]) for alert in told}
        return stages | dict.fromkeys(map(Alert.of, self.arrived()), Stage.ARRIVED)

    def arrived(self) -> list[dict[str, str]]:
        """The labels of each alert that is active in Alertmanager; one that resolved is not."""
        alerts: list[dict[str, Any]] = fetch.json(f"{self.alertmanager}/api/v2/alerts")
        return [alert["labels"] for alert in alerts]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus' instant vector: `metric` and `value` of each series."""
        address = f"{self.prometheus}/api/v1/query"
        result: list[dict[str, Any]] = fetch.json(address, query=expression)["data"]["result"]
        return result
