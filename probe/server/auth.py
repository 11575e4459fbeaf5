"""Who is asking: the middleware that lets only users in, if there are any.

It sets `scope["user"]`, on which `is_authenticated` tells whether somebody may see what a model
has answered. That is so for a user with the right password; and, where there are no users, for a
client with a verified certificate.
"""

import base64
from http import HTTPStatus

from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.server.config_watch import WebConfig
from probe.server.error_response import error_response
from probe.server.passwords import PasswordVerifier
from probe.server.rate_limiter import RateLimiter, client_address, too_many_requests

CHALLENGE = {"WWW-Authenticate": 'Basic realm="inference-probe", charset="UTF-8"'}
MAX_PENDING_CHECKS = 32
"""Requests that wait for a password to be checked; a first scrape is among them in time."""


class BasicAuthMiddleware:
    """Around an application: its requests have a user, or are answered here."""

    def __init__(self, app: ASGIApp, config: WebConfig, failures: RateLimiter) -> None:
        """`failures` holds the passwords that an address may still get wrong."""
        self._app = app
        self._config = config
        self._failures = failures
        self._passwords = PasswordVerifier()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await self._identify(scope)
        if isinstance(found, Response):
            return await found(scope, receive, send)
        scope["user"] = found
        return await self._app(scope, receive, send)

    async def _identify(self, scope: Scope) -> BaseUser | Response:
        hashes = self._config.settings.basic_auth_users
        if not hashes:
            shown = scope["state"].get("certificate")
            return SimpleUser(shown) if shown else UnauthenticatedUser()
        credentials = _credentials(Headers(scope=scope).get("authorization", ""))
        if credentials is None:
            return _unknown(scope, "a user and a password are needed")
        if self._passwords.known(hashes, *credentials):
            return SimpleUser(credentials[0])
        return await self._check(dict(hashes), credentials, scope)

    async def _check(
        self, hashes: dict[str, str], credentials: tuple[str, str], scope: Scope
    ) -> BaseUser | Response:
        if self._waiting >= MAX_PENDING_CHECKS:
            return too_many_requests(scope, "passwords are being checked", 1)
        address = client_address(scope)
        seconds = self._failures.take(address)
        if seconds:
            return too_many_requests(scope, "too many wrong passwords", seconds)
        self._waiting += 1
        try:
            right = await self._passwords.check(hashes, *credentials)
        finally:
            self._waiting -= 1
        if not right:
            return _unknown(scope, "wrong user or password")
        self._failures.give_back(address)
        return SimpleUser(credentials[0])


def _credentials(header: str) -> tuple[str, str] | None:
    """User and password of Basic authentication (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None


def _unknown(scope: Scope, words: str) -> Response:
    return error_response(scope["path"], words, HTTPStatus.UNAUTHORIZED, CHALLENGE)
