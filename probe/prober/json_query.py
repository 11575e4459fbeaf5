"""JSON queries of a config. Their library is imported when the first one that needs it is compiled.

A path of names and indexes, such as `$.choices[0].message.content`, is evaluated here in 1 to 3 µs.
The library takes 8 to 28 µs for it, and 3 MB of memory.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from probe.prober.cpu_budget import CpuBudget

# Names of ASCII letters, digits and underscores, quoted ones also with spaces, dots and hyphens,
# and indexes. Any other path is the library's.
_STEP = r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[(?:(0|-?[1-9][0-9]{0,8})|'([\w .-]*)'|"([\w .-]*)")\]"""
_STEPS = re.compile(_STEP, re.ASCII)
_SIMPLE_PATH = re.compile(rf"\$(?:{_STEP})*", re.ASCII)


class JsonQuery:
    """Finds the values at a JSONPath (RFC 9535). It is pickled as its path."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._find: Callable[[Any, CpuBudget], list[Any]]
        if _SIMPLE_PATH.fullmatch(path):
            self._find = partial(_find_one, _steps(path))
        else:
            # Imported here to save memory: few probes need it.
            from probe.prober.jsonpath import compile_jsonpath  # noqa: PLC0415

            self._find = compile_jsonpath(path)

    def __call__(self, document: Any, budget: CpuBudget) -> list[Any]:
        """Return the values. Raises the error of `budget`, and RecursionError for deep nesting."""
        return self._find(document, budget)

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_query, (self._path,)


def _steps(path: str) -> Sequence[str | int]:
    """Return the names and indexes of a simple path."""
    return tuple(
        int(match[2]) if match[2] else match[1] or match[3] or match[4] or ""
        for match in _STEPS.finditer(path)
    )


def _find_one(steps: Sequence[Any], document: Any, budget: CpuBudget) -> list[Any]:
    """Return the value at `steps`, if there is one. Each step checks `budget`."""
    value = document
    for step in steps:
        if not isinstance(value, dict if isinstance(step, str) else list):
            return []
        budget.remaining()
        try:
            value = value[step]
        except LookupError:
            return []
    return [value]


@lru_cache(maxsize=1000)
def compile_query(path: str) -> JsonQuery:
    """Return the query of a path. Equal paths share one."""
    return JsonQuery(path)
