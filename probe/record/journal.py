"""What the log says of results: each failure for who debugs, a change of state for everybody."""

import logging

from probe.vocabulary import Reason, Result

logger = logging.getLogger(__name__)


class Journal:
    """Notes the results of one probe. A model that stays down does not flood the log."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._count = 0

    def note(self, result: Result) -> None:
        failure = result.failure
        reason = failure.reason if failure else None
        if failure and logger.isEnabledFor(logging.DEBUG):
            latency = {"latency": f"{result.latency:.6f}"}
            logger.debug("probe failed", extra={"fields": _fields(result) | latency})
        if reason is not self._reason:
            before = {"after": f"{self._count} {self._reason or 'ok'}"} if self._count else {}
            words = "probe is failing" if failure else "probe is ok"
            logger.info(words, extra={"fields": _fields(result) | before})
            self._count = 0
        self._reason = reason
        self._count += 1


def _fields(result: Result) -> dict[str, object]:
    told: dict[str, object] = {"probe": result.probe}
    if result.failure:
        told |= {"reason": result.failure.reason, "detail": result.failure.detail}
    return told
