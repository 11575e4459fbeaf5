"""What must fit together in a config, looked at before the parts are known to be right.

pydantic compares fields only after all of them are valid; people want to hear of both at once.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from probe.config.errors import (
    ConfigPath,
    UnlocatedError,
    format_path,
    is_confidential,
    quote,
    truncate_key,
)
from probe.config.schema import Settings
from probe.config.types import NotTextError, describe_type

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


def find_defaults_conflicts(config: dict[str, Any]) -> Iterator[UnlocatedError]:
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
        yield UnlocatedError(
            (*keys, name), f"the same header as `{truncate_key(first)}`", at_key=True
        )


def _repeated(names: Mapping[Any, str], *, same: Callable[[str], str]) -> Iterator[tuple[Any, Any]]:
    """Where a name comes again, and where it came first."""
    first: dict[str, Any] = {}
    for where, name in names.items():
        if same(name) in first:
            yield where, first[same(name)]
        first.setdefault(same(name), where)


_EXPECTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_WORDS = {"missing": "this key is missing", "too_short": "expected one at least"}


def translate_errors(
    error: ValidationError,
    *,
    written: Callable[[ConfigPath], str | None],
    model: type[BaseModel] = Settings,
) -> Iterator[UnlocatedError]:
    """Each error of a validation of a model; `written` tells what the file says for a value."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":
            continue  # the default of a key depends on others, and their errors are said already
        keys, unknown = detail["loc"], detail["type"] == "extra_forbidden"
        about_key = keys[-1] == "[key]" and not unknown
        keys = keys[:-1] if about_key else keys
        message = _message(detail, keys, written, model)
        if (about_key or unknown) and ":" in str(keys[-1]):
            message += " (a blank may be missing after the colon)"
        yield UnlocatedError(keys, message, at_key=about_key or unknown)


def _message(
    detail: ErrorDetails,
    keys: ConfigPath,
    written: Callable[[ConfigPath], str | None],
    model: type[BaseModel],
) -> str:
    reason = detail.get("ctx", {}).get("error")
    if isinstance(reason, NotTextError):
        if is_confidential(keys):
            return "expected text; put it into quotes"
        return f'expected text; quote it: "{written(keys) or reason}"'
    if detail["type"] == "extra_forbidden":
        return _unknown(str(keys[-1]).partition(":")[0], known_keys(keys[:-1], model))
    if detail["type"] in _EXPECTED:
        is_condition = keys[-2:-1] in (("json",), ("headers",)) and "expect" in keys
        return _expected(_EXPECTED[detail["type"]], detail["input"], is_condition=is_condition)
    return _WORDS.get(detail["type"]) or str(reason or detail["msg"])


def _expected(wanted: str, found: Any, *, is_condition: bool) -> str:
    if found is None:
        return f"no value; expected {wanted}"
    advice = ""
    if wanted == "a list":
        of_blocks = isinstance(found, Mapping)
        advice = '; begin each item with "- "' if of_blocks else "; put it into brackets: [...]"
    elif is_condition:
        advice = "; write a condition, such as {equals: ...}"
    return f"expected {wanted}, not {describe_type(found)}{advice}"


def _unknown(key: str, known: list[str]) -> str:
    near = get_close_matches(key.lower(), known, n=1)
    if near:
        return f"unknown key, did you mean `{near[0]}`?"
    listed = f"known are {', '.join(sorted(known))}"
    if "probes" in known and key in known_keys(("probes", 0)):
        return f"unknown key; it is one of a probe, indent it under one; {listed}"
    return f"unknown key; {listed}"


def known_keys(keys: ConfigPath, model: type[BaseModel] = Settings) -> list[str]:
    """The keys that a mapping may have, by the way that leads to it from the top of a model."""
    steps = iter(keys)
    for step in steps:
        field = next(
            field for name, field in model.model_fields.items() if step == (field.alias or name)
        )
        inner, repeated = _inner(field.annotation)
        if repeated:
            next(steps)
        model = inner
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, "defaults"] if model is Settings else names


def _inner(annotation: Any) -> tuple[type[BaseModel], bool]:
    """The model of a field, and whether the field holds many of it."""
    many = get_origin(annotation) in (tuple, Mapping)
    options = get_args(annotation) or (annotation,)
    found = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return found, many
