"""Numbers as the pages say them."""

import pytest

from probe.web import words


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (1.0, "100 %"),
        (0.996, "99 %"),
        (0.29, "29 %"),
        (0.0, "0 %"),
        (-0.0001, "−1 %"),
        (-0.99, "−99 %"),
        (-1.0, "spent 2.0×"),
        (-4.65, "spent 5.7×"),
        (-8.96, "spent 10×"),
        (-99.0, "spent 100×"),
        (-999.0, "spent 1,000×"),
        (-123455.0, "spent 123,456×"),
    ],
)
def test_what_is_left_of_a_budget(left: float, said: str) -> None:
    """Little that is overspent is seen as such, and much is told in digits that everybody reads."""
    assert words.budget(left) == said
