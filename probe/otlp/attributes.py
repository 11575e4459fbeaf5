"""Attributes in the JSON of OTLP, and the resource that describes the daemon."""

from collections.abc import Mapping
from typing import Any

from probe import __version__

SERVICE_NAME = "inference-probe"

SCOPE = {"name": "inference-probe", "version": __version__}

AttributeValue = str | int | float


def to_attributes(values: Mapping[str, AttributeValue | None]) -> list[dict[str, Any]]:
    """Return attributes; those whose value is None are left out."""
    return [
        {"key": name, "value": _to_value(value)}
        for name, value in values.items()
        if value is not None
    ]


def _to_value(value: AttributeValue) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):  # 64 bits, which a number in JSON may not have
        return {"intValue": str(value)}
    return {"doubleValue": value}


def resource(instance: str) -> dict[str, Any]:
    """Return the resource of the daemon `instance`, such as `host:10115`.

    Prometheus uses its name and its instance as the labels `job` and `instance`.
    """
    return {
        "attributes": to_attributes(
            {
                "service.name": SERVICE_NAME,
                "service.instance.id": instance,
                "service.version": __version__,
            }
        )
    }
