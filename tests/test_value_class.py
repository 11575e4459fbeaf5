"""Values of `value_class` are like those of a frozen dataclass, but can be changed at run time."""

import pickle
from dataclasses import fields, replace

import pytest

from probe.value_class import value_class


@value_class(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0


def test_equal_values_have_equal_hashes() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert len({Point(x=1), Point(x=1, y=0), Point(x=2)}) == 2


def test_is_a_dataclass() -> None:
    assert [field.name for field in fields(Point)] == ["x", "y"]
    assert replace(Point(x=1), y=2) == Point(x=1, y=2)


def test_has_the_options_of_the_dataclass() -> None:
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[call-arg]
    assert not hasattr(Point(x=1), "__dict__")


def test_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Point(x=1, y=2))) == Point(x=1, y=2)


def test_mypy_reports_a_change() -> None:
    """An unused `ignore` would be an error of mypy."""
    point = Point(x=1)
    point.x = 2  # type: ignore[misc]
    assert point.x == 2
