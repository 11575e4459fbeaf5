"""Workloads of the benchmark of streams, and the errors of the times that a client reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.reference_server import ServedStream, StreamShape

# Streams that begin in the first second of a run are not measured.
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWorkload:
    """Streams at a constant rate, and whether a thread holds the client's GIL."""

    name: str
    shape: StreamShape
    rate: int
    """Streams that begin in a second. Times their duration, it is the mean number at a time."""
    gil: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}, GIL held" if self.gil else self.name


# Streams of 0.15 s begin 0.25 s apart.
IDLE = StreamWorkload(name="idle", rate=4, shape=StreamShape(first_token=0.05, tokens=11, gap=0.01))
# 50 streams of 0.5 s at a time, 50 tokens/s each.
BUSY = StreamWorkload(
    name="50 streams", rate=100, shape=StreamShape(first_token=0.1, tokens=21, gap=0.02)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedStream:
    """The times that a client reports for one stream, in seconds.

    `id` is that of the server. Times are None if the client reports a failure or no time.
    """

    id: int
    first_token: float | None
    time_per_token: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimeError:
    """The reported times of a stream minus the true ones.

    `first_token` is in seconds, `time_per_token` is a share of the true time.
    """

    first_token: float
    time_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """One run of a client: errors and number of failures of its streams."""

    errors: list[StreamTimeError] = field(default_factory=list)
    failed: int = 0
    cpu: float | None = None
    """CPU seconds per token, None if the client does not tell them."""


def compare(
    reports: Iterable[ReportedStream], served: Mapping[int, ServedStream], shape: StreamShape
) -> tuple[list[StreamTimeError], int]:
    """Return the errors, and the number of streams that failed or are not in the server's log."""
    errors = []
    failed = 0
    for report in reports:
        stream = served.get(report.id)
        if stream is None or report.first_token is None or report.time_per_token is None:
            failed += 1
            continue
        true_time = stream.time_per_token(shape.tokens)
        errors.append(
            StreamTimeError(
                first_token=report.first_token - stream.first_token,
                time_per_token=(report.time_per_token - true_time) / true_time,
            )
        )
    return errors, failed
