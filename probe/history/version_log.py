"""Versions of the model that the responses of one probe have named."""

from typing import NamedTuple

# Versions that are kept. The oldest one is dropped for a new one.
MAX_VERSIONS = 20


class VersionPeriod(NamedTuple):
    """The results of one version: when the first and the last one began (Unix seconds)."""

    version: str
    first: float
    last: float
    results: int


class VersionLog:
    """Keeps when each version was seen, in at most 5 kB."""

    def __init__(self) -> None:
        self._periods: dict[str, VersionPeriod] = {}

    def record(self, version: str, started: float) -> None:
        """Note a result that began at `started` (Unix seconds)."""
        known = self._periods.get(version)
        if known is None:
            if len(self._periods) >= MAX_VERSIONS:
                oldest = min(self._periods.values(), key=lambda period: period.last)
                del self._periods[oldest.version]
            known = VersionPeriod(version, first=started, last=started, results=0)
        self._periods[version] = known._replace(
            last=max(known.last, started), results=known.results + 1
        )

    def snapshot(self) -> tuple[VersionPeriod, ...]:
        """Return all versions, the one that began last first."""
        return tuple(sorted(self._periods.values(), key=lambda period: period.first, reverse=True))
