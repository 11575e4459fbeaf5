"""A result as JSON: the same in `once`, `/probe` and wherever else one is shown."""

from datetime import UTC, datetime
from typing import Any

from probe.vocabulary import Result


def report(result: Result) -> dict[str, Any]:
    """The fields are a contract with users; times are seconds, instants RFC 3339 in UTC."""
    failure = result.failure
    return {
        "probe": result.probe,
        "success": failure is None,
        "reason": failure.reason if failure else None,
        "detail": failure.detail if failure else None,
        "status": result.status,
        "latency_seconds": result.latency,
        "phases": dict(result.phases),
        "server": dict(result.server),
        "hops": [
            {"url": hop.url, "status": hop.status, "phases": dict(hop.phases)}
            for hop in result.hops
        ],
        "due": rfc3339(result.due) if result.due else None,
        "started": rfc3339(result.started),
        "clock": result.clock,
        "correction_seconds": result.correction,
        "bytes": result.size,
        "certificate_not_after": (
            None if result.certificate_not_after is None else rfc3339(result.certificate_not_after)
        ),
    }


def rfc3339(instant: datetime | float) -> str:
    """The instant, or the Unix seconds, in UTC."""
    if not isinstance(instant, datetime):
        instant = datetime.fromtimestamp(instant, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
