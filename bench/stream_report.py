"""The results of the benchmark of streams as Markdown."""

from collections.abc import Iterable, Sequence

from bench.accuracy_report import render_verdicts
from bench.accuracy_results import quantile
from bench.markdown import aligned_table, format_number
from bench.stream_load import StreamLoad
from bench.stream_results import StreamAccuracy
from bench.verdict import Verdict

QUANTILES = (0.5, 0.9, 0.99)

BOUNDS = (
    "**Bounds.** With a baseline (the best peer, or the daemon without the held GIL), the bound "
    "applies to the ratio:"
)
ERRORS = (
    "**Errors** (p50 / p90 / p99 over all rounds; of the time per token without a sign). The range "
    "is that of the medians of the rounds. CPU is that of the client per token:"
)


def render_accuracies(
    accuracies: Sequence[StreamAccuracy], verdicts: Sequence[Verdict], head: str
) -> str:
    """Return the verdicts, and the errors behind them."""
    return "\n\n".join(
        (
            head,
            BOUNDS,
            render_verdicts(verdicts),
            ERRORS,
            _accuracies(accuracies),
        )
    )


def render_load(load: StreamLoad, head: str) -> str:
    """Return the verdicts on 100 streams at a time, and the cost of a token."""
    text = (
        f"{load.tokens} tokens were received, at {load.cpu * 1e6:.0f} us of CPU per token. The "
        "CPU time is that of the whole daemon, with its other probes. "
        f"{load.skipped} ticks were skipped because the host was too busy, and counted."
    )
    return "\n\n".join((head, render_verdicts(load.verdicts()), text))


def _accuracies(accuracies: Iterable[StreamAccuracy]) -> str:
    head = (
        "client",
        "streams",
        "first token error, ms",
        "range of p50, ms",
        "time per token error, %",
        "CPU, us",
        "measured",
        "failed",
    )
    return aligned_table(head, (_row(accuracy) for accuracy in accuracies))


def _row(accuracy: StreamAccuracy) -> tuple[str, ...]:
    medians = [
        quantile((error.first_token for error in run.errors), 0.5) * 1e3
        for run in accuracy.runs
        if run.errors
    ]
    spread = f"{format_number(min(medians))} to {format_number(max(medians))}" if medians else ""
    return (
        accuracy.client,
        accuracy.workload.title,
        _quantiles(error * 1e3 for error in accuracy.first_token_errors),
        spread,
        _quantiles(error * 100 for error in accuracy.time_per_token_errors),
        "" if accuracy.cpu is None else f"{accuracy.cpu * 1e6:.0f}",
        str(len(accuracy.first_token_errors)),
        str(accuracy.failed),
    )


def _quantiles(numbers: Iterable[float]) -> str:
    values = list(numbers)
    return " / ".join(format_number(quantile(values, ratio)) for ratio in QUANTILES)
