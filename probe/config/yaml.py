"""YAML text as plain values, with the place of each of them and everything wrong with the text."""

import re
from collections.abc import Set as AbstractSet
from typing import Any

import yaml
from yaml.composer import ComposerError

from probe.config.errors import (
    ConfigPath,
    ConfigProblem,
    UnlocatedError,
    format_path,
    is_confidential,
)
from probe.config.yaml11 import TAG_PREFIX, yaml11_pitfall

MAX_DEPTH = 50
MAX_ALIAS_COPIES = 100_000
_SYNTAX = {
    "but found another document": "a second document starts here; put everything into one,"
    " without `---`",
    "<block end>": "this line does not fit the indentation of those above",
    # names of these are not shown: they may be text that somebody forgot to quote
    "alias": "an alias (`*`) of nothing; put text that begins with * into quotes",
    "anchor": "no anchor (`&`), or one that is there already; put text that begins with & into"
    " quotes",
    "tag": "a tag (`!`) that YAML does not know; put text that begins with ! into quotes",
    "\\t": "a tab; YAML is indented with spaces",
    "mapping values are not allowed here": "a colon that cannot be here; is there no blank after"
    " one above, or no quotes?",
}
"""What to say in place of PyYAML's words, by what is in these."""
_CONFIDENTIAL_TRAP = (
    "YAML reads this as something else than it looks like;"
    " put text into quotes, or write a plain number, true or false"
)
_NUMBERS = {TAG_PREFIX + "int": int, TAG_PREFIX + "float": float}


class YamlDocument:
    """A YAML file as it was written. Values are what JSON has: mappings, lists, text, numbers."""

    def __init__(self, content: bytes, *, file: str) -> None:
        self._file = file
        self._root: yaml.Node | None = None
        self.value: Any = None
        self.problems: tuple[ConfigProblem, ...] = ()
        self.invalid_paths: AbstractSet[ConfigPath] = frozenset()
        try:
            self._read(_decode(content))
        except _UnreadableError as error:
            self.problems = (self._at(error.line, error.column, "", error.message),)

    def _read(self, text: str) -> None:
        self._root, tagged = _compose(text)
        reader = _NodeReader(tagged)
        self.value = reader.value(self._root, ())
        self.problems = tuple(
            self._at(mark.line, mark.column, format_path(keys), message)
            for mark, keys, message in reader.found
        )
        self.invalid_paths = reader.invalid_paths

    def locate(self, finding: UnlocatedError) -> ConfigProblem:
        mark = self._mark(finding.keys, at_key=finding.at_key)
        return self._at(mark.line, mark.column, format_path(finding.keys), finding.message)

    def source_text(self, keys: ConfigPath) -> str | None:
        node, _, missing = self._find(keys)
        return node.value if isinstance(node, yaml.ScalarNode) and not missing else None

    def _mark(self, keys: ConfigPath, *, at_key: bool) -> yaml.Mark:
        """Where the value (or its key) stands; for one that is missing, where it should be."""
        node, key, missing = self._find(keys)
        chosen = key if at_key and key is not None and not missing else node
        return chosen.start_mark

    def _find(self, keys: ConfigPath) -> tuple[yaml.Node, yaml.Node | None, bool]:
        assert self._root is not None
        node, key = self._root, None
        for step in keys:
            pair = _child(node, step)
            if pair is None:
                return node, key, True
            key, node = pair
        return node, key, False

    def _at(self, line: int, column: int, path: str, message: str) -> ConfigProblem:
        return ConfigProblem(
            file=self._file, line=line + 1, column=column + 1, path=path, message=message
        )


class _UnreadableError(Exception):
    """Text with no values in it at all. Line and column count from 0."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """The pair of key and value that a step leads to."""
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
        raise _UnreadableError(*_position(before), message) from None


def _position(before: str) -> tuple[int, int]:
    """Line and column right after some text, from 0."""
    *earlier, last = _lines(before)
    return len(earlier), len(last)


def _lines(text: str) -> list[str]:
    """Lines as YAML 1.1 counts them."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)


