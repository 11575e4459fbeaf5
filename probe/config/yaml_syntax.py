"""Messages about text that is not YAML, instead of those of PyYAML.

They do not quote the text, because it may be a secret that should be in quotes.
"""

import re

import yaml
from yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
)

# Messages by a part of PyYAML's message. The first match counts.
_MESSAGES = {
    "but found another document": "a second document starts here; put everything into one,"
    " without `---`",
    "alias": "an alias (`*`) without an anchor; quote text that begins with *",
    "anchor": "no anchor (`&`), or one that is there already; put text that begins with & into"
    " quotes",
    "tag": "a tag (`!`) that YAML does not know; put text that begins with ! into quotes",
    "\\t": "a tab; YAML is indented with spaces",
    "mapping values are not allowed here": "unexpected colon; a space after a colon or quotes"
    " may be missing here or above",
    "escape": "an escape (`\\`) that YAML does not know; write `\\\\` for a backslash, or use"
    " single quotes",
    "cannot start any token": "a value cannot begin with this character; put it into quotes",
    "while parsing a block node": "a value cannot begin with this character; put it into quotes",
    "while scanning a directive": "a value cannot begin with this character; put it into quotes",
    "mapping keys are not allowed": "a value cannot begin with this character; put it into quotes",
    "sequence entries are not allowed here": "a list begins on the line below its key; write `- `"
    " there, or put the items into brackets: [...]",
    "while scanning a block scalar": "after `|` and `>` the text begins on the next line",
}

# In messages of PyYAML about a character or a token that begins a value, where none may begin.
_BEGINNING = re.compile(
    "'<(alias|anchor|tag)>'|'.' that cannot start any token|(keys|entries) are not allowed"
)

# Ends a line up to such a place after a closing quote or bracket.
_CLOSING = re.compile(r"[\"'\]}] *$")

# Messages about the place where a quote or a key begins.
_CONTEXT_MESSAGES = {
    "while scanning a quoted scalar": "the quote that begins here is not closed",
    "while scanning a simple key": "a colon and a space are missing after this key",
}

_NOT_INDENTED = "the indentation of this line does not match the lines above"
_AFTER_END = (
    "unexpected text after a closing quote or bracket; put the whole value into quotes, or close"
    " a quote above"
)


class YamlSyntaxError(Exception):
    """Text that is not YAML at all. `line` and `column` count from 0."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def to_syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlSyntaxError:
    """Return the error of PyYAML about `text`, in other words and perhaps at another place."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return YamlSyntaxError(0, 0, str(error.problem))
    message = ", ".join(part for part in (error.context, error.problem) if part)
    for part, replacement in _CONTEXT_MESSAGES.items():
        if part in message and error.context_mark:
            return _at(error.context_mark, replacement)
    before = text[mark.index - mark.column : mark.index]
    is_after_end = bool(_BEGINNING.search(message) and _CLOSING.search(before))
    if not is_after_end:
        for part, replacement in _MESSAGES.items():
            if part in message:
                return _at(mark, replacement)
    if "while parsing a flow" in message:
        return _flow_error(mark, message, text)
    if is_after_end or "<block end>" in message or "<document start>" in message:
        return _at(mark, _AFTER_END if before.strip(" -?") else _NOT_INDENTED)
    return _at(mark, message)


def _flow_error(mark: yaml.Mark, message: str, text: str) -> YamlSyntaxError:
    """Return an error between brackets. `message` is that of PyYAML, at `mark`."""
    opening = _innermost_bracket(text, mark.index)
    if opening is None:
        return _at(mark, message)
    begin, end = text[opening.index], {"[": "]", "{": "}"}[text[opening.index]]
    if "<stream end>" in message or "<document" in message:
        return _at(opening, f"this `{begin}` is not closed; write `{end}` at its end")
    unclosed = f"the `{begin}` of line {opening.line + 1}, column {opening.column + 1}"
    if "'{'" in message and text[: mark.index].endswith("$"):
        problem = 'put text with a reference into quotes: "${env:NAME}"'
    elif "'['" in message and "$" in text[mark.index - mark.column : mark.index]:
        problem = 'put a JSONPath into quotes: "$.a[0]"'
    elif re.search(r"'[]}]'$", message):
        advice = f"`{end}` closes {unclosed}; put text that contains brackets into quotes"
        problem = f"unexpected closing bracket; {advice}"
    elif message.endswith("':'") and opening.line == mark.line:
        problem = "unexpected colon; put text that contains `: ` into quotes"
    else:
        problem = f"a comma is missing before this, or {unclosed} is not closed"
    return _at(mark, problem)


def _innermost_bracket(text: str, end: int) -> yaml.Mark | None:
    """Return the place of the last bracket that is open at the index `end`."""
    opened: list[yaml.Mark] = []
    try:
        for token in yaml.scan(text, Loader=yaml.BaseLoader):
            if token.start_mark.index >= end:
                break
            if isinstance(token, FlowMappingStartToken | FlowSequenceStartToken):
                opened.append(token.start_mark)
            elif isinstance(token, FlowMappingEndToken | FlowSequenceEndToken) and opened:
                opened.pop()
    except yaml.YAMLError:  # the scanner reads ahead of `end`
        pass
    return opened[-1] if opened else None


def _at(mark: yaml.Mark, message: str) -> YamlSyntaxError:
    return YamlSyntaxError(mark.line, mark.column, message)


def end_of(text: str) -> tuple[int, int]:
    """Return the line and column at the end of `text`, from 0."""
    *lines, last = _split_lines(text)
    return len(lines), len(last)


def _split_lines(text: str) -> list[str]:
    """Return the lines of `text` as PyYAML counts them."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
