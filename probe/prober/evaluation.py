"""Evaluation of one complete response: assertions, server times, numbers of tokens and values.

The same code runs in the daemon and in the worker process. It imports neither the config's models
nor the HTTP client, which would triple the memory of the worker.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field

from probe.prober.assertions import Assertions
from probe.prober.cpu_budget import CpuBudget
from probe.prober.json_query import JsonQuery
from probe.prober.json_values import Values, read_json
from probe.prober.response import ProbeResponse
from probe.prober.server_timing import NO_SERVER_TIMES, ServerTimes, ServerTimingParser
from probe.prober.usage import read_usage
from probe.redaction import Redactor
from probe.result import Failure, TokenCounts
from probe.value_class import value_class


@value_class(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Outcome of the evaluation of one response."""

    failure: Failure | None
    server: ServerTimes = NO_SERVER_TIMES
    usage: TokenCounts | None = None
    """None if it was not read."""
    values: Values = field(default_factory=dict)
    """Those in the JSON."""


NO_EVALUATION = Evaluation(failure=None)


@value_class(frozen=True, slots=True, kw_only=True)
class EvaluationTask:
    """A complete response and what is evaluated of it. It can be pickled."""

    probe: str
    """Name of the probe."""
    assertions: Assertions | None
    """None if the status code has failed already: then only the server times are read."""
    server_timing: ServerTimingParser
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes | bytearray
    """As sent."""
    max_bytes: int
    """Maximum size of the decompressed body."""
    redactor: Redactor
    wall_seconds: float
    """Duration of the whole probe."""
    reads_usage: bool = False
    """Whether the numbers of tokens in the JSON are read."""
    queries: Mapping[str, JsonQuery] = field(default_factory=dict)
    """Where the JSON has the values that name the origin of the response."""

    def run(
        self, budget: CpuBudget, *, affordable_bytes: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluation of the response within `budget`.

        If server times, numbers of tokens or values are in the body, yield an evaluation without
        them first. It counts if reading them exceeds a limit, because they cannot fail a probe.
        Raises the error of `budget`, unless it is a TimeoutError: that one becomes a failed
        assertion or an ignored server time. Raises LocalLimitExceeded if the evaluation needs
        a decoded body larger than `affordable_bytes`.
        """
        response = ProbeResponse(
            headers=self.headers,
            body=self.body,
            max_bytes=self.max_bytes,
            affordable_bytes=affordable_bytes,
        )
        failure = None
        if self.assertions:
            failure = self.assertions.evaluate(response, budget, self.redactor)
        if self.server_timing.needs_body or self.reads_usage or self.queries:
            server = self.server_timing.parse(response, None, wall_seconds=self.wall_seconds)
            yield Evaluation(failure=failure, server=server)
        server = self.server_timing.parse(response, budget, wall_seconds=self.wall_seconds)
        usage = read_usage(response) if self.reads_usage else None
        values = read_json(self.queries, response, budget)
        yield Evaluation(failure=failure, server=server, usage=usage, values=values)
