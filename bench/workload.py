"""What is probed and how, and what came of it."""

from dataclasses import dataclass, field

from bench.reference_server import Log

WARM_UP = 1.0
"""Seconds at the start of a run that do not count."""

HISTORY = 140.0
"""Seconds until each probe, once a second, has the 128 results that are kept: until then memory has
to grow.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Probes a second, on which connections, and whether a thread holds the prober's GIL."""

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
        held = ", GIL held" if self.gil else ""
        return f"{self.scheme}, {self.rate}/s, {self.connection}{held}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a prober says of one probe: its start in Unix time, the rest in seconds.

    `number` is that of the request; `wait` is its measure of the time to the first byte, None when
    there was no answer.
    """

    number: int
    started: float
    wait: float | None
    total: float
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """By how many seconds a probe overstates the server's time; it ran from then to then (Unix)."""

    started: float
    ended: float
    wait: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a prober: the errors of its probes, and its CPU time (seconds) for each."""

    errors: list[Error] = field(default_factory=list)
    failed: int = 0
    cpu: float = 0.0


def compare(claims: list[Claim], log: Log, *, since: float) -> tuple[list[Error], int]:
    """The errors of what was claimed of probes that started since then, and how many failed.

    A probe that the server knows nothing of has failed, whatever the prober says.
    """
    errors = []
    failed = 0
    for claim in claims:
        if claim.started < since:
            continue
        served = log.find(claim.number, claim.started)
        if claim.failed or claim.wait is None or served is None:
            failed += 1
            continue
        errors.append(
            Error(
                started=claim.started,
                ended=claim.started + claim.total,
                wait=claim.wait - served.took,
                total=claim.total - served.whole,
            )
        )
    return errors, failed
