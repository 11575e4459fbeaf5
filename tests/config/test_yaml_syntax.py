"""Messages about text that is not YAML."""

from pathlib import Path

import pytest

from tests.config.loading import load_problems

AFTER_END = "unexpected text after a closing quote or bracket; put the whole value into quotes"
NO_BEGINNING = "a value cannot begin with this character; put it into quotes"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("probes: [", "1:9", "this `[` is not closed; write `]` at its end"),
        ("a: [b, {c: d}", "1:4", "this `[` is not closed; write `]` at its end"),
        ("a: {b: c}\nd: {e: [f]", "2:4", "this `{` is not closed; write `}` at its end"),
        (
            "a:\n  b: [{c: d}\n  e: f",
            "3:3",
            "a comma is missing before this, or the `[` of line 2, column 6 is not closed",
        ),
        (
            "- {a: b\n  c: d}",
            "2:4",
            "a comma is missing before this, or the `{` of line 1, column 3 is not closed",
        ),
        (
            "a: [200, 201}",
            "1:13",
            "unexpected closing bracket; `]` closes the `[` of line 1, column 4; put text",
        ),
        ("a: {A: b: c}", "1:9", "unexpected colon; put text that contains `: ` into quotes"),
        ("a:\n  b: 'c\n  d: e\n", "2:6", "the quote that begins here is not closed"),
        ('a: {b: "c}\nd: e\n', "1:8", "the quote that begins here is not closed"),
        ("a: 'it's'", "1:8", AFTER_END),
        *((f'a: "b" {text}', "1:8", AFTER_END) for text in ("c", "*c", "&c", "!c", "@c", "- c")),
        ("a: [b] *c", "1:8", AFTER_END),
        (
            'a: ["b" *c]',
            "1:9",
            "a comma is missing before this, or the `[` of line 1, column 4 is not closed",
        ),
        ("a: *b", "1:4", "an alias (`*`) without an anchor; quote text that begins with *"),
        ("a: &b *c", "1:7", "an alias (`*`) without an anchor; quote text that begins with *"),
        ("a: [b]]", "1:7", AFTER_END),
        ("a:\n  - b: c\n   d: e", "3:4", "the indentation of this line does not match the lines"),
        ("  a: b\nc: d", "2:1", "the indentation of this line does not match the lines"),
        ("[a] b", "1:5", AFTER_END),
        ("a: - b", "1:4", "a list begins on the line below its key; write `- ` there, or put"),
        ("%{a", "1:2", NO_BEGINNING),
        ("a: ? b", "1:4", NO_BEGINNING),
        ("a:\n\tb: c", "2:1", "a tab; YAML is indented with spaces"),
        ("a: @b", "1:4", NO_BEGINNING),
        ("a: `b`", "1:4", NO_BEGINNING),
        ("a: }", "1:4", NO_BEGINNING),
        ('a: "\\d"', "1:6", "an escape (`\\`) that YAML does not know; write `\\\\` for a backsl"),
        ("a: b\nc\nd: e", "2:1", "a colon and a space are missing after this key"),
        ("a: |b\n  c", "1:5", "after `|` and `>` the text begins on the next line"),
    ],
)
def test_syntax_errors(tmp_path: Path, text: str, place: str, message: str) -> None:
    """The place is that of the mistake, and the message says what to write."""
    (problem,) = load_problems(tmp_path, text)
    assert problem.startswith(f"probe.yml:{place}: {message}")


@pytest.mark.parametrize(
    "text", ["a: 'hunter2", "a: {b: hunter2: x}", "a: [hunter2", "a: @hunter2"]
)
def test_the_text_is_not_quoted(tmp_path: Path, text: str) -> None:
    """It may be a secret that should be in quotes."""
    (problem,) = load_problems(tmp_path, text)
    assert "hunter2" not in problem
