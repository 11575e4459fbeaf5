"""JSONPath queries (RFC 9535) within a CPU budget.

The library walks a document in Python. A document of 1 MiB that is made for it takes many seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.filter import FilterQuery, walk
from jsonpath.function_extensions import Match
from jsonpath.selectors import Filter

from probe.prober.response import MAX_CPU_SECONDS, CpuBudget

_BUDGET_KEY = "cpu_budget"


def compile_query(path: str) -> Callable[[Any, CpuBudget], list[Any]]:
    """Return a function that finds the values at `path`.

    It raises TimeoutError, and RecursionError for deeply nested JSON.
    """
    compiled = _Environment(strict=True).compile(path)
    assert isinstance(compiled, JSONPath), "RFC 9535 has no unions of paths"
    query = _with_budget(compiled)
    return lambda document, budget: query.findall(document, filter_context={_BUDGET_KEY: budget})


class _Environment(JSONPathEnvironment):
    """Environment whose regular expressions have a timeout."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions.update(match=_Regex("fullmatch"), search=_Regex("search"))


class _Regex(Match):
    """Function `match` or `search`. The library uses `regex` because it is installed."""

    def __init__(self, method: str) -> None:
        super().__init__(thread_safe=True)
        self._method = method

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        # None is an invalid expression.
        matches = getattr(self.check_cache(pattern), self._method, None)
        return matches is not None and bool(
            matches(value, timeout=MAX_CPU_SECONDS, concurrent=True)
        )


class _Node(JSONPathMatch):
    """Node of a document. It stores no children, which are not needed."""

    __slots__ = ()

    def add_child(self, *children: JSONPathMatch) -> None:
        pass

    def filter_context(self) -> Mapping[str, Any]:
        """Check the budget: the library calls this for each new child and each filter."""
        context = super().filter_context()
        context[_BUDGET_KEY].remaining()
        return context


class _Path(JSONPath):
    """Path whose nodes check the budget."""

    __slots__ = ()

    def finditer(
        self, data: Any, *, filter_context: Mapping[str, Any] | None = None
    ) -> Iterable[JSONPathMatch]:
        root = _Node(
            filter_context=filter_context or {},
            obj=data,
            parent=None,
            path=self.env.root_token,
            parts=(),
            root=data,
        )
        nodes: Iterable[JSONPathMatch] = [root]
        for segment in self.segments:
            nodes = segment.resolve(nodes)
        return nodes


def _with_budget(path: JSONPath) -> JSONPath:
    """Return the same path, with the paths in its filters, over nodes that check the budget."""
    selectors = [selector for segment in path.segments for selector in segment.selectors]
    for selector in selectors:
        if isinstance(selector, Filter):
            for expression in walk(selector.expression):
                if isinstance(expression, FilterQuery):
                    expression.path = _Path(env=path.env, segments=expression.path.segments)
    return _Path(env=path.env, segments=path.segments)
