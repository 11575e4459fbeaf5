"""A result as JSON: the same in `once`, `/probe` and wherever else one is shown."""

from collections.abc import Mapping
from typing import Any

from probe.clock import rfc3339
from probe.result import RedirectHop, Result


def result_json(result: Result) -> dict[str, Any]:
    """The fields are a contract with users, docs/api.md; times are seconds, instants RFC 3339."""
    failure = result.failure
    return {
        "probe": result.probe,
        "success": failure is None,
        "reason": failure.reason if failure else None,
        "detail": failure.detail if failure else None,
        "status": result.status,
        "latency_seconds": rounded(result.latency),
        "phases": _rounded_all(result.phases),
        "server": _rounded_all(result.server),
        "hops": list(map(hop_json, result.hops)),
        "due": rfc3339(result.due) if result.due else None,
        "started": rfc3339(result.started),
        "clock": result.clock,
        "correction_seconds": rounded(result.correction),
        "bytes": result.size,
        "certificate_not_after": (
            None if result.certificate_not_after is None else rfc3339(result.certificate_not_after)
        ),
    }


def hop_json(one: RedirectHop) -> dict[str, Any]:
    """One request of a chain of redirects."""
    return {"url": one.url, "status": one.status, "phases": _rounded_all(one.phases)}


def rounded(number: float) -> float:
    """Without the noise of sums: 0.15622784099999998 was measured as 0.156227841."""
    return round(number, 9)


def _rounded_all(seconds: Mapping[Any, float]) -> dict[str, float]:
    return {str(key): rounded(one) for key, one in seconds.items()}
