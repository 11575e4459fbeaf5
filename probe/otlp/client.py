"""Client of an OTLP receiver: OTLP/HTTP with JSON, which needs no library.

The exporter of OpenTelemetry for Python would take 12 MB of memory.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import re
import ssl
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from probe.otlp.partial_success import MAX_MESSAGE_CHARS, excerpt, read_partial_success
from probe.remote_server import RemoteServer, failure_reason

TIMEOUT_SECONDS = 10.0

# Bytes of a response that are read. A response of OTLP has a few numbers and a message.
MAX_RESPONSE_BYTES = 64 * 1024

# Longest pause that a receiver may request. Results that wait need memory, and become outdated.
MAX_RETRY_AFTER_SECONDS = 60

# The level with the least CPU time, and zlib's code of the format gzip.
_GZIP_LEVEL = 1
_GZIP_WBITS = 31

# Statuses after which a request may be repeated (OTLP: retryable response codes).
RETRYABLE_STATUSES = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)

# Statuses for which OTLP defines the header `Retry-After`.
_THROTTLING_STATUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class OtlpError(Exception):
    """A document was not accepted completely. The message is for users, and has no credentials."""

    def __init__(
        self,
        message: str,
        *,
        is_retryable: bool,
        retry_after_seconds: int = 0,
        rejected: int | None = None,
    ) -> None:
        """`rejected` is the number of spans or data points that were rejected; None for all.

        The receiver requests a pause of `retry_after_seconds`.
        """
        super().__init__(message)
        self.is_retryable = is_retryable
        self.retry_after_seconds = retry_after_seconds
        self.rejected = rejected


@dataclass(frozen=True, slots=True)
class OtlpClient:
    """Sends documents to a receiver."""

    server: RemoteServer
    """Its URL is that of the documents, such as `http://collector:4318/v1/traces`."""

    def send(self, document: Iterable[bytes]) -> str | None:
        """Send a JSON document in parts. Return the warning of the receiver, if it has one.

        Raises OtlpError, also if the receiver rejects a part of the document.
        Opens a connection each time: documents are seconds apart.
        """
        body = _compressed(document)
        url = urlsplit(self.server.url)
        connection = self._connection(url.hostname or "", url.port)
        try:
            connection.request("POST", url.path, body, self._headers())
            response = connection.getresponse()
            content = response.read(MAX_RESPONSE_BYTES)
        except (OSError, HTTPException) as error:
            raise OtlpError(f"{self.server.url}: {_reason(error)}", is_retryable=True) from None
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise self._refusal(response, content)
        partial = read_partial_success(content)
        if partial.rejected != 0:
            raise OtlpError(
                f"{self.server.url}: {partial.text}", is_retryable=False, rejected=partial.rejected
            )
        if response.headers.get_content_type() == "text/html":
            return f"{self.server.url}: the response is a page, so this is no OTLP receiver"
        return f"{self.server.url}: {partial.text}" if partial.text else None

    def _connection(self, host: str, port: int | None) -> HTTPConnection:
        if self.server.tls:
            return _TlsConnection(host, port, self.server.tls, self.server.server_name)
        return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            **self.server.request_headers,
        }
        if self.server.authorization:
            headers["Authorization"] = self.server.authorization
        return headers

    def _refusal(self, response: HTTPResponse, content: bytes) -> OtlpError:
        text = excerpt(content[:MAX_MESSAGE_CHARS].decode(errors="replace"))
        return OtlpError(
            f"{self.server.url}: status {response.status}{f': {text}' if text else ''}",
            is_retryable=response.status in RETRYABLE_STATUSES,
            retry_after_seconds=_retry_after_seconds(response),
        )


def _compressed(parts: Iterable[bytes]) -> bytes:
    """Return a document with gzip. Its parts need not be in memory at once."""
    compressor = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WBITS)
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


class _TlsConnection(HTTPConnection):
    """A connection with TLS whose server name can differ from the host of the URL."""

    default_port = 443

    def __init__(
        self, host: str, port: int | None, context: ssl.SSLContext, server_name: str | None
    ) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)
        self._context = context
        self._server_name = server_name or host

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._server_name)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no response within {TIMEOUT_SECONDS:g} s"
    return failure_reason(error)


def _retry_after_seconds(response: HTTPResponse) -> int:
    """Return the pause that `response` requests (seconds); 0 if it has none, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if response.status not in _THROTTLING_STATUSES or not re.fullmatch("[0-9]{1,9}", text):
        return 0
    return min(int(text), MAX_RETRY_AFTER_SECONDS)
