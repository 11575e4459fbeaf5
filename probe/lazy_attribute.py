"""What is made once for each instance and kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy_attribute(Generic[T]):  # noqa: N801  (named as what it is used as, like `property`)
    """A property that is made when it is first asked for. Two threads may both make it: the lock of
    functools.cached_property in Python 3.11 is one for all instances, and the slow hold up the
    others.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make

    def __get__(self, instance: object, _owner: type) -> T:
        made = instance.__dict__[self._make.__name__] = self._make(instance)
        return made
