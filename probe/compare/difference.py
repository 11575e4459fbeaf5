"""Differences between two sides, and the verdict about them.

The latency is tested for a difference of more than the margin. The share of bad requests is tested
for any difference, with Fisher's exact test, and the observed difference must exceed the margin.
Several measures are tested at once, so Holm's method corrects their p-values: with a confidence of
95 %, chance explains none of the reported differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from probe.result import Signal

# Probability of an error in all measures of a comparison together.
MAX_ERROR_PROBABILITY = 0.05

# Probability of an error at each end of an interval.
INTERVAL_TAIL = 0.025

# Of the signals of streams, in tables.
ABBREVIATIONS = {Signal.TIME_TO_FIRST_TOKEN: "TTFT", Signal.TIME_PER_OUTPUT_TOKEN: "TPOT"}


class Verdict(StrEnum):
    """Verdict about one measure, or about all of them."""

    WORSE = "worse"
    """B is worse. For the latency: by more than the margin. For the share of bad requests: there is
    a difference, and the observed difference is larger than the margin."""
    BETTER = "better"
    """The same in the other direction, and no measure is worse."""
    NO_DIFFERENCE = "no_difference"
    """The difference is within the margin."""
    NOT_WORSE = "not_worse"
    """B is not worse by more than the margin. It may be better."""
    NOT_ENOUGH_DATA = "not_enough_data"


NOT_WORSE_VERDICTS = (Verdict.BETTER, Verdict.NO_DIFFERENCE, Verdict.NOT_WORSE)


class Scale(StrEnum):
    """How a difference is calculated. Its margin has the same unit."""

    SHARE = "share"
    """The share of B minus that of A."""
    RELATIVE = "seconds"
    """The relative difference of two times (seconds): B / A - 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of one measure. If it is positive, B is worse."""

    name: str
    scale: Scale
    a: float | None
    """Value of side A. None: unknown."""
    b: float | None
    value: float | None
    """The difference. None: unknown."""
    lower: float
    """Lower end of the 95 % interval of the difference; -infinity if it is unknown."""
    upper: float
    margin: float
    """The largest difference that does not matter."""
    p_value: float
    """Two-sided. Of the bad share: Fisher's exact test for any difference. Of the others: the test
    that the difference is at most the margin."""
    signal: Signal | None = None
    """The time that is compared. None: the share of bad requests."""
    threshold_seconds: float | None = None
    """Of the share of slower requests."""

    @property
    def label(self) -> str:
        """The name, after that of the signal if it is not the latency."""
        return label(self.name, self.signal)


def label(name: str, signal: Signal | None) -> str:
    """Return `name` after the abbreviation of `signal`, such as "TTFT p95"."""
    abbreviation = ABBREVIATIONS.get(signal) if signal else None
    return f"{abbreviation} {name}" if abbreviation else name


def unknown_difference(name: str, signal: Signal, *, margin: float) -> Difference:
    """Return a difference that cannot be measured."""
    return Difference(
        name=name,
        signal=signal,
        scale=Scale.RELATIVE,
        a=None,
        b=None,
        value=None,
        lower=-math.inf,
        upper=math.inf,
        margin=margin,
        p_value=1.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference with its verdict. `p_value` is corrected with Holm's method."""

    difference: Difference
    p_value: float
    verdict: Verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the corrected p-values, in the same order.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    ranking = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(ranking):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def evaluate(differences: Sequence[Difference]) -> tuple[Finding, ...]:
    """Return the verdict about each difference."""
    corrected = holm([difference.p_value for difference in differences])
    return tuple(
        Finding(difference=difference, p_value=p_value, verdict=_verdict(difference, p_value))
        for difference, p_value in zip(differences, corrected, strict=True)
    )


def _verdict(difference: Difference, p_value: float) -> Verdict:
    margin, value = difference.margin, difference.value
    if value is not None and abs(value) > margin and p_value <= MAX_ERROR_PROBABILITY:
        return Verdict.WORSE if value > 0 else Verdict.BETTER
    if difference.upper > margin:
        return Verdict.NOT_ENOUGH_DATA
    return Verdict.NO_DIFFERENCE if difference.lower >= -margin else Verdict.NOT_WORSE


def overall(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict about all measures: worse if one of them is.

    The others are only given if no measure can be worse by more than its margin.
    """
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.WORSE, Verdict.NOT_ENOUGH_DATA, Verdict.BETTER, Verdict.NOT_WORSE):
        if verdict in verdicts:
            return verdict
    return Verdict.NO_DIFFERENCE


def requests_needed(difference: Difference, requests: int) -> int | None:
    """Estimate how many requests per side are enough to show that equal sides do not differ.

    The width of an interval is inversely proportional to the root of the number of requests. None
    if the interval is unknown. `requests` is that of the smaller side.
    """
    width = difference.upper - difference.lower
    if not math.isfinite(width):
        return None
    return math.ceil(requests * (width / 2 / difference.margin) ** 2)
