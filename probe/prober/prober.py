"""Runs one probe: request, answer, verdict. A failed probe is a result, never an exception."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import SplitResult

from requests import PreparedRequest, Response

from probe.clock import Clock
from probe.config.schema import Probe
from probe.config.secrets import Secrets
from probe.credentials import request_secrets
from probe.http.errors import BodyTooLarge
from probe.http.redirects import Redirects
from probe.http.request import RequestBuilder
from probe.http.timing import PhaseTimes, Stopwatch
from probe.prober.assertions import Assertions
from probe.prober.classify import classify
from probe.prober.excerpt import MAX_BODY_CHARS, make_excerpt
from probe.prober.response import ProbeResponse
from probe.prober.server_timing import NO_SERVER_TIMES, ServerTimingParser
from probe.redaction import (
    MAX_SECRET_CHARS,
    NO_REDACTION,
    Redactor,
    redact_config_url,
    redact_url,
)
from probe.result import Excerpt, Failure, Phase, RedirectHop, Result

READ_CHUNK_BYTES = 64 * 1024


class HttpClient(Protocol):
    """An adapter of requests that knows certificates; `Transport` outside of tests."""

    certificate_not_after: float | None

    def send(self, request: PreparedRequest, *, stream: bool) -> Response: ...

    def close(self) -> None: ...


ClientFactory = Callable[[Stopwatch, SplitResult | None], HttpClient]
"""Makes the transport of one run, on its stopwatch and through its proxy."""


@dataclass(slots=True)
class _Sighting:
    """What has been seen of an exchange so far, however it ends."""

    url: str
    """As it may be shown to anybody."""
    mask: Redactor = NO_REDACTION
    status: int | None = None
    size: int = 0
    hops: list[tuple[str, int]] = field(default_factory=list)
    """URL and status of each redirect that was followed."""
    response: Response | None = None
    """The last answer that came, with what has been read of its body's beginning."""
    beginning: bytes = b""
    answer: ProbeResponse | None = None
    """The last answer, once it is whole."""
    certificate: float | None = None


class Prober:
    """One probe, ready to be run as often as anyone likes, also at the same time."""

    def __init__(
        self, probe: Probe, secrets: Secrets, open_transport: ClientFactory, clock: Clock
    ) -> None:
        """Raises OSError when the body's file cannot be read."""
        self._probe = probe
        self._maker = RequestBuilder(probe, secrets)
        self._redirects = Redirects(self._maker, probe.redirects)
        self._judge = Assertions(probe.expect)
        self._server_times = ServerTimingParser(probe.server_timing)
        self._open_transport = open_transport
        self._clock = clock

    def run(self, due: int | None = None) -> Result:
        """Probe once; `due` is the instant (monotonic, ns) of a scheduled run.

        Whatever becomes of the request is a result. Only a bug in what is made of it is raised.
        """
        started = self._clock.monotonic()
        watch = Stopwatch(self._clock, self._probe.timeout)
        # as it is written: the path may hold a secret
        seen = _Sighting(redact_config_url(self._probe.url.source))
        failure: Failure | None
        try:
            prepared = self._maker.make()
            seen.mask = prepared.mask
            transport = self._open_transport(watch, prepared.proxy)
            try:
                seen.answer = self._exchange(transport, prepared.request, watch, seen)
                failure = self._judge(seen.answer, seen.mask)
            finally:
                watch.end_phase()
                transport.close()
                seen.certificate = transport.certificate_not_after
        except Exception as error:  # noqa: BLE001  (whatever an endpoint does becomes a result)
            failure = classify(watch.phase, error, timeout=self._probe.timeout, mask=seen.mask)
        try:
            return self._result(seen, watch.times(), failure, started=started, due=due)
        except Exception as bug:
            bug.args = tuple(
                seen.mask.cut(str(word), MAX_SECRET_CHARS) for word in bug.args
            )  # for the log
            raise

    def _result(
        self,
        seen: _Sighting,
        times: PhaseTimes,
        failure: Failure | None,
        *,
        started: int,
        due: int | None,
    ) -> Result:
        phases = times.total()
        wall = sum(phases.values()) + times.correction
        server = self._server_times(seen.answer, wall=wall) if seen.answer else NO_SERVER_TIMES
        hops = [
            RedirectHop(url=url, status=status, phases=lap)
            for (url, status), lap in zip(seen.hops, times.by_request, strict=False)
        ]
        return Result(
            probe=self._probe.name,
            started=self._clock.date(started),
            due=None if due is None else self._clock.date(due),
            phases=phases,
            failure=failure,
            status=seen.status,
            server=server.times,
            server_ignored=server.ignored,
            hops=tuple(hops),
            landing=_landing(seen, times.by_request[-1]) if hops else None,
            clock=times.clock,
            correction=times.correction,
            merged_reads=times.merged_reads,
            size=seen.size,
            certificate_not_after=seen.certificate,
            excerpt=_excerpt(seen) if failure else None,
        )

    def _exchange(
        self, transport: HttpClient, request: PreparedRequest, watch: Stopwatch, seen: _Sighting
    ) -> ProbeResponse:
        """Follow the redirects that are allowed; the last answer."""
        while True:
            response = transport.send(request, stream=True)
            seen.status, seen.response, seen.beginning = response.status_code, response, b""
            body = self._body(response, seen)
            following = self._redirects.next(response, followed=len(seen.hops))
            if following is None:
                return ProbeResponse(
                    status=response.status_code,
                    headers=response.headers,
                    body=body,
                    most=self._probe.max_bytes,
                )
            seen.hops.append((seen.url, response.status_code))
            watch.next_request()
            request = following
            seen.mask = seen.mask.also(request_secrets(request))  # it may be signed
            seen.url = seen.mask(redact_url(request.url or ""))
            seen.status, seen.size, seen.response = None, 0, None

    def _body(self, response: Response, seen: _Sighting) -> bytes:
        """The whole body, no more than `max_bytes`."""
        parts: list[bytes] = []
        for part in response.iter_content(READ_CHUNK_BYTES):
            parts.append(part)
            seen.size += len(part)
            if len(seen.beginning) < MAX_BODY_CHARS:
                seen.beginning += part[:MAX_BODY_CHARS]
            if seen.size > self._probe.max_bytes:
                raise BodyTooLarge(
                    f"the body is larger than {self._probe.max_bytes} bytes (`max_bytes`)"
                )
        return b"".join(parts)


def _landing(seen: _Sighting, phases: Mapping[Phase, float]) -> RedirectHop:
    return RedirectHop(url=seen.url, status=seen.status, phases=phases)


def _excerpt(seen: _Sighting) -> Excerpt | None:
    if seen.response is None:
        return None
    return make_excerpt(seen.response.headers, seen.beginning, seen.mask)
