"""Redirects, where the config allows them, by the rules of requests."""

from urllib.parse import urldefrag, urljoin, urlsplit

import requests
from requests.utils import requote_uri

from probe.http.connection import DEFAULT_PORTS
from probe.http.errors import RedirectError
from probe.http.request import RequestBuilder

MAX_URL_CHARS = 8 * 1024
"""Characters of a URL that is followed; everybody supports 8,000 (RFC 9110, 4.1)."""


class Redirects:
    """Says where an answer sends the client on to."""

    def __init__(self, maker: RequestBuilder, allowed: int) -> None:
        self._maker = maker
        self._allowed = allowed
        self._rules = requests.Session()

    def next(
        self, response: requests.Response, *, followed: int
    ) -> requests.PreparedRequest | None:
        """The request that follows an answer, or None where it is the last.

        Raises RedirectRefused where there is one more than is allowed, or one that cannot be
        followed. Without any allowed, a redirect is an answer like others: `expect` judges it.
        """
        if not self._allowed or not response.is_redirect:
            return None
        if followed >= self._allowed:
            raise RedirectError(f"more than {self._allowed} redirects (`redirects`)")
        request = response.request.copy()
        request.url = self._target(response)
        self._rules.rebuild_method(request, response)
        if response.status_code not in (307, 308):
            _drop_body(request)
        if self._rules.should_strip_auth(response.url, request.url):
            if request.body:
                status = response.status_code
                raise RedirectError(f"a redirect ({status}) that takes the body to another host")
            self._maker.strip(request)
        return request

    def _target(self, response: requests.Response) -> str:
        try:
            target = self._rules.get_redirect_target(response) or ""
            url = _absolute(response.url, target)
        except ValueError:  # also of text that is not UTF-8, and of ports that are none
            message = "a redirect to something that is not an http or https URL"
            raise RedirectError(message) from None
        if len(url) > MAX_URL_CHARS:
            raise RedirectError(f"a redirect to a URL of more than {MAX_URL_CHARS} characters")
        return url


def _absolute(base: str, target: str) -> str:
    """Raises ValueError unless host, port and scheme make sense."""
    url = urldefrag(urljoin(base, requote_uri(target))).url
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("not an http or https URL")
    return url


def _drop_body(request: requests.PreparedRequest) -> None:
    request.body = None
    for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
        request.headers.pop(name, None)
