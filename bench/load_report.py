"""The results of the benchmark of load tests as Markdown."""

from collections.abc import Iterable, Sequence

from bench.accuracy_report import render_verdicts
from bench.accuracy_results import quantile
from bench.load_queues import Limit
from bench.load_results import Searches
from bench.markdown import aligned_table
from bench.verdict import Verdict


def render_searches(searches: Sequence[Searches], verdicts: Sequence[Verdict], head: str) -> str:
    """Return the verdicts, and the answers behind them."""
    answers = "**Answers** divided by the limit, and medians of what a search took:"
    return "\n\n".join((head, render_verdicts(verdicts), answers, _answers(searches)))


def _answers(searches: Iterable[Searches]) -> str:
    head = (
        "queue",
        "limit",
        "search",
        "p5 / p50 / p95",
        "above",
        "above by > 5 %",
        "minutes",
        "requests",
        "not confirmed",
    )
    return aligned_table(head, map(_row, searches))


def _row(searches: Searches) -> tuple[str, ...]:
    ratios = searches.ratios
    return (
        searches.queue,
        _limit(searches.limit),
        searches.method,
        " / ".join(f"{quantile(ratios, ratio):.3f}" for ratio in (0.05, 0.5, 0.95)),
        f"{searches.above:.1f} %",
        f"{searches.far_above:.1f} %",
        f"{searches.median_seconds / 60:.1f}",
        f"{searches.median_requests:,.0f}",
        f"{searches.unconfirmed} of {len(searches.answers)}",
    )


def render_real_time(searches: Sequence[Searches], head: str) -> str:
    """Return the answers of searches in real time."""
    columns = (
        "queue",
        "limit",
        "tool",
        "answers",
        "answers / limit",
        "minutes",
        "requests",
        "void steps",
        "not confirmed",
    )
    return f"{head}\n\n{aligned_table(columns, map(_real_time_row, searches))}"


def _real_time_row(searches: Searches) -> tuple[str, ...]:
    rates = [answer.rate for answer in searches.answers if answer.rate]
    return (
        searches.queue,
        _limit(searches.limit),
        searches.method,
        " / ".join(f"{rate:.1f}" for rate in rates),
        " / ".join(f"{ratio:.3f}" for ratio in searches.ratios),
        f"{searches.median_seconds / 60:.1f}",
        f"{searches.median_requests:,.0f}",
        str(sum(answer.void_steps for answer in searches.answers)),
        f"{searches.unconfirmed} of {len(searches.answers)}",
    )


def _limit(limit: Limit) -> str:
    if limit.interval:
        return f"{limit.rate:.1f} ± {limit.interval:.1f}/s"
    return f"{limit.rate:.2f}/s"
