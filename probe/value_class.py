"""Dataclasses that only mypy freezes.

A frozen dataclass sets each field with `object.__setattr__`, which takes 0.5 µs. Without it, a
`Result` takes 1 µs instead of 12, and a run creates several such values: 5 % of its CPU time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

__all__ = ["value_class"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:

    def value_class(*, frozen: bool, **options: Any) -> Callable[[type], type]:
        """Return the decorator of a dataclass for values that each run creates.

        The arguments are those of `dataclass`. mypy reports assignments to fields, because `frozen`
        is true. The values are equal and hashable like those of a frozen dataclass.
        """
        assert frozen, "`dataclass` is as fast for others"
        return dataclass(unsafe_hash=True, **options)