class _Composer(yaml.SafeLoader):
    """Makes nodes of text, notes which of them have tags, refuses to go too deep."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.tagged: set[int] = set()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            raise ComposerError(None, None, message, event.start_mark)
        node = super().compose_node(parent, index)
        if getattr(event, "tag", None) is not None:
            self.tagged.add(id(node))
        self.depth -= 1
        return node


def _compose(text: str) -> tuple[yaml.Node, set[int]]:
    composer: _Composer | None = None
    try:
        composer = _Composer(text)
        node = composer.get_single_node()
    except yaml.reader.ReaderError as error:
        place = _position(text[: error.position])
        raise _UnreadableError(*place, "a character that YAML does not allow; remove it") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text) from None
    except (ValueError, OverflowError):
        # PyYAML lets an escape such as "\UFFFFFFFF", which is no character, fail in chr().
        assert composer is not None
        mark = composer.get_mark()
        raise _UnreadableError(mark.line, mark.column, "an escape that is no character") from None
    if node is None:
        raise _UnreadableError(0, 0, "the file is empty; write at least one probe under `probes`")
    return node, composer.tagged


def _syntax(error: yaml.MarkedYAMLError, text: str) -> _UnreadableError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    message = ", ".join(part for part in (error.context, error.problem) if part)
    for sign, words in _SYNTAX.items():
        if sign in message:
            return _UnreadableError(line, column, words)
    if "${" in _lines(text)[line]:
        message += '; quote text that holds a reference: "${env:NAME}"'
    elif "flow mapping" in message and "$" in _lines(text)[line]:
        message += '; put a JSONPath into quotes: "$.a[0]"'
    return _UnreadableError(line, column, message)


class _NodeReader:
    """Makes values of nodes; keeps what it found on the way, and which values that is about."""

    def __init__(self, tagged: set[int]) -> None:
        self.found: list[tuple[yaml.Mark, ConfigPath, str]] = []
        self.invalid_paths: set[ConfigPath] = set()
        self._tagged = tagged
        self._open: list[int] = []
        self._seen: set[int] = set()
        self._repeated = 0

    def value(self, node: yaml.Node, keys: ConfigPath) -> Any:
        if id(node) in self._open:
            return self._break(node, keys, "an alias to what it is part of; write it out")
        self._count(node)
        if id(node) in self._tagged:
            self._break(node, keys, "tags such as !!str mean nothing here; quote text instead")
        elif isinstance(node, yaml.ScalarNode):
            return self._scalar(node, keys)
        self._open.append(id(node))
        value = self._collection(node, keys)
        self._open.pop()
        return value

    def _break(self, node: yaml.Node, keys: ConfigPath, message: str) -> None:
        self.found.append((node.start_mark, keys, message))
        self.invalid_paths.add(keys)

    def _count(self, node: yaml.Node) -> None:
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > MAX_ALIAS_COPIES or len(self._open) > MAX_DEPTH:
            mark = node.start_mark
            raise _UnreadableError(
                mark.line, mark.column, "aliases repeat this too often; use fewer"
            )

    def _collection(self, node: yaml.Node, keys: ConfigPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, index)) for index, item in enumerate(node.value)]
        return node.value

    def _mapping(self, node: yaml.MappingNode, keys: ConfigPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            problem = _bad_key(key)
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if not problem and name in values:
                problem = f"duplicate key; the first is on line {lines[name]}"
            if problem:
                self.found.append((key.start_mark, (*keys, name) if name else keys, problem))
                continue
            lines[name] = key.start_mark.line + 1
            values[name] = self.value(value, (*keys, name))
        return values

    def _scalar(self, node: yaml.ScalarNode, keys: ConfigPath) -> Any:
        try:
            problem = yaml11_pitfall(node) or _half_character(node.value)
            if not problem:
                return _plain(node)
            if is_confidential(keys):
                problem = _CONFIDENTIAL_TRAP
        except ValueError:
            problem = "a number with too many digits"
        self._break(node, keys, problem)
        return node.value


def _plain(node: yaml.ScalarNode) -> Any:
    """The value of a scalar that is no trap."""
    text: str = node.value
    if node.style is None and node.tag in _NUMBERS and not set(text) & set("_:xXbB"):
        return _NUMBERS[node.tag](text)
    if node.style is None and node.tag == TAG_PREFIX + "bool":
        return text.lower() == "true"
    return None if node.style is None and node.tag == TAG_PREFIX + "null" else text


def _half_character(text: str) -> str | None:
    surrogate = any("\ud800" <= character <= "\udfff" for character in text)
    return "half of a character (a lone surrogate); write the whole of it" if surrogate else None


def _bad_key(key: yaml.Node) -> str | None:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be text"
    if key.tag == TAG_PREFIX + "merge":
        return "merge keys are not supported; put what probes share under `defaults`"
    if key.style is None and key.tag == TAG_PREFIX + "bool":
        reading = "true" if key.value.lower() in ("true", "yes", "on") else "false"
        return f'YAML reads the key {key.value} as {reading}; quote it: "{key.value}"'
    if key.style is None and key.tag == TAG_PREFIX + "null":
        return "a key must be text; there is none before the colon"
    if key.tag != TAG_PREFIX + "str":
        return "a key must be text; put it into quotes"
    return _half_character(key.value)
