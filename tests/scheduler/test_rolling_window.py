"""Rolling windows: an amount leaves the sum after the window, at most one slice late."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from probe.scheduler.rolling_window import RollingWindow
from tests.fakes import FakeTime

WINDOW_SECONDS, SLICES = 3600, 60
SLICE_SECONDS = WINDOW_SECONDS / SLICES


def make_window(time: FakeTime) -> RollingWindow:
    return RollingWindow(time.clock().monotonic, WINDOW_SECONDS, SLICES)


def test_an_amount_stays_for_the_window_and_leaves_one_slice_later() -> None:
    """It never leaves early, so a limit holds in every interval of the length of the window."""
    time = FakeTime()
    window = make_window(time)
    window.add(Decimal(5))
    time.advance(WINDOW_SECONDS)
    assert window.total() == 5
    time.advance(SLICE_SECONDS)
    assert window.total() == 0


@given(steps=st.lists(st.tuples(st.floats(0, 2000), st.integers(0, 9)), max_size=200))
def test_the_sum_is_between_that_of_the_window_and_one_slice_more(
    steps: list[tuple[float, int]],
) -> None:
    """At any time and for any amounts, and the number of entries is bounded."""
    time = FakeTime()
    window = make_window(time)
    added: list[tuple[int, int]] = []
    for seconds, amount in steps:
        time.advance(seconds)
        window.add(Decimal(amount))
        added.append((time.monotonic, amount))
        now, second = time.monotonic, 10**9
        exact = sum(n for at, n in added if at > now - WINDOW_SECONDS * second)
        longer = (WINDOW_SECONDS + SLICE_SECONDS) * second
        assert exact <= window.total() <= sum(n for at, n in added if at > now - longer)
        assert len(window) <= SLICES + 1


def test_many_amounts_are_few_entries() -> None:
    """A probe that runs 100 times a second for two hours needs no more memory."""
    time = FakeTime()
    window = make_window(time)
    for _ in range(2 * 3600 * 10):
        time.advance(0.1)
        window.add(Decimal(1))
    assert len(window) <= SLICES + 1
    assert 36_000 <= window.total() <= 36_600
