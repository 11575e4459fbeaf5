"""Pages from the series of ALERTS."""

from probe.report.alerts import Page, find_pages


def test_pages_of_two_instances() -> None:
    """The times of two series come one after the other, and each page is found."""
    first, second = [0.0, 30.0, 30_000.0], [12_000.0, 12_030.0]
    assert find_pages([*first, *second], "ModelDown", "") == [
        Page(0.0, 30.0, "ModelDown", ""),
        Page(12_000.0, 12_030.0, "ModelDown", ""),
        Page(30_000.0, 30_000.0, "ModelDown", ""),
    ]


def test_page_of_two_instances_at_once() -> None:
    """Series that fire at the same time are one page."""
    assert find_pages([0.0, 120.0, 60.0, 180.0], "ModelDown", "") == [
        Page(0.0, 180.0, "ModelDown", "")
    ]
