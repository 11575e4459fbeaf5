"""Nodes of a YAML text, with the core schema of YAML 1.2 and a limit of nesting.

libyaml composes ordinary texts, 8 times as fast as PyYAML (0.14 instead of 1.06 s of CPU for 1,000
probes). PyYAML composes all others, and those in which libyaml finds an error: messages and
positions are always those of PyYAML.
"""

import re

import yaml
from yaml.composer import Composer, ComposerError
from yaml.resolver import BaseResolver

from probe.config.yaml_syntax import YamlSyntaxError, end_of, to_syntax_error

MAX_DEPTH = 50

# Texts with one of these are not ordinary: libyaml reads some of them differently. They are tabs
# and characters that PyYAML may not allow, tags, explicit keys, and comments after `|` and `>`.
_NOT_ORDINARY = re.compile(
    r"[^\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]"
    r"|(?<![^\s,\[\]{}])[!?]|[|>][-+0-9]*#"
)


class _NotOrdinaryError(Exception):
    """A node that libyaml reads differently, or places differently."""


class _Resolver(BaseResolver):
    """The core schema: the tags of scalars by their forms."""


TEXT_TAG = yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG

# Forms of scalars that are not text, and their first characters: section 10.3.2 of YAML 1.2.2.
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_NOT_FINITE = r"[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
for _tag, _form, _first_characters in (
    ("null", "null|Null|NULL|~|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", f"{_FLOAT}|{_NOT_FINITE}", list("-+.0123456789")),
):
    _Resolver.add_implicit_resolver(_tag, re.compile(f"(?:{_form})\\Z"), _first_characters)


class _NestingLimit(Composer):
    """A composer with MAX_DEPTH. `tagged` are the ids of nodes with a tag in the text."""

    depth = 0
    tagged: set[int]

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[attr-defined]  # a method of the parser
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            raise ComposerError(None, None, message, event.start_mark)
        node = super().compose_node(parent, index)
        if getattr(event, "tag", None) is not None:
            self.tagged.add(id(node))
        self.depth -= 1
        return node


class _PyYamlComposer(_NestingLimit, _Resolver, yaml.BaseLoader):
    def __init__(self, text: str) -> None:
        yaml.BaseLoader.__init__(self, text)
        self.tagged = set()


if yaml.__with_libyaml__:

    class _LibyamlComposer(_NestingLimit, _Resolver, yaml.CBaseLoader):
        def __init__(self, text: str) -> None:
            yaml.CBaseLoader.__init__(self, text)
            Composer.__init__(self)
            self.tagged = set()
            self.flow_level = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            is_flow = bool(getattr(self.peek_event(), "flow_style", False))
            self.flow_level += is_flow
            node = super().compose_node(parent, index)
            self.flow_level -= is_flow
            return node

        def compose_scalar_node(self, anchor: dict[str, yaml.Node]) -> yaml.ScalarNode:
            node = super().compose_scalar_node(anchor)
            if not node.style:
                node.style = None  # as in PyYAML
                # libyaml places a missing value elsewhere, and reads {a?b: c}.
                if not node.value or (self.flow_level and "?" in node.value):
                    raise _NotOrdinaryError
            return node


def compose(text: str) -> tuple[yaml.Node, set[int]]:
    """Return the root node, and the ids of nodes with a tag. Raises YamlSyntaxError."""
    return _compose_ordinary(text) or _compose_any(text)


def _compose_ordinary(text: str) -> tuple[yaml.Node, set[int]] | None:
    """Return what `_compose_any` returns; None for some texts and for all errors."""
    if not yaml.__with_libyaml__ or _NOT_ORDINARY.search(text):
        return None
    try:
        composer = _LibyamlComposer(text)
        node = composer.get_single_node()
    except (yaml.YAMLError, ValueError, _NotOrdinaryError):
        return None
    return None if node is None else (node, composer.tagged)


def _compose_any(text: str) -> tuple[yaml.Node, set[int]]:
    composer: _PyYamlComposer | None = None
    try:
        composer = _PyYamlComposer(text)
        node = composer.get_single_node()
    except yaml.reader.ReaderError as error:
        end = end_of(text[: error.position])
        raise YamlSyntaxError(*end, "a character that YAML does not allow; remove it") from None
    except yaml.MarkedYAMLError as error:
        raise to_syntax_error(error, text) from None
    except (ValueError, OverflowError):
        # PyYAML calls chr() with an escape such as "\UFFFFFFFF", which is no character.
        assert composer is not None
        mark = composer.get_mark()
        raise YamlSyntaxError(mark.line, mark.column, "this escape is not a character") from None
    if node is None:
        raise YamlSyntaxError(0, 0, "the file is empty; write at least one probe under `probes`")
    return node, composer.tagged
