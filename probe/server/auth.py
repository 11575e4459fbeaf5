"""Authentication: passwords of the web config, and names in clients' certificates.

`BasicAuthMiddleware` sets `scope["user"]`. Authenticated are users with the right password or, if
no users are configured, clients with a verified certificate.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.rate_limiter import RateLimiter
from probe.server.limits import client_key, error_response, too_many_requests
from probe.server.web_config_watch import WebConfig
from probe.server.worker_threads import WorkerThreads

CHALLENGE = {"WWW-Authenticate": 'Basic realm="inference-probe", charset="UTF-8"'}
# Requests that wait for a password to be verified. A queue of this length takes a few seconds at
# most, which is less than a scrape timeout.
MAX_PENDING_CHECKS = 32
# bcrypt ignores further bytes, and `htpasswd` truncates a password here, too.
MAX_PASSWORD_BYTES = 72

_SAN_TYPES = {"DNS", "email", "URI"}


def is_authenticated(connection: HTTPConnection) -> bool:
    """Return whether the request has an authenticated user."""
    user = connection.scope.get("user")
    return bool(user and user.is_authenticated)


class BasicAuthMiddleware:
    """ASGI middleware that requires a password if the web config has users."""

    def __init__(self, app: ASGIApp, config: WebConfig, failures: RateLimiter) -> None:
        """`failures` limits the wrong passwords of each client address."""
        self._app = app
        self._config = config
        self._failures = failures
        self._passwords = PasswordVerifier()
        self._pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = await self._authenticate(scope)
        if isinstance(user, Response):
            return await user(scope, receive, send)
        scope["user"] = user
        return await self._app(scope, receive, send)

    async def _authenticate(self, scope: Scope) -> BaseUser | Response:
        """Return the user of a request, or the response to reject it with."""
        hashes = self._config.settings.basic_auth_users
        if not hashes:
            subject = scope["state"].get("certificate_subject")
            return SimpleUser(subject) if subject else UnauthenticatedUser()
        credentials = _parse_credentials(Headers(scope=scope).get("authorization", ""))
        if credentials is None:
            return _unauthorized(scope, "a user and a password are needed")
        if self._passwords.is_cached(hashes, *credentials):
            return SimpleUser(credentials[0])
        return await self._verify(dict(hashes), credentials, scope)

    async def _verify(
        self, hashes: dict[str, str], credentials: tuple[str, str], scope: Scope
    ) -> BaseUser | Response:
        if self._pending >= MAX_PENDING_CHECKS:
            return too_many_requests(scope, "too many passwords are being verified", 1)
        client = client_key(scope)
        retry_seconds = self._failures.take(client)
        if retry_seconds:
            return too_many_requests(scope, "too many wrong passwords", retry_seconds)
        self._pending += 1
        try:
            valid = await self._passwords.verify(hashes, *credentials)
        finally:
            self._pending -= 1
        if not valid:
            return _unauthorized(scope, "wrong user or password")
        self._failures.give_back(client)
        return SimpleUser(credentials[0])


def _parse_credentials(header: str) -> tuple[str, str] | None:
    """Return the user and password of a Basic `Authorization` header (RFC 7617), or None."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None


def _unauthorized(scope: Scope, message: str) -> Response:
    return error_response(scope["path"], message, HTTPStatus.UNAUTHORIZED, CHALLENGE)


class PasswordVerifier:
    """Compares passwords with bcrypt hashes, and caches the last valid password of each user.

    bcrypt is slow by design: without the cache each scrape would cost up to a second of CPU. The
    cache holds HMACs, not passwords. At most one hash is computed at a time, on a thread and
    without the GIL, so that guessing cannot take more than one core from the probes. Belongs to
    one event loop.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._valid: dict[str, bytes] = {}
        self._lock = asyncio.Lock()
        self._threads = WorkerThreads(1)

    def is_cached(self, hashes: Mapping[str, str], user: str, password: str) -> bool:
        """Return whether the password was valid before for the current hash; computes no bcrypt."""
        mac = self._valid.get(user, b"")
        return user in hashes and hmac.compare_digest(mac, self._mac(hashes[user], password))

    async def verify(self, hashes: Mapping[str, str], user: str, password: str) -> bool:
        """Return whether the password is valid. Takes equally long for all users, known or not."""
        await self._lock.acquire()
        # Shielded: the next request waits for this hash, even if this request is cancelled.
        return await asyncio.shield(self._verify_and_release(hashes, user, password))

    async def _verify_and_release(
        self, hashes: Mapping[str, str], user: str, password: str
    ) -> bool:
        try:
            if self.is_cached(hashes, user, password):
                return True
            max_cost = max(map(_cost, hashes.values()))
            hashed = hashes.get(user) or _dummy_hash(max_cost)
            matches = await self._threads.run(partial(_verify, password, hashed, max_cost))
            valid = matches and user in hashes
            if valid:
                self._valid[user] = self._mac(hashed, password)
            return valid
        finally:
            self._lock.release()

    def _mac(self, hashed: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{hashed}{password}".encode(), hashlib.sha256)


def _cost(hashed: str) -> int:
    """Return the cost of a bcrypt hash: to verify it takes 2 to the power of the cost rounds."""
    return int(hashed[4:6])


def _dummy_hash(cost: int) -> str:
    """Return a hash that no password has. To verify it takes as long as any hash of this cost."""
    return f"$2b${cost:02}$" + "." * 53


def _verify(password: str, hashed: str, max_cost: int) -> bool:
    """Return whether the password has this hash, after the time that `max_cost` takes.

    Hashes of different costs would otherwise tell users apart. After a hash of cost c, dummy
    checks of the costs c, c + 1, ... max_cost - 1 add up to as many rounds as one of max_cost.
    """
    matches = _matches(password, hashed)
    for cost in range(_cost(hashed), max_cost):
        _matches(password, _dummy_hash(cost))
    return matches


def _matches(password: str, hashed: str) -> bool:
    import bcrypt  # noqa: PLC0415  (loaded only if users are configured)

    return bcrypt.checkpw(password.encode()[:MAX_PASSWORD_BYTES], hashed.encode())


def certificate_names(certificate: Mapping[str, Any]) -> set[str]:
    """Return the subject alternative names of a certificate of `ssl.SSLSocket.getpeercert`."""
    names = certificate.get("subjectAltName", ())
    addresses = {str(ip_address(value.strip())) for kind, value in names if kind == "IP Address"}
    return {value for kind, value in names if kind in _SAN_TYPES} | addresses


def certificate_subject(certificate: Mapping[str, Any]) -> str:
    """Return the user name for a certificate: its common name, else its first alternative name."""
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return min(certificate_names(certificate), default="a certificate")
