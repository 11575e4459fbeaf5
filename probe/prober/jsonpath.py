"""JSONPaths (RFC 9535) that end in time.

The library walks a document in Python: through 1 MiB that is made for it, for many seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.filter import FilterQuery, walk
from jsonpath.function_extensions import Match
from jsonpath.selectors import Filter

from probe.prober.cpu_budget import MAX_CPU_SECONDS, CpuBudget

_PATIENCE = "patience"


def compile_query(path: str) -> Callable[[Any, CpuBudget], list[Any]]:
    """What finds the values at a path. It raises TimeoutError, and RecursionError as parsing."""
    compiled = _Environment(strict=True).compile(path)
    assert isinstance(compiled, JSONPath)  # one, as the RFC has no unions
    patient = _patient(compiled)
    return lambda document, patience: patient.findall(
        document, filter_context={_PATIENCE: patience}
    )


class _Environment(JSONPathEnvironment):
    """One whose functions come to an end."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions.update(match=_Regex("fullmatch"), search=_Regex("search"))


class _Regex(Match):
    """One of the functions `match` and `search`; the library finds `regex`, as it is there."""

    def __init__(self, method: str) -> None:
        super().__init__(thread_safe=True)
        self._method = method

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        ask = getattr(self.check_cache(pattern), self._method, None)  # None: no expression
        return ask is not None and bool(ask(value, timeout=MAX_CPU_SECONDS, concurrent=True))


class _Node(JSONPathMatch):
    """A node of a document. It keeps no children, which nobody asks for."""

    __slots__ = ()

    def add_child(self, *children: JSONPathMatch) -> None:
        pass

    def filter_context(self) -> Mapping[str, Any]:
        """Asked for whenever there is a new child or something to be filtered."""
        context = super().filter_context()
        context[_PATIENCE].left()
        return context


class _Path(JSONPath):
    """A path over such nodes."""

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


def _patient(path: JSONPath) -> JSONPath:
    """The same path, and all paths in its filters, over nodes that look at the clock."""
    selectors = [selector for segment in path.segments for selector in segment.selectors]
    for selector in selectors:
        if isinstance(selector, Filter):
            for expression in walk(selector.expression):
                if isinstance(expression, FilterQuery):
                    expression.path = _Path(env=path.env, segments=expression.path.segments)
    return _Path(env=path.env, segments=path.segments)
