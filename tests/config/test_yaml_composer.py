"""libyaml composes the same nodes as PyYAML, or leaves the text to it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe.config import yaml_composer
from probe.config.yaml_composer import _compose_any, _compose_ordinary
from probe.config.yaml_syntax import YamlSyntaxError

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*ROOT.glob("config/**/*.yml"), *ROOT.glob("tests/testdata/*.yml")])
TEXTS = [file.read_text(errors="replace") for file in FILES]
LINES = sorted({line for text in TEXTS for line in text.splitlines()})

pytestmark = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without libyaml")

# Characters with a meaning in YAML, and some without.
characters = st.sampled_from("ab1:: --[]{},,#'\"|>&*?!%~@`.\\/=<é\t\n\n  \n$^")
generated = st.one_of(
    st.text(characters, max_size=25),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=6).map("\n".join),
    st.sampled_from(TEXTS),
)
edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3), characters), max_size=4)


def describe(node: yaml.Node, tagged: set[int], seen: dict[int, int]) -> Any:
    """Return all that a config uses of `node`, as values that can be compared."""
    if id(node) in seen:
        return "alias", seen[id(node)]
    seen[id(node)] = len(seen)
    mark = node.start_mark
    common = (type(node), node.tag, mark.line, mark.column, id(node) in tagged)
    if isinstance(node, yaml.ScalarNode):
        return *common, node.value, node.style or None
    is_list = isinstance(node, yaml.SequenceNode)
    items = node.value if is_list else [item for pair in node.value for item in pair]
    return *common, [describe(item, tagged, seen) for item in items]


def assert_equal_nodes(text: str) -> bool:
    """Assert that both composers agree, and return whether libyaml composes the text."""
    ordinary = _compose_ordinary(text)
    if ordinary is None:
        return False
    assert describe(*ordinary, {}) == describe(*_compose_any(text), {})
    return True


@settings(deadline=None)
@example(text="{a: , b}", edits=[])
@example(text="---", edits=[])
@example(text="{a?b: c}", edits=[])
@example(text="? a", edits=[])
@example(text="a: ! b", edits=[])
@example(text="{'a':!!str b}", edits=[])
@example(text="a?b: {c: [d?e]}", edits=[])
@example(text="&a [*a, b?c]", edits=[])
@example(text="[&a a, " + "[" * 49 + "*a" + "]" * 50, edits=[])
@example(text="a: |#", edits=[])
@example(text="a:\tb", edits=[])
@example(text="&a [*a, {b: 'c''d', \"e\\x41\": >-\n f}]", edits=[])
@given(text=generated, edits=edits)
def test_composers_agree(text: str, edits: list[tuple[int, int, str]]) -> None:
    """Tags, values, styles, positions and aliases are the same, also of texts with errors."""
    for index, deleted, inserted in edits:
        at = index % (len(text) + 1)
        text = text[:at] + inserted + text[at + deleted :]
    assert_equal_nodes(text)


def test_configs_are_ordinary() -> None:
    """Libyaml composes all shipped configs but one, whose JSONPath has a filter."""
    files = ROOT.glob("config/**/*.yml")
    others = [file.name for file in files if not assert_equal_nodes(file.read_text())]
    assert others == ["openai-embeddings.yml"]


@pytest.mark.parametrize("text", ["[" * 51, "- " * 51 + "a", "a: [", "", "a: b: c", "\x00"])
def test_errors_are_left_to_pyyaml(text: str) -> None:
    """Positions and messages of errors are those of PyYAML."""
    assert _compose_ordinary(text) is None
    with pytest.raises(YamlSyntaxError):
        yaml_composer.compose(text)
