"""Passwords held against bcrypt hashes, which takes long by design and so is done once for each."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping

import anyio.to_thread

MAX_PASSWORD_BYTES = 72
"""bcrypt looks at no more bytes of a password, and `htpasswd` cuts it off there, too."""


class PasswordVerifier:
    """Remembers the password that was right for each user, keyed with a secret of this process.

    Of one event loop. At most one hash is computed at a time, on a thread and without the GIL, so
    that guessing cannot take more than one core from the probes.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._turn = asyncio.Lock()

    def known(self, hashes: Mapping[str, str], user: str, password: str) -> bool:
        """Whether it was found right before, for the hash that the user has now. Takes no time."""
        known = self._right.get(user, b"")
        return user in hashes and hmac.compare_digest(known, self._mark(hashes[user], password))

    async def check(self, hashes: Mapping[str, str], user: str, password: str) -> bool:
        """Whether it is right. Takes as long for a user that there is not."""
        async with self._turn:
            if self.known(hashes, user, password):
                return True
            held = hashes.get(user) or _nobodys(hashes)
            right = await anyio.to_thread.run_sync(_matches, password, held) and user in hashes
            if right:
                self._right[user] = self._mark(held, password)
            return right

    def _mark(self, held: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{held}{password}".encode(), hashlib.sha256)


def _nobodys(hashes: Mapping[str, str]) -> str:
    """A hash of no password, as dear as the dearest: its cost is what takes the time."""
    dearest = max(hashes.values(), key=lambda held: held[4:6])
    return dearest[:7] + "." * 53


def _matches(password: str, held: str) -> bool:
    import bcrypt  # noqa: PLC0415  only who has users pays for it

    return bcrypt.checkpw(password.encode()[:MAX_PASSWORD_BYTES], held.encode())
