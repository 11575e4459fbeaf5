"""The variance of shares between the parts of a measurement."""

import random

import pytest

from probe.statistics.design_effect import Share, design_effect, difference_design_effect

PARTS = 4000


def parts(rng: random.Random, *, together: int) -> list[Share]:
    """Return parts of 20 to 200 requests, 10 % of them bad, and always `together` at once."""
    return [
        Share(together * sum(rng.random() < 0.1 for _ in range(groups)), together * groups)
        for groups in (rng.randrange(20, 200) // together for _ in range(PARTS))
    ]


@pytest.mark.parametrize("together", [1, 5, 10])
def test_bad_requests_come_together(together: int) -> None:
    """The design effect is the number of requests that are always bad or good together."""
    a, b = (parts(random.Random(seed), together=together) for seed in (1, 2))
    assert design_effect(a) == pytest.approx(together, rel=0.1)
    assert difference_design_effect(a, b) == pytest.approx(together, rel=0.1)


def test_outages_of_both_sides() -> None:
    """What concerns both sides in the same part does not count for their difference."""
    both = [Share(100 if number % 50 == 0 else 1, 100) for number in range(200)]
    assert design_effect(both) > 50
    assert difference_design_effect(both, both) == 0.0


def test_no_variance() -> None:
    """Without differences between requests, or between parts, requests count as independent."""
    assert design_effect([]) == 1.0
    assert design_effect([Share(3, 10)]) == 1.0
    assert design_effect([Share(0, 10)] * 5) == 1.0
    assert design_effect([Share(0, 0)] * 5) == 1.0
    assert difference_design_effect([Share(10, 10)] * 5, [Share(0, 10)] * 5) == 1.0
