"""Workloads of the accuracy benchmark, and the errors of the times that a prober reports."""

from dataclasses import dataclass, field

from bench.reference_server import RequestLog

# The first second of each run is not measured.
WARM_UP_SECONDS = 1.0

# Until each probe, once a second, has its maximum of 128 retained results, memory has to grow.
HISTORY_SECONDS = 140.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Probes per second, their connections, and whether a thread holds the prober's GIL."""

    rate: int
    tls: bool
    reuse: bool = False
    gil: bool = False

    @property
    def scheme(self) -> str:
        return "TLS" if self.tls else "plain"

    @property
    def connection(self) -> str:
        return "reused" if self.reuse else "new"

    def __str__(self) -> str:
        suffix = ", GIL held" if self.gil else ""
        return f"{self.scheme}, {self.rate}/s, {self.connection}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTimes:
    """The times that a prober reports for one probe, in seconds; `started` is Unix time.

    `number` is that of the request. `wait` is the time to the first byte, None without a response.
    """

    number: int
    started: float
    wait: float | None
    total: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingError:
    """The reported times of a probe minus the true ones (seconds), and when it ran (Unix time)."""

    started: float
    ended: float
    wait: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a prober: errors and number of failures of its probes, CPU seconds per probe."""

    errors: list[TimingError] = field(default_factory=list)
    failed: int = 0
    cpu: float = 0.0


def compare(
    reports: list[ReportedTimes], log: RequestLog, *, since: float
) -> tuple[list[TimingError], int]:
    """Return the errors of the probes that started at `since` or later, and how many failed.

    A probe whose request is not in the log has failed, also if the prober reports a success.
    """
    errors = []
    failed = 0
    for report in reports:
        if report.started < since:
            continue
        request = log.find(report.number, report.started)
        if report.failed or report.wait is None or request is None:
            failed += 1
            continue
        errors.append(
            TimingError(
                started=report.started,
                ended=report.started + report.total,
                wait=report.wait - request.duration,
                total=report.total - request.duration_with_handshake,
            )
        )
    return errors, failed
