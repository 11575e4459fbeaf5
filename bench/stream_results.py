"""Results of the benchmark of streams, and its acceptance criteria."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from bench.accuracy_results import DAEMON, quantile
from bench.stream_workload import StreamRun, StreamWorkload
from bench.verdict import Verdict

FIRST_TOKEN_P50, FIRST_TOKEN_P99 = "first token error, p50", "first token error, p99"
GIL_HELD = "first token error with the GIL held, p50"
TIME_PER_TOKEN = "time per token error, p50"

# Highest values: milliseconds, ratio to the best peer, ratio without the GIL held, percent.
MAX_FIRST_TOKEN_P50_MS = 0.2
MAX_FIRST_TOKEN_P99_RATIO = 0.3
MAX_GIL_RATIO = 2.0
MAX_TIME_PER_TOKEN_PERCENT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAccuracy:
    """All runs of a client on a workload."""

    client: str
    workload: StreamWorkload
    runs: tuple[StreamRun, ...]

    @property
    def first_token_errors(self) -> list[float]:
        """In seconds."""
        return [error.first_token for run in self.runs for error in run.errors]

    @property
    def time_per_token_errors(self) -> list[float]:
        """As shares of the true time, without a sign."""
        return [abs(error.time_per_token) for run in self.runs for error in run.errors]

    @property
    def failed(self) -> int:
        return sum(run.failed for run in self.runs)

    @property
    def cpu(self) -> float | None:
        """CPU seconds per token, None if the client does not tell them."""
        values = [run.cpu for run in self.runs if run.cpu is not None]
        return fmean(values) if values else None

    def first_token_ms(self, ratio: float) -> float:
        """Return a quantile of the errors of the first token, in milliseconds."""
        return quantile(self.first_token_errors, ratio) * 1e3


def evaluate(accuracies: Sequence[StreamAccuracy]) -> Iterator[Verdict]:
    """Yield a verdict for each criterion and each workload of the daemon."""
    measured = [accuracy for accuracy in accuracies if accuracy.first_token_errors]
    for daemon in measured:
        if daemon.client != DAEMON:
            continue
        peers = [
            accuracy
            for accuracy in measured
            if accuracy.client != DAEMON and accuracy.workload == daemon.workload
        ]
        without_gil = replace(daemon.workload, gil=False)
        if daemon.workload.gil:
            idle = [
                accuracy
                for accuracy in measured
                if accuracy.client == DAEMON and accuracy.workload == without_gil
            ]
            yield from (_gil_held(daemon, accuracy) for accuracy in idle)
        yield from _verdicts(daemon, peers)


def _verdicts(daemon: StreamAccuracy, peers: Sequence[StreamAccuracy]) -> Iterator[Verdict]:
    where = daemon.workload.title
    yield Verdict(
        criterion=FIRST_TOKEN_P50,
        where=where,
        value=daemon.first_token_ms(0.5),
        unit="ms",
        bound=MAX_FIRST_TOKEN_P50_MS,
    )
    if peers:
        best = min(peers, key=lambda peer: peer.first_token_ms(0.99))
        yield Verdict(
            criterion=FIRST_TOKEN_P99,
            where=f"{where}, best peer {best.client}",
            value=daemon.first_token_ms(0.99),
            baseline=best.first_token_ms(0.99),
            unit="ms",
            bound=MAX_FIRST_TOKEN_P99_RATIO,
        )
    yield Verdict(
        criterion=TIME_PER_TOKEN,
        where=where,
        value=quantile(daemon.time_per_token_errors, 0.5) * 100,
        unit="%",
        bound=MAX_TIME_PER_TOKEN_PERCENT,
    )


def _gil_held(held: StreamAccuracy, idle: StreamAccuracy) -> Verdict:
    return Verdict(
        criterion=GIL_HELD,
        where=held.workload.title,
        value=held.first_token_ms(0.5),
        baseline=idle.first_token_ms(0.5),
        unit="ms",
        bound=MAX_GIL_RATIO,
    )
