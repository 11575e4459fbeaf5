"""Texts about the phases that are compared with earlier, on the page of a probe and in reports."""

from collections.abc import Iterable, Iterator

from probe.formatting import format_latency, format_threshold
from probe.history.phase_comparison import (
    SLOWER_RATIO,
    SLOWER_SECONDS,
    PhaseComparison,
    is_slower,
)

EARLIER_HOURS = (
    "in the same hour of the previous three days (the median of their means), and in that of four"
    " weeks ago"
)

SLOWER_NOTE = (
    f"A phase is slower if its mean is above {SLOWER_RATIO:g} times the earlier one, and by more"
    f" than {format_threshold(SLOWER_SECONDS)}."
)


def slower_sentences(comparisons: Iterable[PhaseComparison]) -> Iterator[str]:
    """Yield a sentence for each phase that is slower than usual, or than four weeks ago."""
    for comparison in comparisons:
        references = list(_exceeded(comparison))
        if references:
            recent = format_latency(comparison.recent)
            yield f"{comparison.phase} is slower: {recent} is {' and '.join(references)}."


def _exceeded(comparison: PhaseComparison) -> Iterator[str]:
    """Yield the earlier means than which the phase is slower: `3.0 times the usual 100 ms`."""
    recent = comparison.recent
    for earlier, words in (
        (comparison.usual, "the usual {}"),
        (comparison.four_weeks_ago, "the {} of four weeks ago"),
    ):
        if earlier is not None and is_slower(recent, earlier):
            yield f"{recent / earlier:,.1f} times {words.format(format_latency(earlier))}"
