"""The documentation says what the tests show."""

from tests.faults.table import PAGE, written


def test_the_table_is_in_step() -> None:
    """The table of faults is the catalogue's; python -m tests.faults.table writes it."""
    text = PAGE.read_text()

    assert written(text) == text
