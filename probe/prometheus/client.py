"""Client of the query API of Prometheus, which Mimir, Thanos and VictoriaMetrics have, too."""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from probe.clock import DAY_SECONDS
from probe.prometheus.series import Series
from probe.remote_server import RemoteServer, failure_reason

# Longer than the default --query.timeout of Prometheus, which then responds with an error.
TIMEOUT_SECONDS = 130.0
CONNECT_TIMEOUT_SECONDS = 10.0

# Time that one query of a long period reads: with a scrape interval of 15 s, 5,760 samples of each
# series. Servers limit the samples of one query, by default to 50 million.
CHUNK_SECONDS: float = DAY_SECONDS

_API_PATH = "/api/v1"

# Characters of a response that is no JSON, in an error message.
MAX_MESSAGE_CHARS = 300

# Thanos: an error instead of a part of the data, and no samples of lower resolution. Other servers
# ignore these parameters.
_COMPLETE_DATA = {"partial_response": "false", "max_source_resolution": "0s"}

# Called with the time (Unix seconds) until which a long period has been read.
OnProgress = Callable[[float], None]


class PrometheusError(Exception):
    """A query failed, or its result is not complete. The message is for users."""


class PrometheusClient:
    """Sends queries to one server, one at a time. Close it, or use it in a `with` statement."""

    def __init__(self, server: RemoteServer) -> None:
        self._server = server
        self._session = requests.Session()
        self._session.headers.update(server.request_headers)
        if server.tls:
            self._session.mount("https://", _TlsAdapter(server.tls, server.server_name))
        self.warnings: set[str] = set()
        """Warnings about the results of all queries so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._session.close()

    @property
    def url(self) -> str:
        return self._server.url

    def instant(self, expression: str, time: float | None = None) -> list[Series]:
        """Return the result of an instant query at `time` (Unix seconds; None: now).

        Raises PrometheusError.
        """
        parameters = {"query": expression}
        if time is not None:
            parameters["time"] = _timestamp(time)
        return self._query("query", parameters)

    def samples(
        self,
        selector: str,
        start: float,
        end: float,
        *,
        chunk_seconds: float = CHUNK_SECONDS,
    ) -> Iterator[list[Series]]:
        """Yield the stored samples after `start` until `end` (Unix seconds), in chunks.

        These are the scraped values and times, without those that a range query interpolates. A
        chunk has the samples of all series in `chunk_seconds`, so memory is needed for one chunk
        only. Raises PrometheusError.
        """
        for first, last in chunks(start, end, chunk_seconds):
            yield self.samples_of_chunk(selector, first, last)

    def samples_of_chunk(self, selector: str, start: float, end: float) -> list[Series]:
        """Return the stored samples after `start` until `end` (Unix seconds) with one query.

        Raises PrometheusError.
        """
        milliseconds = round((end - start) * 1000)
        if milliseconds <= 0:
            return []
        found = self.instant(f"{selector}[{milliseconds}ms]", end)
        # Prometheus before version 3 includes a sample at the beginning of the range, which is also
        # at the end of the previous chunk.
        return list(_without_empty(_after(series, start) for series in found))

    def rule_groups(self) -> list[dict[str, Any]]:
        """Return the groups of rules as the server describes them. Raises PrometheusError."""
        try:
            groups: list[dict[str, Any]] = self._send("GET", "rules", {})["data"]["groups"]
        except (LookupError, TypeError):
            raise self._error("responds with JSON that is not that of Prometheus") from None
        return groups

    def _query(self, endpoint: str, parameters: Mapping[str, str]) -> list[Series]:
        document = self._send("POST", endpoint, {**_COMPLETE_DATA, **parameters})
        self.warnings.update(document.get("warnings", ()))
        try:
            data = document["data"]
            if data["resultType"] not in ("vector", "matrix"):
                raise PrometheusError(
                    f"{parameters['query']} is a {data['resultType']}, not a series"
                )
            return [Series.of(item) for item in data["result"]]
        except (LookupError, TypeError, ValueError):
            raise self._error("responds with JSON that is not that of Prometheus") from None

    def _send(self, method: str, endpoint: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the document of a successful response. Raises PrometheusError."""
        try:
            response = self._session.request(
                method,
                f"{self.url.rstrip('/')}{_API_PATH}/{endpoint}",
                data=parameters,
                auth=_Authorization(self._server.authorization),
                timeout=(CONNECT_TIMEOUT_SECONDS, TIMEOUT_SECONDS),
                allow_redirects=False,  # to another host without the headers of this one
            )
        except (requests.RequestException, OSError) as error:
            raise self._error(_failure(error)) from None
        document = _json(response)
        if document is None or document.get("status") != "success":
            raise self._error(_refusal(response, document, self.url))
        return document

    def _error(self, message: str) -> PrometheusError:
        return PrometheusError(f"the Prometheus server {self.url} {message}")


