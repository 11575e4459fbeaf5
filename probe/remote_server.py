"""Where an HTTP server of the user is, such as Prometheus, and how to authenticate."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from probe import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteServer:
    """A server to which this process sends requests that are no probes."""

    url: str
    """Prefix of all paths, such as `http://prometheus:9090` or `https://mimir/prometheus`. For OTLP
    the whole URL, such as `http://collector:4318/v1/traces`."""
    authorization: str | None = field(default=None, repr=False)
    """Value of the header `Authorization`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Additional headers, such as the tenant."""
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    """The name in the certificate, if it is not the host of the URL."""

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of each request, without `Authorization`."""
        return {"User-Agent": f"inference-probe/{__version__}", **self.headers}


def failure_reason(error: BaseException) -> str:
    """Return the innermost cause of a request without a response, in words."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
