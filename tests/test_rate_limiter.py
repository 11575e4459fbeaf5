"""Rate limits by token bucket."""

from probe.rate_limiter import MAX_KEYS, RateLimiter


def test_rate_limiter_returns_the_time_to_wait() -> None:
    """After the returned time there is a token."""
    now = 0.0
    limiter = RateLimiter(size=2, per_second=0.25, now=lambda: now)
    assert [limiter.take("192.0.2.1") for _ in range(3)] == [0, 0, 4]
    assert limiter.take("192.0.2.2") == 0
    now = 4.0
    assert [limiter.take("192.0.2.1") for _ in range(2)] == [0, 4]
    limiter.give_back("192.0.2.1")
    assert limiter.take("192.0.2.1") == 0


def test_rate_limiter_forgets_the_least_recent_keys() -> None:
    """Many keys take a bounded amount of memory."""
    limiter = RateLimiter(size=1, per_second=1, now=lambda: 0.0)
    for n in range(MAX_KEYS + 1):
        limiter.take(f"{n}")
    assert (limiter.take("0"), limiter.take(f"{MAX_KEYS}")) == (0, 1)
