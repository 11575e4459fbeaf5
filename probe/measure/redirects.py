"""Redirects, where the config allows them, by the rules of requests."""

from urllib.parse import urldefrag, urljoin, urlsplit

import requests
from requests.utils import requote_uri

from probe.measure.errors import RedirectRefused
from probe.measure.request import RequestMaker


class Redirects:
    """Says where an answer sends the client on to."""

    def __init__(self, maker: RequestMaker, allowed: int) -> None:
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
        target = self._rules.get_redirect_target(response) if self._allowed else None
        if not target:
            return None
        if followed >= self._allowed:
            raise RedirectRefused(f"more than {self._allowed} redirects (`redirects`)")
        request = response.request.copy()
        request.url = _absolute(response.url, target)
        self._rules.rebuild_method(request, response)
        if response.status_code not in (307, 308):
            _drop_body(request)
        if self._rules.should_strip_auth(response.url, request.url):
            self._maker.strip(request)
            if request.body and self._maker.body_is_secret():
                raise RedirectRefused("a redirect to another host, and the body holds a secret")
        return request


def _absolute(base: str, target: str) -> str:
    url = urldefrag(urljoin(base, requote_uri(target))).url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RedirectRefused("a redirect to something that is not an http or https URL")
    return url


def _drop_body(request: requests.PreparedRequest) -> None:
    request.body = None
    for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
        request.headers.pop(name, None)
