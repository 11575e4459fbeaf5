"""Runs one probe: builds and sends the request, and evaluates the response."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult

from requests import PreparedRequest, Response

from probe.clock import Clock, nanoseconds
from probe.config.choices import Dimension
from probe.config.secrets import Secrets
from probe.config.settings import Probe
from probe.http.errors import BodyIncomplete, ProbeError
from probe.http.redirects import Redirects
from probe.http.request import RequestBuilder, describe_request
from probe.http.request_secrets import find_request_secrets
from probe.http.request_variables import RequestVariables
from probe.http.shared_request import add_traceparent
from probe.http.stopwatch import PhaseTimes, Stopwatch, Timestamp
from probe.http.trace_context import TRACEPARENT, new_trace_id, traceparent
from probe.prober.assertions import Assertions
from probe.prober.body import BodyConsumer, ResponseBody
from probe.prober.classify_failure import classify, find_status_failure
from probe.prober.cold_signals import COLD_VALUE, ColdSignals
from probe.prober.evaluation import NO_EVALUATION, Evaluation, EvaluationTask
from probe.prober.evaluator import Evaluator
from probe.prober.excerpt import make_excerpt
from probe.prober.json_values import NO_VALUES
from probe.prober.response_values import ResponseValues, public_text
from probe.prober.server_timing import HEADER_NAME as SERVER_TIMING
from probe.prober.server_timing import ServerTimingParser, read_server_timing
from probe.prober.stream_errors import StreamFailure
from probe.prober.stream_format import StreamFormat
from probe.prober.stream_reader import StreamDeadlines, StreamReader, first_token_timeout_failure
from probe.prober.stream_verdict import find_stream_failure, require_stream
from probe.redaction import MAX_SECRET_CHARS, NO_REDACTION, Redactor, redact_url
from probe.result import Excerpt, Failure, Phase, Reason, RedirectHop, Result

READ_CHUNK_BYTES = 64 * 1024


class HttpClient(Protocol):
    """Sends the requests of one run: an adapter of the library `requests` with more attributes."""

    certificate_not_after: float | None

    @property
    def last_received(self) -> Timestamp:
        """When the last bytes of the current response arrived."""

    def send(self, request: PreparedRequest) -> Response: ...

    def close(self) -> None: ...


class ClientFactory(Protocol):
    """Opens the client of one run. Without `use_pool` it shares no connection with other runs."""

    def __call__(
        self, stopwatch: Stopwatch, proxy: SplitResult | None, *, use_pool: bool
    ) -> HttpClient: ...


@dataclass(slots=True)
class _Exchange:
    """State of one run's requests and responses, also if it fails halfway."""

    url: str
    """The current URL, without secrets."""
    trace_id: str | None
    payload: str | None = None
    """Name of the payload that was sent."""
    scheme: str | None = None
    """The scheme of the current URL, once the request is built."""
    redactor: Redactor = NO_REDACTION
    status: int | None = None
    hops: list[tuple[str, int]] = field(default_factory=list)
    """URL and status of each redirect that was followed."""
    last_response: Response | None = None
    """The last response whose headers are complete."""
    body: ResponseBody | None = None
    """Its body, as far as it was received."""
    stream: StreamReader | None = None
    """Reads its body if it is a stream."""
    is_complete: bool = False
    """Whether `last_response` is the final response and its body is complete."""
    certificate_not_after: float | None = None


class _ResponseTraits(NamedTuple):
    """Version, segment and cold start of a response; None for what the probe does not read."""

    version: str | None = None
    segment: str | None = None
    cold: bool | None = None
    """Whether it waited for a cold start."""


_NO_TRAITS = _ResponseTraits()


