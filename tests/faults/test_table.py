"""The README says what the tests show."""

from tests.faults.table import README, written


def test_the_table_is_in_step() -> None:
    """The README's table of faults is the catalogue's; python -m tests.faults.table writes it."""
    text = README.read_text()

    assert written(text) == text
