"""PasswordVerifier: one bcrypt hash at a time."""

import asyncio
import threading

import bcrypt
import pytest

from probe.server.auth import PasswordVerifier
from tests.server.http_server_fixture import bcrypt_hash


def test_cancelled_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash is finished before the next one. A cancelled request that waits has none."""
    hashes, passwords = {"alice": bcrypt_hash("x")}, []
    started, go = threading.Semaphore(0), threading.Event()

    def check(password: bytes, _: bytes) -> bool:
        passwords.append(password)
        started.release()
        return go.wait(10)

    monkeypatch.setattr(bcrypt, "checkpw", check)

    async def scenario() -> None:
        verifier = PasswordVerifier()
        tasks = [asyncio.create_task(verifier.verify(hashes, "alice", text)) for text in "123"]
        assert await asyncio.to_thread(started.acquire, timeout=10)
        for task in tasks[:2]:
            task.cancel()
        assert not await asyncio.to_thread(started.acquire, timeout=0.3)
        go.set()
        assert await tasks[2]
        assert passwords == [b"1", b"3"]

    asyncio.run(scenario())