class Prober:
    """One probe, ready to run any number of times, also concurrently."""

    def __init__(
        self,
        probe: Probe,
        secrets: Secrets,
        open_client: ClientFactory,
        clock: Clock,
        evaluator: Evaluator,
        *,
        read_file: Callable[[Path], bytes] = Path.read_bytes,
        is_sampled: bool = False,
    ) -> None:
        """Compile `probe`. Raises OSError if the body's file cannot be read with `read_file`.

        `is_sampled` asks servers to record the traces of the requests.
        """
        self._probe = probe
        self._request = describe_request(probe)
        variables = RequestVariables()
        builders = [
            RequestBuilder(request, secrets, read_file, variables)
            for request in probe.payload_probes()
        ]
        names: list[str | None] = [payload.name for payload in probe.payloads] or [None]
        # The payloads take turns, also of concurrent runs: a step of `cycle` is atomic.
        self._next_request = cycle(list(zip(names, builders, strict=True)))
        self._redirects = Redirects(builders[0], probe.redirects)
        self._assertions = Assertions(probe.expect)
        self._server_timing = ServerTimingParser(probe.server_timing)
        self._stream_format = StreamFormat.compile(probe.stream) if probe.stream else None
        self._stream_deadlines = StreamDeadlines(
            first_token=probe.first_token_timeout, stall=probe.stall_timeout
        )
        self._response_values = ResponseValues(probe)
        self._cold_signals = ColdSignals(probe.cold) if probe.cold else None
        self._reads_traits = self._response_values.is_used or self._cold_signals is not None
        # The numbers of tokens of a stream are in its events.
        self._reads_usage = probe.counts_tokens and probe.stream is None
        needs_body = (
            self._assertions.needs_body
            or self._server_timing.needs_body
            or self._reads_usage
            or bool(self._response_values.queries)
        )
        self._always_evaluates = (
            needs_body or self._assertions.needs_headers or self._server_timing.has_mapping
        )
        self._evaluator = evaluator
        self._body_memory = evaluator.body_memory if needs_body else None
        self._open_client = open_client
        self._clock = clock
        self._has_trace = TRACEPARENT not in map(str.lower, probe.headers)
        self._is_sampled = is_sampled
        self._has_responded = False
        """Whether a run has received a complete response."""

    def run(self, due: int | None = None) -> Result:
        """Probe once. `due` is the time (monotonic ns) of a scheduled run.

        A run on demand (`due` is None) opens its own connection, also with `connection: reuse`:
        if it took one from the pool, the next scheduled run would have to connect.
        Errors of the request and the response become a failed result. Only bugs while building the
        result are raised.
        """
        started = self._clock.monotonic()
        stopwatch = Stopwatch(self._clock, self._probe.timeout)
        if self._probe.first_token_timeout is not None:
            stopwatch.deadline.set_interim(started + nanoseconds(self._probe.first_token_timeout))
        exchange = _Exchange(
            self._request.url,
            trace_id=new_trace_id() if self._has_trace else None,
        )
        failure = None
        try:
            self._attempt(stopwatch, exchange, use_pool=due is not None)
        except Exception as error:  # noqa: BLE001  (every error becomes a failed result)
            failure = classify(
                stopwatch.phase,
                error,
                timeout=self._current_timeout(stopwatch),
                redactor=exchange.redactor,
                may_need_tls=exchange.scheme == "http" and not self._has_responded,
            )
        try:
            return self._result(exchange, stopwatch.times(), failure, started=started, due=due)
        except Exception as bug:
            # The message goes to the log and may quote the response.
            bug.args = tuple(
                exchange.redactor.truncate(str(argument), MAX_SECRET_CHARS) for argument in bug.args
            )
            bug.__cause__ = bug.__context__ = None  # their messages may quote it, too
            raise
        finally:
            if exchange.body:
                exchange.body.discard()

    def _current_timeout(self, stopwatch: Stopwatch) -> float:
        """Return the timeout (seconds) that applies now: a first token has its own."""
        first_token = self._stream_deadlines.first_token
        if first_token is not None and stopwatch.deadline.has_interim:
            return first_token
        return self._probe.timeout

    def _attempt(self, stopwatch: Stopwatch, exchange: _Exchange, *, use_pool: bool) -> None:
        """Send the request and receive the response. Raises the errors of both."""
        exchange.payload, builder = next(self._next_request)
        built = builder.build(stopwatch.deadline.seconds_left)
        exchange.redactor = built.redactor
        client = self._open_client(stopwatch, built.proxy, use_pool=use_pool)
        try:
            self._follow(client, built.request, stopwatch, exchange)
            self._has_responded = True
        finally:
            stopwatch.end_phase()
            client.close()
            exchange.certificate_not_after = client.certificate_not_after

    def _follow(
        self,
        client: HttpClient,
        request: PreparedRequest,
        stopwatch: Stopwatch,
        exchange: _Exchange,
    ) -> None:
        """Send `request`, follow its redirects, and receive the final response."""
        while True:
            # With more URLs than it caches, `urlsplit` takes 17 µs, 3 % of a run.
            exchange.scheme = (request.url or "").partition(":")[0].lower()
            if exchange.trace_id:
                request = add_traceparent(
                    request,
                    traceparent(exchange.trace_id, len(exchange.hops), sampled=self._is_sampled),
                )
            response = self._send(client, request, stopwatch)
            exchange.status = response.status_code
            exchange.last_response = response
            is_stream = self._is_stream(response)
            exchange.body = ResponseBody(
                self._probe.max_bytes, self._body_memory, keeps_content=not is_stream
            )
            if is_stream:
                self._read_stream(client, response, stopwatch, exchange)
            else:
                _read_body(client, response, exchange.body)
                stopwatch.end_phase(client.last_received)
            next_request = self._redirects.next_request(response, followed=len(exchange.hops))
            if next_request is None:
                exchange.is_complete = True
                return
            request = next_request
            exchange.hops.append((exchange.url, response.status_code))
            stopwatch.next_request()
            # The redirect's URL may be signed.
            exchange.redactor = exchange.redactor.with_secrets(find_request_secrets(request))
            exchange.url = exchange.redactor(redact_url(request.url or ""))
            exchange.body.discard()
            exchange.status, exchange.last_response, exchange.body = None, None, None

    def _send(self, client: HttpClient, request: PreparedRequest, stopwatch: Stopwatch) -> Response:
        """Return the response, read up to its headers."""
        try:
            return client.send(request)
        except TimeoutError:
            # Some servers send the headers together with the first token.
            if stopwatch.phase is Phase.WAIT and stopwatch.deadline.has_interim:
                raise first_token_timeout_failure(self._stream_deadlines) from None
            raise

    def _is_stream(self, response: Response) -> bool:
        """Return whether the body is read as a stream. Responses with other statuses are short."""
        if self._stream_format is None:
            return False
        return self._probe.expect.allows(response.status_code) and not response.is_redirect

    def _read_stream(
        self, client: HttpClient, response: Response, stopwatch: Stopwatch, exchange: _Exchange
    ) -> None:
        """Read the stream to its end. Raises StreamFailure, and the errors of receiving.

        Once the stream is complete, the end of the body may be late or missing.
        """
        assert self._stream_format, "the probe has a stream"
        assert exchange.body, "the response has begun"
        require_stream(self._stream_format, response.headers)
        stream = StreamReader(
            self._stream_format,
            self._stream_deadlines,
            stopwatch,
            values=self._response_values.new_reader(),
            keeps_text=self._assertions.needs_body,
        )
        exchange.stream = stream
        try:
            _read_body(client, response, exchange.body, stream)
        except StreamFailure:
            stopwatch.end_phase(client.last_received)
            raise
        except BodyIncomplete:
            stream.close(body_is_complete=False)
        except (OSError, ProbeError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            if not stream.is_complete:
                passed = stream.timed_out() if isinstance(error, TimeoutError) else None
                raise passed or error from None
        else:
            stream.close(body_is_complete=True)

    def _evaluate(self, exchange: _Exchange, wall_seconds: float) -> Evaluation:
        """Evaluate the complete response. `wall_seconds` is the duration of the run until now."""
        response, body = exchange.last_response, exchange.body
        assert response is not None, "the response is complete"
        assert body is not None, "the response is complete"
        status_failure = find_status_failure(
            self._probe.expect, response.status_code, response.request.method
        )
        evaluation = NO_EVALUATION
        if self._always_evaluates:
            evaluation = self._evaluator.evaluate(
                EvaluationTask(
                    probe=self._probe.name,
                    assertions=None if status_failure else self._assertions,
                    server_timing=self._server_timing,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=exchange.stream.text if exchange.stream else body.content,
                    max_bytes=self._probe.max_bytes,
                    redactor=exchange.redactor,
                    wall_seconds=wall_seconds,
                    reads_usage=self._reads_usage and not status_failure,
                    queries={} if status_failure else self._response_values.queries,
                )
            )
        # A response of which only the status and this header count needs no lock and no CPU budget,
        # whose clock is a system call. A run takes 20 µs less.
        elif header := response.headers.get(SERVER_TIMING):
            server = read_server_timing(header, wall_seconds=wall_seconds)
            evaluation = Evaluation(failure=None, server=server)
        if status_failure:
            return replace(evaluation, failure=status_failure)
        if self._stream_format and not exchange.stream:
            detail = f"the response with the status {response.status_code} is not a stream"
            return Evaluation(failure=Failure(reason=Reason.ASSERTION, detail=detail))
        if exchange.stream and (
            failure := find_stream_failure(exchange.stream, self._probe.expect, exchange.redactor)
        ):
            return replace(evaluation, failure=failure)
        return evaluation

    def _traits(self, exchange: _Exchange, evaluation: Evaluation) -> _ResponseTraits:
        """Return the traits of the response, also of an incomplete one."""
        response = exchange.last_response
        if response is None:
            return _ResponseTraits(cold=False if self._cold_signals else None)
        headers = self._response_values.read_headers(response.headers)
        events = exchange.stream.values if exchange.stream else NO_VALUES
        values = {**headers, **evaluation.values, **events}
        cold = None
        if self._cold_signals:
            cold = self._cold_signals.detect(
                response.headers,
                values.get(COLD_VALUE),
                evaluation.failure,
                status=response.status_code,
                body_start=exchange.body.start if exchange.body else b"",
            )
        return _ResponseTraits(
            version=public_text(values.get(Dimension.VERSION), exchange.redactor),
            segment=public_text(values.get(Dimension.SEGMENT), exchange.redactor),
            cold=cold,
        )

    def _result(
        self,
        exchange: _Exchange,
        times: PhaseTimes,
        failure: Failure | None,
        *,
        started: int,
        due: int | None,
    ) -> Result:
        phases = times.total()
        if exchange.is_complete:
            evaluation = self._evaluate(exchange, sum(phases.values()) + times.correction)
        else:
            evaluation = Evaluation(failure=failure)
        # Most probes configure neither version, segment nor cold.
        traits = self._traits(exchange, evaluation) if self._reads_traits else _NO_TRAITS
        hops, final_hop = _hops(exchange, times.by_request)
        return Result(
            probe=self._probe.name,
            started=self._clock.to_datetime(started),
            due=None if due is None else self._clock.to_datetime(due),
            phases=phases,
            failure=evaluation.failure,
            status=exchange.status,
            server=evaluation.server.times,
            server_ignored=evaluation.server.ignored,
            hops=hops,
            final_hop=final_hop,
            clock=times.clock,
            correction=times.correction,
            merged_reads=times.merged_reads,
            size=exchange.body.size if exchange.body else 0,
            stream=exchange.stream.result(times, exchange.redactor) if exchange.stream else None,
            usage=evaluation.usage,
            payload=exchange.payload,
            version=traits.version,
            cold=traits.cold,
            segment=traits.segment,
            certificate_not_after=exchange.certificate_not_after,
            request=self._request,
            trace_id=exchange.trace_id,
            excerpt=_excerpt(exchange) if evaluation.failure else None,
        )


def _read_body(client: HttpClient, response: Response, *consumers: BodyConsumer) -> None:
    """Pass the body to each of `consumers` while it arrives."""
    for data in response.iter_content(READ_CHUNK_BYTES):
        for consumer in consumers:
            consumer.feed(data, client.last_received)


def _hops(
    exchange: _Exchange, phases: Sequence[dict[Phase, float]]
) -> tuple[tuple[RedirectHop, ...], RedirectHop | None]:
    """Return the redirects, and the hop after them, if there are any.

    `phases` has the phases of each request (seconds).
    """
    if not exchange.hops:
        return (), None
    hops = tuple(
        RedirectHop(url=url, status=status, phases=hop_phases)
        for (url, status), hop_phases in zip(exchange.hops, phases, strict=False)
    )
    return hops, RedirectHop(url=exchange.url, status=exchange.status, phases=phases[-1])


def _excerpt(exchange: _Exchange) -> Excerpt | None:
    if exchange.last_response is None or exchange.body is None:
        return None
    headers, body = exchange.last_response.headers, exchange.body
    end = body.end if exchange.stream else b""
    return make_excerpt(headers, body.start, exchange.redactor, size=body.size, body_end=end)
