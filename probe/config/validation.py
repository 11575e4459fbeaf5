"""What must fit together in a config, looked at before the parts are known to be right.

pydantic compares fields only after all of them are valid; people want to hear of both at once.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from probe.config.errors import ConfigPath, UnlocatedError, format_path
from probe.config.quoting import quote, shown_key
from probe.config.types import describe_type

BODIES = ("json", "body", "body_file")


def find_conflicts(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Findings in a config whose defaults are merged; values may be of any type."""
    probes = config.get("probes")
    if probes == []:
        yield UnlocatedError(("probes",), "no probes; write at least one")
    yield from _same_names(probes, ("probes",))
    for index, probe in enumerate(probes if isinstance(probes, list) else []):
        if isinstance(probe, dict):
            yield from _in_probe(probe, ("probes", index))


def defaults_conflicts(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Findings in `defaults` that no probe made of them can show."""
    defaults = config.get("defaults")
    if defaults is not None and not isinstance(defaults, dict):
        yield UnlocatedError(("defaults",), f"expected a mapping, not {describe_type(defaults)}")
    elif defaults and "name" in defaults:
        message = "every probe has a name of its own; write it there"
        yield UnlocatedError(("defaults", "name"), message, at_key=True)


def _in_probe(probe: dict[str, Any], keys: ConfigPath) -> Iterator[UnlocatedError]:
    yield from _bodies(probe, keys)
    yield from _same_names(probe.get("objectives"), (*keys, "objectives"))
    yield from _same_headers(probe.get("headers"), (*keys, "headers"))


def _bodies(probe: dict[str, Any], keys: ConfigPath) -> Iterator[UnlocatedError]:
    """More than one body."""
    first, *others = [body for body in BODIES if probe.get(body) is not None] or [""]
    for other in others:
        message = f"there is `{first}` already; a request has one body"
        yield UnlocatedError((*keys, other), message, at_key=True)


def _same_names(items: Any, keys: ConfigPath) -> Iterator[UnlocatedError]:
    names = {
        index: item["name"]
        for index, item in enumerate(items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    }
    for index, first in _repeated(names, same=str):
        message = f"{quote(names[index])} is the name of {format_path((keys[-1], first))} already"
        yield UnlocatedError((*keys, index, "name"), message)


def _same_headers(headers: Any, keys: ConfigPath) -> Iterator[UnlocatedError]:
    names = {name: name for name in headers} if isinstance(headers, dict) else {}
    for name, first in _repeated(names, same=str.lower):
        yield UnlocatedError((*keys, name), f"the same header as `{shown_key(first)}`", at_key=True)


def _repeated(names: Mapping[Any, str], *, same: Callable[[str], str]) -> Iterator[tuple[Any, Any]]:
    """Where a name comes again, and where it came first."""
    first: dict[str, Any] = {}
    for where, name in names.items():
        if same(name) in first:
            yield where, first[same(name)]
        first.setdefault(same(name), where)
