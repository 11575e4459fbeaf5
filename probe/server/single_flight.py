"""One piece of work for all who ask for it at the same time."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Works on threads of its own, so that a crowd costs what one costs. One event loop's.

    Nobody gets what was begun before he asked, unless that was less than `fresh` seconds before:
    who comes while a piece of work is under way gets the next one, with all who come by then.
    """

    def __init__(self, threads: int, *, fresh: float, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._limiter = anyio.CapacityLimiter(threads)
        self._fresh = fresh
        self._now = now
        self._pieces: dict[Hashable, _Piece[T]] = {}

    def __len__(self) -> int:
        """Pieces of work that are remembered: those under way, and the fresh ones."""
        return len(self._pieces)

    async def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, or gives to others with the same key; raises what it raises."""
        piece = self._pieces.get(key)
        if piece is None or self._left(piece) <= 0:
            piece = self._pieces[key] = _Piece(make, self._now)
            piece.task = asyncio.create_task(self._run(key, piece))
        return await asyncio.shield(piece.task)  # others wait for it when this one has gone

    def _left(self, piece: "_Piece[T]") -> float:
        """Seconds for which a piece is still good for who asks."""
        return 1.0 if piece.began is None else piece.began + self._fresh - self._now()

    async def _run(self, key: Hashable, piece: "_Piece[T]") -> T:
        left = 0.0
        try:
            made = await anyio.to_thread.run_sync(
                piece.work, abandon_on_cancel=True, limiter=self._limiter
            )
            left = self._left(piece)
        finally:
            asyncio.get_running_loop().call_later(left, self._forget, key, piece)
        return made

    def _forget(self, key: Hashable, piece: "_Piece[T]") -> None:
        if self._pieces.get(key) is piece:
            del self._pieces[key]


class _Piece(Generic[T]):
    """`began` is when the work did; None as long as it waits for a thread."""

    task: asyncio.Task[T]

    def __init__(self, make: Callable[[], T], now: Callable[[], float]) -> None:
        self._make = make
        self._now = now
        self.began: float | None = None

    def work(self) -> T:
        self.began = self._now()
        return self._make()