class _Authorization(AuthBase):
    """Sets the header `Authorization`. Without one, requests would read a user from ~/.netrc."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class _TlsAdapter(HTTPAdapter):
    """Connects with a given context, to which requests would add the certificates of certifi."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self._context = context
        self._server_name = server_name
        super().__init__()

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        options["ssl_context"] = self._context
        if self._server_name:
            options["server_hostname"] = options["assert_hostname"] = self._server_name
        super().init_poolmanager(connections, maxsize, block, **options)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the context unchanged."""


def chunks(
    start: float, end: float, seconds: float = CHUNK_SECONDS
) -> Iterator[tuple[float, float]]:
    """Yield the start and the end of successive chunks of a period."""
    while start < end:
        yield start, min(start + seconds, end)
        start += seconds


def _timestamp(time: float) -> str:
    return f"{time:.3f}"


def _after(series: Series, start: float) -> Series:
    """Return the samples later than `start`, which is compared in milliseconds."""
    first = round(start * 1000)
    samples = [sample for sample in series.samples if round(sample.time * 1000) > first]
    return Series(series.labels, samples)


def _without_empty(found: Iterable[Series]) -> Iterator[Series]:
    return (series for series in found if series.samples)


def _json(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object of a response; None if there is none."""
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _refusal(response: requests.Response, document: Mapping[str, Any] | None, url: str) -> str:
    """Return what a response without a result from `url` says, and what to do."""
    if document and "error" in document:
        message = str(document["error"])
    else:
        message = " ".join(response.text[:MAX_MESSAGE_CHARS].split())
    match response.status_code:
        case 401 | 403:
            advice = "check --prometheus.username, the bearer token and --prometheus.header"
            refusal = f"refuses (status {response.status_code}): {message or 'no reason'}; {advice}"
        case 404 if url.rstrip("/").endswith(_API_PATH):
            refusal = f"has no query API at this path (status 404); omit {_API_PATH} in its URL"
        case 404:
            advice = "correct its URL; Mimir has the API under the path /prometheus"
            refusal = f"has no query API at this path (status 404); {advice}"
        case 413:
            # The daemon accepts no request with a body.
            advice = "is this the URL of inference-probe? Write that of Prometheus"
            refusal = f"rejects the query as too large (status 413); {advice}"
        case 422 if "too many samples" in message:
            advice = "write a shorter period, or raise --query.max-samples of the server"
            refusal = f"cannot run the query (status 422): {message}; {advice}"
        case status if 300 <= status < 400:
            refusal = f"redirects to {response.headers.get('Location', 'nowhere')}; write that URL"
        case 200 if document and document.get("status") == "error":
            refusal = f"reports an error: {message}"
        case 200:
            refusal = f"does not respond as Prometheus does: {message}; is it Prometheus?"
        case status:
            refusal = f"cannot run the query (status {status}): {message or 'no reason'}"
    return refusal


def _failure(error: Exception) -> str:
    """Return why there is no complete response."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "has closed the connection before the end of its response"
    if isinstance(error, requests.ConnectTimeout):
        reason = f"no connection within {CONNECT_TIMEOUT_SECONDS:g} s"
    elif isinstance(error, requests.Timeout):
        reason = f"no response within {TIMEOUT_SECONDS:g} s"
    else:
        reason = failure_reason(error)
    return f"cannot be reached: {reason}"
