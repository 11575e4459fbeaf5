"""Any text and any JSON of a config is a literal of the scripts, and nothing else."""

import ast
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from probe.config.secrets import Reference, Template
from probe.load.script_literals import JAVASCRIPT, PYTHON

# Texts that end a string, a line or a comment, or that are code in one of the languages.
FRAGMENTS = (
    *('"', "'", "`", "\\", "${x}", "{{nonce}}", "{% raw %}", "</script>", "*/", "//", "#", '"""'),
    *(
        "\n",
        "\r",
        "\u2028",
        "\u2029",
        "\x00",
        "\x7f",
        "\u202e",
        "\ud800",
        "\U0001f600",
        "é",
        "\\u0022",
    ),
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=8).map("".join)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda items: st.lists(items, max_size=4) | st.dictionaries(TEXTS, items, max_size=4),
    max_leaves=8,
)


def _code_units(text: str) -> list[int]:
    """Return the UTF-16 code units of a text, as JavaScript has them."""
    data = text.encode("utf-16-le", errors="surrogatepass")
    return [int.from_bytes(data[start : start + 2], "little") for start in range(0, len(data), 2)]


@settings(max_examples=60)
@given(VALUES)
def test_json_is_the_same_in_python(value: Any) -> None:
    """A literal of Python has the same value, with all types and the order of keys."""
    literal = PYTHON.json(value)
    assert repr(ast.literal_eval(literal)) == repr(value)
    literal.encode()  # a script is UTF-8


@settings(deadline=None, max_examples=50)
@given(TEXTS)
@example("".join(FRAGMENTS))
def test_text_is_the_same_in_javascript(page: Page, text: str) -> None:
    """A literal of JavaScript has the same code units, and is one line."""
    literal = JAVASCRIPT.text(text)
    assert len(literal.splitlines()) == 1
    code_units = "(text) => Array.from({length: text.length}, (_, i) => text.charCodeAt(i))"
    assert page.evaluate(f"({code_units})({literal})") == _code_units(text)


@settings(deadline=None, max_examples=50)
@given(VALUES)
@example({"__proto__": 1, "b": [1.0, 2**60], "a": {}})
@example({"__proto__": {"x": 1}})
@example([-0.0])
def test_json_text_is_the_same_in_javascript(page: Page, value: Any) -> None:
    """The JSON text that a script of k6 sends has the same values, with the types of numbers."""
    text = page.evaluate(JAVASCRIPT.json_text(value))
    assert repr(_sorted(json.loads(text))) == repr(_sorted(value))


def _sorted(value: Any) -> Any:
    """Return JSON with sorted keys: JavaScript moves keys that are numbers to the front."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_references_become_expressions(page: Page) -> None:
    """A secret in JSON is escaped like any other text, whatever characters it has."""
    token = Template.parse("Bearer ${env:TOKEN}")
    environment = "const env = (name) => name + '\"\\n';"
    for value in ({"token": token}, {"token": token, "x": 1.0}):
        script = f"{{ {environment} {JAVASCRIPT.json_text(value)} }}"
        assert json.loads(page.evaluate(script))["token"] == 'Bearer TOKEN"\n'
    assert PYTHON.template(token) == '"Bearer " + os.environ["TOKEN"]'
    assert PYTHON.reference(Reference("file", 'a"b')) == 'read_text("a\\"b")'
