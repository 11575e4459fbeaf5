"""Paths to values in the JSON of events.

Events are read while the stream arrives, in the daemon and for every token. So their paths are
simpler than JSONPath, and take no library: names, indices and `[*]`.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from probe.config.response_settings import EVENT_PATH_STEP_PATTERN

# A name, an index, or None for all items.
_Steps = tuple[str | int | None, ...]


class EventDocument(NamedTuple):
    """The JSON of an event, and the type of the event."""

    type: str
    value: Any


class EventPath:
    """Path to values in the JSON of an event, such as `$.choices[*].delta.content`.

    With a prefix such as `message_delta:`, it applies to events of this type only.
    """

    def __init__(self, text: str) -> None:
        """Compile `text`, a path of a valid config."""
        prefix, _, path = text.partition("$")
        self.type = prefix.removesuffix(":")
        self.steps: _Steps = tuple(map(_step, re.findall(EVENT_PATH_STEP_PATTERN, path)))

    def find(self, document: EventDocument) -> list[Any]:
        """Return the values at this path."""
        if self.type and document.type != self.type:
            return []
        values = [document.value]
        for step in self.steps:
            if isinstance(step, str):
                values = [
                    value[step] for value in values if isinstance(value, dict) and step in value
                ]
            else:
                items = slice(step, None if step is None else step + 1)
                values = [
                    item for value in values if isinstance(value, list) for item in value[items]
                ]
            if not values:
                break
        return values


class EventPaths:
    """Paths with keys. One walk over an event finds the values of all of them.

    An event with a token has values at one or two of about fifteen paths. To search for each path
    by itself took half of the CPU time of a token.
    """

    def __init__(self, paths: Iterable[tuple[str, EventPath]]) -> None:
        """`paths` are keys and paths. Several paths may have the same key."""
        numbered = list(enumerate(paths))
        self._keys = [key for _, (key, _) in numbered]
        # The trees of the types that a path names, and that of all other types.
        self._trees = {
            event_type: _build_tree(
                (number, path.steps)
                for number, (_, path) in numbered
                if path.type in ("", event_type)
            )
            for event_type in {"", *(path.type for _, (_, path) in numbered)}
        }
        self._other = self._trees[""]

    def find(self, document: EventDocument) -> dict[str, list[Any]]:
        """Return the values by key, without null. Those of several paths are in their order."""
        found: dict[int, list[Any]] = {}
        if document.value is not None:
            _collect(document.value, self._trees.get(document.type, self._other), found)
        values: dict[str, list[Any]] = {}
        for number, items in sorted(found.items()) if len(found) > 1 else found.items():
            key = self._keys[number]
            values[key] = values[key] + items if key in values else items
        return values


class _Node:
    """The paths that have the same first steps."""

    __slots__ = ("children", "ends", "indices", "items")

    def __init__(self) -> None:
        self.ends: list[int] = []
        """Numbers of the paths that end here."""
        self.children: dict[str, _Node] = {}
        """The next step by its name."""
        self.items: _Node | None = None
        """The next step `[*]`."""
        self.indices: dict[int, _Node] = {}
        """The next step by its index."""

    def add(self, step: str | int | None) -> "_Node":
        """Return the node of the next `step`."""
        if isinstance(step, str):
            return self.children.setdefault(step, _Node())
        if step is not None:
            return self.indices.setdefault(step, _Node())
        self.items = self.items or _Node()
        return self.items


def _build_tree(paths: Iterable[tuple[int, _Steps]]) -> _Node:
    root = _Node()
    for number, steps in paths:
        node = root
        for step in steps:
            node = node.add(step)
        node.ends.append(number)
    return root


def _collect(value: Any, node: _Node, found: dict[int, list[Any]]) -> None:
    """Add the values at the paths of `node` to `found`, by the number of the path."""
    for number in node.ends:
        found.setdefault(number, []).append(value)
    if node.children and isinstance(value, dict):
        for name, item in value.items():
            if item is not None and name in node.children:
                _collect(item, node.children[name], found)
    elif isinstance(value, list):
        if node.items:
            for item in value:
                if item is not None:
                    _collect(item, node.items, found)
        for index, child in node.indices.items():
            if index < len(value) and value[index] is not None:
                _collect(value[index], child, found)


def _step(text: str) -> str | int | None:
    """Return the step that is written as `.name`, `[0]` or `[*]`."""
    if text.startswith("."):
        return text[1:]
    return None if text == "[*]" else int(text[1:-1])
