"""Answers of many searches for a known limit, and the bounds that they have to meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.accuracy_results import quantile
from bench.load_queues import Limit
from bench.load_searches import Answer
from bench.verdict import Verdict

# Shares of the answers, in percent.
MAX_ABOVE = 15.0
MAX_FAR_ABOVE = 2.0

# Answers are far above the limit from this ratio on.
FAR_ABOVE_RATIO = 1.05

# How far the median answer may be below the limit, in percent.
MAX_MEDIAN_SHORTFALL = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Searches:
    """The answers of one method for one queue."""

    queue: str
    limit: Limit
    method: str
    answers: Sequence[Answer]

    @property
    def ratios(self) -> list[float]:
        """Each answer divided by the limit."""
        return [answer.rate / self.limit.rate for answer in self.answers if answer.rate]

    @property
    def unconfirmed(self) -> int:
        return sum(answer.rate is None for answer in self.answers)

    @property
    def above(self) -> float:
        """Share of the answers above the limit, in percent."""
        return self._share_above(1.0)

    @property
    def far_above(self) -> float:
        """Share of the answers above the limit by more than 5 %, in percent."""
        return self._share_above(FAR_ABOVE_RATIO)

    @property
    def median_seconds(self) -> float:
        return quantile((answer.seconds for answer in self.answers), 0.5)

    @property
    def median_requests(self) -> float:
        return quantile((answer.requests for answer in self.answers), 0.5)

    def _share_above(self, ratio: float) -> float:
        ratios = self.ratios
        return 100 * sum(value > ratio for value in ratios) / len(ratios)


def evaluate(searches: Searches) -> Iterator[Verdict]:
    """Yield the verdicts on the answers of one queue."""
    shortfall = 100 * (1 - quantile(searches.ratios, 0.5))
    for criterion, value, bound in (
        ("answers above the limit", searches.above, MAX_ABOVE),
        ("answers above it by more than 5 %", searches.far_above, MAX_FAR_ABOVE),
        ("median answer below the limit", shortfall, MAX_MEDIAN_SHORTFALL),
    ):
        yield Verdict(criterion=criterion, where=searches.queue, value=value, bound=bound, unit="%")
