"""Runs one probe: request, answer, verdict. A failed probe is a result, never an exception."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from probe.clock import Clock
from probe.measure.checks import Judgement, Observed
from probe.measure.errors import TooLarge
from probe.measure.failure import classify
from probe.measure.redirects import Redirects
from probe.measure.request import RequestMaker
from probe.measure.stopwatch import Stopwatch
from probe.settings.schema import Probe
from probe.settings.secrets import Secrets
from probe.vocabulary import Failure, Hop, Result

CHUNK = 64 * 1024

OpenTransport = Callable[[Stopwatch, SplitResult | None], BaseAdapter]
"""Makes the adapter of one run, on its stopwatch and through its proxy."""


@dataclass(slots=True)
class _Sighting:
    """What has been seen of an exchange so far, however it ends."""

    status: int | None = None
    size: int = 0
    hops: list[tuple[str, int]] = field(default_factory=list)
    """URL and status of each redirect that was followed."""


class Prober:
    """One probe, ready to be run as often as anyone likes, also at the same time."""

    def __init__(
        self, probe: Probe, secrets: Secrets, open_transport: OpenTransport, clock: Clock
    ) -> None:
        """Raises OSError when the body's file cannot be read."""
        self._probe = probe
        self._maker = RequestMaker(probe, secrets)
        self._redirects = Redirects(self._maker, probe.redirects)
        self._judge = Judgement(probe.expect, probe.max_bytes)
        self._open_transport = open_transport
        self._clock = clock

    def run(self, due: int | None = None) -> Result:
        """Probe once; `due` is the instant (monotonic, ns) of a scheduled run."""
        started = self._clock.monotonic()
        watch = Stopwatch(self._clock, self._probe.timeout)
        seen = _Sighting()
        certificate = None
        failure: Failure | None
        try:
            request, proxy = self._maker.make()
            transport = self._open_transport(watch, proxy)
            try:
                failure = self._judge(self._exchange(transport, request, watch, seen))
            finally:
                watch.end()
                transport.close()
                certificate = getattr(transport, "certificate_not_after", None)
        except Exception as error:  # noqa: BLE001  (whatever an endpoint does becomes a result)
            failure = classify(watch.phase, error, timeout=self._probe.timeout)
        times = watch.times()
        hops = zip(seen.hops, times.laps, strict=False)
        return Result(
            probe=self._probe.name,
            started=self._clock.date(started),
            due=None if due is None else self._clock.date(due),
            phases=times.phases(),
            failure=failure,
            status=seen.status,
            hops=tuple(Hop(url=url, status=code, phases=lap) for (url, code), lap in hops),
            clock=times.clock,
            correction=times.correction,
            merged_reads=times.merged,
            size=seen.size,
            certificate_not_after=certificate,
        )

    def _exchange(
        self, transport: BaseAdapter, request: PreparedRequest, watch: Stopwatch, seen: _Sighting
    ) -> Observed:
        """Follow the redirects that are allowed; the last answer."""
        while True:
            response = transport.send(request, stream=True)
            seen.status = response.status_code
            body = self._body(response, seen)
            following = self._redirects.next(response, followed=len(seen.hops))
            if following is None:
                return Observed(status=response.status_code, headers=response.headers, body=body)
            # as it is written: the path of the first may hold a secret
            url = response.url if seen.hops else self._probe.url.source
            seen.hops.append((_shown(url), response.status_code))
            watch.lap()
            seen.status, seen.size = None, 0
            request = following

    def _body(self, response: Response, seen: _Sighting) -> bytes:
        """The whole body, no more than `max_bytes`."""
        parts: list[bytes] = []
        for part in response.iter_content(CHUNK):
            parts.append(part)
            seen.size += len(part)
            if seen.size > self._probe.max_bytes:
                raise TooLarge(
                    f"the body is larger than {self._probe.max_bytes} bytes (`max_bytes`)"
                )
        return b"".join(parts)


def _shown(url: str) -> str:
    """A URL without what may be secret: user, password, query, fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
