"""How much more shares of requests vary between parts of a measurement than by chance.

Bad requests often come together, so the requests of a measurement tell as much as a smaller number
of independent ones. The design effect is the quotient of these numbers: the variance of the share
between parts of the measurement, divided by that of independent requests (Kish, "Survey Sampling",
1965, 5.4). Here it may be below 1, by chance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A number of `requests`, some of which are counted."""

    count: int
    requests: int

    @property
    def ratio(self) -> float | None:
        return self.count / self.requests if self.requests else None

    @property
    def variance(self) -> float:
        """Variance of the ratio of independent requests; 0 without requests."""
        ratio = self.ratio
        return ratio * (1 - ratio) / self.requests if ratio is not None else 0.0

    def divided_by(self, number: float) -> "Share":
        """Return the same share of fewer requests."""
        return Share(round(self.count / number), round(self.requests / number))


def sum_shares(shares: Iterable[Share]) -> Share:
    """Return the share of the requests of all `shares` together."""
    count = requests = 0
    for share in shares:
        count += share.count
        requests += share.requests
    return Share(count, requests)


def design_effect(parts: Sequence[Share]) -> float:
    """Return the design effect of the share of all `parts`.

    1 for less than two parts, and if the share is 0 or 1.
    """
    return _variance_ratio(_deviations(parts), sum_shares(parts).variance)


def difference_design_effect(a: Sequence[Share], b: Sequence[Share]) -> float:
    """Return the design effect of the difference of two shares in the same parts of a measurement.

    What concerns both sides in the same part does not count. Special cases are as for one share.
    """
    deviations = [y - x for x, y in zip(_deviations(a), _deviations(b), strict=True)]
    return _variance_ratio(deviations, sum_shares(a).variance + sum_shares(b).variance)


def _deviations(parts: Sequence[Share]) -> list[float]:
    """Return how much each part moves the share of all `parts`. Their sum is 0."""
    total = sum_shares(parts)
    if not total.requests:
        return [0.0] * len(parts)
    ratio = total.count / total.requests
    return [(part.count - ratio * part.requests) / total.requests for part in parts]


def _variance_ratio(deviations: Sequence[float], independent_variance: float) -> float:
    count = len(deviations)
    if count < 2 or not independent_variance:
        return 1.0
    squares = sum(deviation**2 for deviation in deviations)
    return squares * count / (count - 1) / independent_variance
