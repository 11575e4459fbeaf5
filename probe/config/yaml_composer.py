"""Nodes of a YAML text, with the core schema of YAML 1.2 and a limit of nesting.

libyaml composes ordinary texts, 20 times as fast as PyYAML (0.05 instead of 1.06 s of CPU for 1,000
probes). PyYAML composes all others, and those in which libyaml finds an error: messages and
positions are always those of PyYAML.
"""

import re
from itertools import chain

import yaml
from yaml.composer import ComposerError
from yaml.resolver import BaseResolver

from probe.config.yaml_syntax import YamlSyntaxError, end_of, to_syntax_error

MAX_DEPTH = 50

# Texts with one of these are not ordinary: libyaml reads some of them differently. They are tabs
# and characters that PyYAML may not allow, tags, explicit keys, and comments after `|` and `>`.
_NOT_ORDINARY = re.compile(
    r"[^\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]"
    r"|(?<![^\s,\[\]{}:])[!?]|[|>][-+0-9]*#"
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


class _PyYamlComposer(_Resolver, yaml.BaseLoader):
    """The composer of PyYAML with MAX_DEPTH. `tagged` are the ids of nodes with a tag."""

    def __init__(self, text: str) -> None:
        yaml.BaseLoader.__init__(self, text)
        self.depth = 0
        self.tagged = set[int]()

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


if yaml.__with_libyaml__:

    class _LibyamlComposer(_Resolver, yaml.CBaseLoader):
        """The composer of libyaml, which calls these methods for each node."""

        def __init__(self, text: str) -> None:
            yaml.CBaseLoader.__init__(self, text)
            self._depth = 0
            # Tags of plain scalars by their text: most keys and many values occur often.
            self._tags: dict[str, str] = {}

        def descend_resolver(self, *_: object) -> None:
            """Begin a node that is no alias."""
            self._depth += 1
            if self._depth == MAX_DEPTH:  # its parts may be too deep
                raise _NotOrdinaryError

        def ascend_resolver(self) -> None:
            """End a node."""
            self._depth -= 1

        def resolve(
            self, kind: type[yaml.Node], value: str | None, implicit: bool | tuple[bool, bool]
        ) -> str:
            """Return the tag of a node. The first item of `implicit` says if a scalar is plain."""
            if value is None or not isinstance(implicit, tuple) or not implicit[0]:
                return self._resolve(kind, value, implicit)
            if not value:  # libyaml places a missing value elsewhere
                raise _NotOrdinaryError
            if value not in self._tags:
                self._tags[value] = self._resolve(kind, value, implicit)
            return self._tags[value]

        def _resolve(self, *node: object) -> str:
            tag: str = super().resolve(*node)  # type: ignore[no-untyped-call]
            return tag


def compose(text: str) -> tuple[yaml.Node, set[int]]:
    """Return the root node, and the ids of nodes with a tag. Raises YamlSyntaxError."""
    return _compose_ordinary(text) or _compose_any(text)


def _compose_ordinary(text: str) -> tuple[yaml.Node, set[int]] | None:
    """Return what `_compose_any` returns; None for some texts and for all errors."""
    if not yaml.__with_libyaml__ or _NOT_ORDINARY.search(text):
        return None
    try:
        node = _LibyamlComposer(text).get_single_node()
    except (yaml.YAMLError, ValueError, _NotOrdinaryError):
        return None
    if node is None or ("?" in text and _has_question_mark_in_flow(node)):
        return None
    return node, set()  # an ordinary text has no tags


def _has_question_mark_in_flow(root: yaml.Node) -> bool:
    """Return whether a plain scalar between brackets has a `?`: libyaml reads {a?b: c}."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))  # an alias may refer to a node that contains it
        is_list = isinstance(node, yaml.SequenceNode)
        items = node.value if is_list else list(chain.from_iterable(node.value))
        if node.flow_style and any(map(_has_question_mark, items)):
            return True
        nodes += items
    return False


def _has_question_mark(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and "?" in node.value


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
