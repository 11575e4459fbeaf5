"""JSONPath queries (RFC 9535) within a CPU budget.

The library walks a document in Python, which can take many seconds for a document of 1 MiB. So it
gets views of the document's objects and arrays, which check the budget for each value it reads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar, Literal

import regex
from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.filter import StringLiteral
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.token import Token

from probe.prober.cpu_budget import CpuBudget

# What `.` means outside of brackets in I-Regexp (RFC 9485, 5.3), as the library has it.
_ANY_CHAR = r"(?:(?![\r\n])\P{Cs}|\p{Cs}\p{Cs})"
_PATTERN_PART = regex.compile(r"\\.|\[(?:\\.|[^\]\\])*\]?|\.", regex.DOTALL)


# The budget of the query that runs on the current thread: the library calls the functions of a
# filter with their arguments only.
_current_budget: ContextVar[CpuBudget] = ContextVar("current_budget")


def compile_jsonpath(path: str) -> Callable[[Any, CpuBudget], list[Any]]:
    """Return a function that finds the values at `path`."""
    query = _Environment(strict=True).compile(path)
    assert isinstance(query, JSONPath), "the strict syntax has no operators between queries"

    def find(document: Any, budget: CpuBudget) -> list[Any]:
        matches: Iterable[JSONPathMatch] = [_root_match(_view(document, budget))]
        token = _current_budget.set(budget)
        try:
            # As `query.findall`, which would begin with a match that keeps its children.
            for segment in query.segments:
                matches = segment.resolve(matches)
            return [_unwrap(match.obj) for match in matches]
        finally:
            _current_budget.reset(token)

    return find


class _Match(JSONPathMatch):
    """Match that does not keep its children, which nothing uses.

    All matches together would take 300 bytes for each value that the query visits.
    """

    __slots__ = ()

    def add_child(self, *children: JSONPathMatch) -> None:
        pass


def _root_match(root: Any) -> _Match:
    return _Match(filter_context={}, obj=root, parent=None, path="$", parts=(), root=root)


class _Environment(JSONPathEnvironment):
    """Environment whose regular expressions take time from the budget of the query."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions.update(match=_Regex("fullmatch"), search=_Regex("search"))

    def validate_function_extension_signature(self, token: Token, args: list[Any]) -> list[Any]:
        """Note the patterns that are written in the query, which are as trusted as the config."""
        function = self.function_extensions.get(token.value)
        if isinstance(function, _Regex):
            function.literals.update(arg.value for arg in args if isinstance(arg, StringLiteral))
        return super().validate_function_extension_signature(token, args)


class _Regex(FilterFunction):
    """The function `match` or `search`."""

    arg_types: ClassVar = [ExpressionType.VALUE, ExpressionType.VALUE]
    return_type = ExpressionType.LOGICAL

    def __init__(self, method: Literal["fullmatch", "search"]) -> None:
        self._method = method
        self.literals: set[str] = set()
        """String literals of the query. Other patterns come from the document."""

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        if pattern not in self.literals:
            _current_budget.get().check_compilation()
        compiled = _compile_regex(pattern)
        if compiled is None:
            return False
        matches = getattr(compiled, self._method)
        return _current_budget.get().call(
            lambda timeout: bool(matches(value, timeout=timeout, concurrent=True))
        )


@lru_cache(maxsize=300)
def _compile_regex(pattern: str) -> "regex.Pattern[str] | None":
    """Return the compiled I-Regexp (RFC 9485), None if it is invalid."""
    translated = _PATTERN_PART.sub(lambda part: _ANY_CHAR if part[0] == "." else part[0], pattern)
    try:
        return regex.compile(translated)
    except regex.error:
        return None


class _View:
    """View of an object or array that checks the budget for each value that is read."""

    __slots__ = ("budget", "data")
    __hash__ = None  # type: ignore[assignment]  # as that of lists and dicts

    def __init__(self, data: Any, budget: CpuBudget) -> None:
        self.data = data
        self.budget = budget

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return bool(self.data == _unwrap(other))

    def __getitem__(self, key: Any) -> Any:
        self.budget.remaining()
        return _view(self.data[key], self.budget)


class _ObjectView(_View, Mapping[str, Any]):
    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    # Faster than that of Mapping, which looks each key up again.
    def items(self) -> Any:
        remaining = self.budget.remaining
        for key, value in self.data.items():
            remaining()
            yield key, _view(value, self.budget)


class _ArrayView(_View, Sequence[Any]):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        remaining = self.budget.remaining
        for value in self.data:
            remaining()
            yield _view(value, self.budget)


def _view(value: Any, budget: CpuBudget) -> Any:
    """Return a view of an object or array. Other values are returned as they are."""
    if isinstance(value, dict):
        return _ObjectView(value, budget)
    if isinstance(value, list):
        return _ArrayView(value, budget)
    return value


def _unwrap(value: Any) -> Any:
    return value.data if isinstance(value, _View) else value
