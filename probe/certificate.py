"""The expiry of an endpoint's certificate, by one rule for metrics, pages and API."""

from dataclasses import dataclass

from probe.result import Result


@dataclass(slots=True)
class CertificateExpiry:
    """The expiry of the certificate at one URL, by the results of its probe.

    Runs that started before `url_since` (Unix seconds) requested another URL. They are ignored:
    an http probe would never overwrite their certificate.
    """

    url_since: float = 0.0
    not_after: float | None = None
    """Unix seconds. None without TLS, and until the first connection."""

    def record(self, result: Result) -> None:
        """Use the expiry in `result`.

        A failure without one may have had no connection; a success without one had no TLS.
        """
        if result.started.timestamp() < self.url_since:
            return
        if result.certificate_not_after is not None or result.failure is None:
            self.not_after = result.certificate_not_after
