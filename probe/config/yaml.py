"""YAML files (core schema of YAML 1.2) as plain values, with the location of each value.

All problems of the text are collected, so that users see them at once.
"""

import math
import re
from collections.abc import Set as AbstractSet
from typing import Any

import yaml

from probe.config.errors import ConfigPath, ConfigProblem, UnlocatedError, format_path
from probe.config.yaml_composer import MAX_DEPTH, TEXT_TAG, compose
from probe.config.yaml_syntax import YamlSyntaxError, end_of

# Values that aliases repeat. More are refused: a few lines can expand to billions of values.
MAX_ALIAS_COPIES = 100_000

# Characters of a number. Python converts at most 4300 digits, and hexadecimal ones become more.
MAX_NUMBER_CHARS = 3000


_SURROGATE = re.compile("[\ud800-\udfff]")

# The end of a message about a key that may be the end of a number.
_DECIMAL_COMMA = "; write a decimal point instead of a comma, if it is the end of a number"


class YamlDocument:
    """A YAML file, as a ConfigSource. Its values are those of JSON."""

    def __init__(self, content: bytes, *, file: str) -> None:
        self._file = file
        self._root: yaml.Node | None = None
        self.value: Any = None
        self.problems: tuple[ConfigProblem, ...] = ()
        self.invalid_paths: AbstractSet[ConfigPath] = frozenset()
        try:
            self._read(_decode(content))
        except YamlSyntaxError as error:
            self.problems = (self._problem(error.line, error.column, "", error.message),)

    def _read(self, text: str) -> None:
        self._root, tagged = compose(text)
        reader = _NodeReader(tagged)
        self.value = reader.read(self._root, ())
        self.problems = tuple(
            self._problem(mark.line, mark.column, format_path(path), message)
            for mark, path, message in reader.problems
        )
        self.invalid_paths = reader.invalid_paths

    def locate(self, error: UnlocatedError) -> ConfigProblem:
        path = self._written_path(error.path)
        mark = self._mark(path, at_key=error.at_key)
        return self._problem(mark.line, mark.column, format_path(path), error.message)

    def source_text(self, path: ConfigPath) -> str | None:
        node, _, missing = self._find(self._written_path(path))
        return node.value if isinstance(node, yaml.ScalarNode) and not missing else None

    def _written_path(self, path: ConfigPath) -> ConfigPath:
        """Return `path` without the index of a scalar that stands for a list of one item."""
        parent = self._find(path[:-1])[0]
        is_item = bool(path) and isinstance(path[-1], int)
        return path[:-1] if is_item and isinstance(parent, yaml.ScalarNode) else path

    def _mark(self, path: ConfigPath, *, at_key: bool) -> yaml.Mark:
        """Return the start of a value or of its key; if it is missing, of the nearest parent."""
        node, key, missing = self._find(path)
        return (key if at_key and key is not None and not missing else node).start_mark

    def _find(self, path: ConfigPath) -> tuple[yaml.Node, yaml.Node | None, bool]:
        """Return the node at `path`, the node of its key, and whether the path ends early."""
        assert self._root is not None
        node, key = self._root, None
        for step in path:
            pair = _child(node, step)
            if pair is None:
                return node, key, True
            key, node = pair
        return node, key, False

    def _problem(self, line: int, column: int, path: str, message: str) -> ConfigProblem:
        return ConfigProblem(
            file=self._file, line=line + 1, column=column + 1, path=path, message=message
        )


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """Return the nodes of key and value that `step` leads to."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return None, node.value[step]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return key, value
    return None


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        message = "not UTF-8 text; save the file with that encoding"
        raise YamlSyntaxError(*end_of(before), message) from None


class _NodeReader:
    """Converts nodes to values; collects problems and the paths of the values they are about."""

    def __init__(self, tagged: set[int]) -> None:
        self.problems: list[tuple[yaml.Mark, ConfigPath, str]] = []
        self.invalid_paths: set[ConfigPath] = set()
        self._tagged = tagged
        # ids of the collections that contain the current node
        self._ancestor_ids: list[int] = []
        self._seen: set[int] = set()
        self._alias_copies = 0

    def read(self, node: yaml.Node, path: ConfigPath) -> Any:
        if id(node) in self._ancestor_ids:
            return self._reject(
                node, path, "this alias refers to a value that contains it; write the value instead"
            )
        self._count_copies(node)
        if id(node) in self._tagged:
            self._reject(node, path, "tags such as !!str mean nothing here; quote text instead")
        elif isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._ancestor_ids.append(id(node))
        value = self._collection(node, path)
        self._ancestor_ids.pop()
        return value

    def _reject(self, node: yaml.Node, path: ConfigPath, message: str) -> None:
        self.problems.append((node.start_mark, path, message))
        self.invalid_paths.add(path)

    def _count_copies(self, node: yaml.Node) -> None:
        self._alias_copies += id(node) in self._seen
        self._seen.add(id(node))
        # An alias deep in its own nesting can also exceed the depth that the composer has checked.
        if self._alias_copies > MAX_ALIAS_COPIES or len(self._ancestor_ids) > MAX_DEPTH:
            mark = node.start_mark
            raise YamlSyntaxError(
                mark.line,
                mark.column,
                "aliases expand this value too many times; use fewer aliases",
            )

    def _collection(self, node: yaml.Node, path: ConfigPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return node.value

    def _mapping(self, node: yaml.MappingNode, path: ConfigPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            problem = _key_problem(key, value)
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if not problem and name in values:
                problem = f"duplicate key; the first is on line {lines[name]}"
            if problem:
                self.problems.append((key.start_mark, (*path, name) if name else path, problem))
                continue
            lines[name] = key.start_mark.line + 1
            values[name] = self.read(value, (*path, name))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: ConfigPath) -> Any:
        try:
            return _scalar_value(node)
        except ValueError as error:
            self._reject(node, path, str(error))
            return node.value


def _scalar_value(node: yaml.ScalarNode) -> Any:
    """Return the value of a scalar; raise ValueError with a message that does not quote it."""
    text: str = node.value
    if node.tag == TEXT_TAG:
        if problem := _surrogate_problem(text):
            raise ValueError(problem)
        return text
    if node.tag in ("int", "float"):
        return _number(text, is_float=node.tag == "float")
    return None if node.tag == "null" else text.lower() == "true"


def _number(text: str, *, is_float: bool) -> int | float:
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError("a number with too many digits")
    if re.match("[-+]?0[0-9]", text):
        # YAML 1.1 reads 010 as 8, and YAML 1.2 as 10.
        raise ValueError("a number with leading zeros; remove them, or put text into quotes")
    if not is_float:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    number = float(text) if text[-1].isdigit() or text[-1] == "." else math.nan
    if not math.isfinite(number):
        raise ValueError("not a finite number; write one, or put text into quotes")
    return number


def _surrogate_problem(text: str) -> str | None:
    if _SURROGATE.search(text):
        return "a lone surrogate is not a character; write the character itself"
    return None


def _key_problem(key: yaml.Node, value: yaml.Node) -> str | None:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be text"
    if not key.style and key.value == "<<":
        return "merge keys are not supported; put what probes share under `defaults`"
    if key.tag == "null":
        return "a key must be text; there is none before the colon"
    if key.tag != TEXT_TAG:
        # {target: 99,5} has the key 5 without a value.
        comma = _DECIMAL_COMMA if key.tag == "int" and value.value == "" else ""
        return f"a key must be text; put it into quotes{comma}"
    return _surrogate_problem(key.value)
