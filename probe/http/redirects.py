"""Redirects, if the config allows them, with the rules of requests."""

from urllib.parse import urldefrag, urljoin, urlsplit

import requests
from requests.sessions import SessionRedirectMixin
from requests.utils import requote_uri

from probe.http.connection import DEFAULT_PORTS
from probe.http.errors import RedirectError
from probe.http.request import RequestBuilder

# RFC 9110, 4.1 recommends to support at least 8,000 characters.
MAX_REDIRECT_URL_CHARS = 8 * 1024


class Redirects:
    """Builds the requests that follow redirects."""

    def __init__(self, request_builder: RequestBuilder, max_redirects: int) -> None:
        self._request_builder = request_builder
        self._max_redirects = max_redirects
        # The part of `requests.Session` with the rules. A session of each probe would take 6 kB.
        self._rules = SessionRedirectMixin()

    def next_request(
        self, response: requests.Response, *, followed: int
    ) -> requests.PreparedRequest | None:
        """Return the request that follows `response`, or None if the response is final.

        `followed` is the number of redirects before. If the config allows no redirects, a redirect
        is final, and `expect` decides. Raises RedirectError if there are too many redirects or the
        target is invalid.
        """
        if not self._max_redirects or not response.is_redirect:
            return None
        if followed >= self._max_redirects:
            raise RedirectError(f"more than {self._max_redirects} redirects (`redirects`)")
        request = response.request.copy()
        request.url = self._target_url(response)
        self._rules.rebuild_method(request, response)
        if response.status_code not in (307, 308):
            _remove_body(request)
        if self._rules.should_strip_auth(response.url, request.url):
            if request.body:
                status = response.status_code
                raise RedirectError(
                    f"redirect ({status}) not followed: it would send the body to another host"
                )
            self._request_builder.remove_private_headers(request)
        return request

    def _target_url(self, response: requests.Response) -> str:
        try:
            target = self._rules.get_redirect_target(response) or ""
            url = _absolute_url(response.url, target)
        except ValueError:  # also for text that is not UTF-8, and for invalid ports
            message = "redirect to an invalid URL, or one that is not http or https"
            raise RedirectError(message) from None
        if len(url) > MAX_REDIRECT_URL_CHARS:
            raise RedirectError(
                f"redirect to a URL of more than {MAX_REDIRECT_URL_CHARS} characters"
            )
        return url


def _absolute_url(base: str, target: str) -> str:
    """Return `target` relative to `base`. Raises ValueError unless it is an http or https URL."""
    url = urldefrag(urljoin(base, requote_uri(target))).url
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("not an http or https URL")
    return url


def _remove_body(request: requests.PreparedRequest) -> None:
    request.body = None
    for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
        request.headers.pop(name, None)
