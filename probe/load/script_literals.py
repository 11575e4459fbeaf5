"""Values of a config as source code of JavaScript and Python.

Texts may contain anything: quotes, line separators, `${`. Each function returns one expression on
one line, or a literal of several lines, whose value is the text or the JSON that was passed in.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from probe.config.secrets import Reference, Template

# JavaScript has all integers up to this one (Number.MAX_SAFE_INTEGER).
SAFE_INTEGER = 2**53 - 1

# A container of at most this length is written on one line.
LINE_WIDTH = 80


class Literals(ABC):
    """Literals of a language. References are expressions that read their value at run time."""

    indent: ClassVar[str]
    constants: ClassVar[Mapping[Any, str]]

    def text(self, value: str) -> str:
        """Return a quoted string. Characters that are not printable are escaped."""
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(
            character if character.isprintable() else self._escape(ord(character))
            for character in quoted
        )

    def template(self, template: Template) -> str:
        """Return an expression for a text with references."""
        return " + ".join(
            self.reference(part) if isinstance(part, Reference) else self.text(part)
            for part in template.parts
        ) or self.text("")

    def json(self, value: Any, margin: str = "", start: str = "") -> str:
        """Return a literal of the JSON `value`.

        Its first line follows `start`, such as the key of an object. The others follow `margin`.
        """
        if isinstance(value, Template):
            return self.template(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (Mapping, list, tuple)):
            return self._container(value, margin, start)
        return self.constants[value] if value is None or isinstance(value, bool) else repr(value)

    def key(self, key: str) -> str:
        """Return the key of a literal of a mapping."""
        return self.text(key)

    @abstractmethod
    def reference(self, reference: Reference) -> str:
        """Return an expression that reads the value of `reference`."""

    @abstractmethod
    def _escape(self, code_point: int) -> str:
        """Return the escape of a character."""

    def _container(self, value: Any, margin: str, start: str) -> str:
        if isinstance(value, Mapping):
            opening, closing = "{", "}"
            items = [(f"{self.key(key)}: ", item) for key, item in value.items()]
        else:
            opening, closing = "[", "]"
            items = [("", item) for item in value]
        inner = margin + self.indent
        values = [key + self.json(item, inner, key) for key, item in items]
        line = opening + ", ".join(values) + closing
        if len(margin + start + line) <= LINE_WIDTH and "\n" not in line:
            return line
        lines = "".join(f"{inner}{value},\n" for value in values)
        return f"{opening}\n{lines}{margin}{closing}"


class JavaScriptLiterals(Literals):
    """Literals of JavaScript. They use the functions `env` and `file` of the script."""

    indent = "  "
    constants: ClassVar = {None: "null", True: "true", False: "false"}

    def json_text(self, value: Any) -> str:
        """Return an expression for the text of the JSON `value`.

        JavaScript would write some numbers differently, such as 1.0. A value with one is text.
        """
        if _has_same_numbers(value):
            return f"JSON.stringify({self.json(value)})"
        return " + ".join(
            f"JSON.stringify({self.template(part)})"
            if isinstance(part, Template)
            else self.text(part)
            for part in _json_parts(value)
        )

    def key(self, key: str) -> str:
        # Without brackets, this one is the prototype of the object.
        return f"[{self.text(key)}]" if key == "__proto__" else self.text(key)

    def reference(self, reference: Reference) -> str:
        return f"{reference.kind}({self.text(reference.name)})"

    def _escape(self, code_point: int) -> str:
        return f"\\u{{{code_point:x}}}" if code_point > 0xFFFF else f"\\u{code_point:04x}"


def _has_same_numbers(value: Any) -> bool:
    """Return whether JavaScript reads and writes all numbers in `value` with the same type."""
    if isinstance(value, Mapping):
        return all(_has_same_numbers(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_has_same_numbers(item) for item in value)
    if isinstance(value, float):
        return not value.is_integer()
    return not isinstance(value, int) or abs(value) <= SAFE_INTEGER


def _json_parts(value: Any) -> list[str | Template]:
    """Return the JSON text of `value`, split at its templates."""
    parts: list[str | Template] = []
    for part in _json_tokens(value):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def _json_tokens(value: Any) -> Iterator[str | Template]:
    if isinstance(value, Template):
        yield value
    elif isinstance(value, Mapping):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{json.dumps(key)}: "
            yield from _json_tokens(item)
        yield "}"
    elif isinstance(value, (list, tuple)):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _json_tokens(item)
        yield "]"
    else:
        yield json.dumps(value)


class PythonLiterals(Literals):
    """Literals of Python. They use `os` and the function `read_text` of the script."""

    indent = "    "
    constants: ClassVar = {None: "None", True: "True", False: "False"}

    def reference(self, reference: Reference) -> str:
        name = self.text(reference.name)
        return f"os.environ[{name}]" if reference.kind == "env" else f"read_text({name})"

    def _escape(self, code_point: int) -> str:
        return f"\\U{code_point:08x}" if code_point > 0xFFFF else f"\\u{code_point:04x}"


JAVASCRIPT = JavaScriptLiterals()
PYTHON = PythonLiterals()
