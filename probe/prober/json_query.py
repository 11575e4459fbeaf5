"""JSON queries of a config. Their library is imported when the first one is compiled."""

from functools import lru_cache
from typing import Any

from probe.prober.cpu_budget import CpuBudget


class JsonQuery:
    """Finds the values at a JSONPath (RFC 9535). It is pickled as its path."""

    def __init__(self, path: str) -> None:
        # Imported here to save memory: few probes need it.
        from probe.prober.jsonpath import compile_jsonpath  # noqa: PLC0415

        self._path = path
        self._find = compile_jsonpath(path)

    def __call__(self, document: Any, budget: CpuBudget) -> list[Any]:
        """Return the values. Raises the error of `budget`, and RecursionError for deep nesting."""
        return self._find(document, budget)

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_query, (self._path,)


@lru_cache(maxsize=1000)
def compile_query(path: str) -> JsonQuery:
    """Return the query of a path. Equal paths share one."""
    return JsonQuery(path)
