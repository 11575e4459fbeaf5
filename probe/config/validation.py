"""Validation beyond pydantic: conflicts between keys, and pydantic's errors as messages for users.

pydantic compares keys only after each of them is valid. `find_conflicts` works on values that may
be invalid, so that users see all problems at once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from probe.config.choices import Dimension
from probe.config.errors import (
    ConfigPath,
    UnlocatedError,
    format_path,
    is_confidential,
    name_of_key,
    quote,
    quote_name,
    show_key,
)
from probe.config.foreign_keys import MIGRATION, MODULE_KEYS, REPLACEMENTS
from probe.config.http_types import ALERT_LABEL_PATTERN
from probe.config.merge_defaults import STREAM_KEYS
from probe.config.protocol_expansion import BODY_KEYS
from probe.config.schema import SettingsModel
from probe.config.secrets import ResolvedText
from probe.config.types import NotTextError, describe_type, require_text
from probe.result import STREAM_SIGNALS, Signal

# The expected type, by the type of pydantic's error.
_EXPECTED_TYPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

# Keys of `expect` that need `stream`.
STREAM_EXPECT_KEYS = ("tokens", "finish")

DIMENSION_EXAMPLES: Mapping[str, str] = {
    Dimension.VERSION: "version: {from: header, key: X-Model-Version}",
    Dimension.SEGMENT: "segment: {from: header, key: X-Variant}",
    Dimension.PAYLOAD: "payloads: [{name: short, json: ...}, {name: long, json: ...}]",
}

_MESSAGES = {"missing": "this key is missing", "too_short": "expected at least one item"}


def find_conflicts(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Yield the conflicts in a config whose defaults are merged.

    Of similar probes only one is checked. If a rule compares the name, the URL or the labels with
    another key, `similar_probes` must distinguish the probes for which it has other results.
    """
    probes = config.get("probes")
    if probes == []:
        yield UnlocatedError(("probes",), "no probes; write at least one")
    yield from _duplicate_names(probes, ("probes",))
    for index, probe in enumerate(probes if isinstance(probes, list) else []):
        if isinstance(probe, dict):
            path = ("probes", index)
            yield from _several_bodies(probe, path)
            yield from _keys_without_stream(probe, path)
            yield from _several_signals(probe, path)
            yield from _tokens_without_usage(probe, path)
            yield from _duplicate_names(probe.get("objectives"), (*path, "objectives"))
            yield from _duplicate_names(probe.get("payloads"), (*path, "payloads"))
            yield from _duplicate_headers(probe.get("headers"), (*path, "headers"))


def find_alert_label_errors(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Yield the `alert_labels` that are not in `labels`, or repeated.

    Separate from `find_conflicts`, because `alert_labels` in `defaults` may name labels that only
    the probes have.
    """
    probes = config.get("probes")
    for index, probe in enumerate(probes if isinstance(probes, list) else []):
        if not isinstance(probe, dict):
            continue
        written = probe.get("alert_labels")
        items: list[Any] = written if isinstance(written, list) else [written]
        labels = probe.get("labels")
        known = [name for name in labels if _is_label(name)] if isinstance(labels, dict) else []
        names = {
            position: require_text(name) for position, name in enumerate(items) if _is_label(name)
        }
        path = ("probes", index, "alert_labels")
        for position, name in names.items():
            if name not in known:
                message = _unknown_label(probe, items[position], known)
                yield UnlocatedError((*path, position), message)
        for position, first in _duplicates(names):
            yield UnlocatedError((*path, position), f"the same label as item {first + 1}")


def find_dimension_errors(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Yield the items of `histogram_by` whose values the probe does not have.

    Separate from `find_conflicts`, because those in `defaults` may need keys of the probes.
    """
    probes = config.get("probes")
    for position, probe in enumerate(probes if isinstance(probes, list) else []):
        written = probe.get("histogram_by") if isinstance(probe, dict) else None
        items: list[Any] = written if isinstance(written, list) else [written]
        for index, item in enumerate(items):
            name = require_text(item) if isinstance(item, (str, ResolvedText)) else ""
            key = "payloads" if name == Dimension.PAYLOAD else name
            if name in DIMENSION_EXAMPLES and not probe.get(key):
                message = f"the probe has no `{key}`; write it, too: {DIMENSION_EXAMPLES[name]}"
                yield UnlocatedError(("probes", position, "histogram_by", index), message)


def _is_label(name: Any) -> bool:
    """Return whether `name` is text that can be the name of a label of alerts."""
    is_text = isinstance(name, (str, ResolvedText))
    return is_text and bool(re.fullmatch(ALERT_LABEL_PATTERN, require_text(name)))


def _unknown_label(probe: dict[str, Any], label: str | ResolvedText, known: list[str]) -> str:
    name, owner = quote(label), probe.get("name")
    whose = f"probe {quote_name(owner)}" if isinstance(owner, (str, ResolvedText)) else "the probe"
    advice = f"add it there, or write one of {', '.join(known)}" if known else "write them as well"
    return f"{name} is not one of the `labels` of {whose}; {advice}"


def find_defaults_conflicts(config: dict[str, Any]) -> Iterator[UnlocatedError]:
    """Yield the problems of `defaults` that the validation of `defaults_only_config` misses."""
    defaults = config.get("defaults")
    if defaults is not None and not isinstance(defaults, dict):
        yield UnlocatedError(("defaults",), f"expected a mapping, not {describe_type(defaults)}")
    elif defaults and "name" in defaults:
        message = "`name` cannot have a default; write it in each probe"
        yield UnlocatedError(("defaults", "name"), message, at_key=True)


def _several_bodies(probe: dict[str, Any], path: ConfigPath) -> Iterator[UnlocatedError]:
    first, *others = [key for key in BODY_KEYS if probe.get(key) is not None] or [""]
    for key in others:
        message = f"`{first}` is given as well; a request has only one body"
        yield UnlocatedError((*path, key), message, at_key=True)


def _keys_without_stream(probe: dict[str, Any], path: ConfigPath) -> Iterator[UnlocatedError]:
    """Yield the keys that have a meaning only for a stream, if the probe has none."""
    if probe.get("stream") is not None:
        return
    expect = probe.get("expect")
    paths: list[ConfigPath] = [(key,) for key in STREAM_KEYS if probe.get(key) is not None]
    if isinstance(expect, dict):
        paths += [("expect", key) for key in STREAM_EXPECT_KEYS if expect.get(key) is not None]
    for index, signals in _signals_of_objectives(probe):
        paths += [("objectives", index, key) for key in signals if key in STREAM_SIGNALS]
    for key_path in paths:
        message = "only streams have tokens; write `stream` or the `protocol` of a stream, too"
        yield UnlocatedError((*path, *key_path), message, at_key=True)


def _several_signals(probe: dict[str, Any], path: ConfigPath) -> Iterator[UnlocatedError]:
    for index, (first, *others) in _signals_of_objectives(probe):
        for key in others:
            message = f"`{first}` is given as well; write an objective for each"
            yield UnlocatedError((*path, "objectives", index, key), message, at_key=True)


def _tokens_without_usage(probe: dict[str, Any], path: ConfigPath) -> Iterator[UnlocatedError]:
    """Yield the objectives on the time per token, if the stream has no path of their number."""
    stream = probe.get("stream")
    usage = stream.get("usage", {}) if isinstance(stream, dict) else None
    if not isinstance(usage, dict) or usage.get("output"):
        return
    for index, signals in _signals_of_objectives(probe):
        if Signal.TIME_PER_OUTPUT_TOKEN in signals:
            key_path = (*path, "objectives", index, Signal.TIME_PER_OUTPUT_TOKEN.value)
            message = "needs the number of tokens; add the path `usage.output` to `stream`"
            yield UnlocatedError(key_path, message, at_key=True)


def _signals_of_objectives(probe: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """Yield the index of each objective, and the signals for which it has a threshold."""
    objectives = probe.get("objectives")
    for index, objective in enumerate(objectives if isinstance(objectives, list) else []):
        if isinstance(objective, dict):
            signals = [signal.value for signal in Signal if objective.get(signal) is not None]
            if signals:
                yield index, signals


def _duplicate_names(items: Any, path: ConfigPath) -> Iterator[UnlocatedError]:
    names = {
        index: item["name"]
        for index, item in enumerate(items if isinstance(items, list) else [])
        if isinstance(item, dict) and isinstance(item.get("name"), (str, ResolvedText))
    }
    for index, first in _duplicates({index: require_text(name) for index, name in names.items()}):
        message = (
            f"{quote_name(names[index])} is already the name of {format_path((path[-1], first))}"
        )
        yield UnlocatedError((*path, index, "name"), message)


def _duplicate_headers(headers: Any, path: ConfigPath) -> Iterator[UnlocatedError]:
    names = headers if isinstance(headers, dict) else {}
    for name, first in _duplicates({name: name.lower() for name in names}):
        message = f"the same header as `{show_key(first, path)}`"
        yield UnlocatedError((*path, name), message, at_key=True)


def _duplicates(items: Mapping[Any, str]) -> Iterator[tuple[Any, Any]]:
    """Yield the key of each repeated value, and the key of its first occurrence."""
    first: dict[str, Any] = {}
    for key, value in items.items():
        if value in first:
            yield key, first[value]
        first.setdefault(value, key)


def translate_errors(
    error: ValidationError,
    *,
    source_text: Callable[[ConfigPath], str | None],
    model: type[BaseModel] = SettingsModel,
) -> Iterator[UnlocatedError]:
    """Yield the errors of a validation of `model`, with messages for users.

    `source_text` returns the text of the scalar at a path, as written.
    """
    details = error.errors(include_url=False)
    parents = {detail["loc"][:-1] for detail in details}
    for detail in details:
        if detail["type"] == "default_factory_not_called":
            continue  # a default that depends on other keys, whose errors are reported themselves
        if detail["type"] == "too_short" and detail["loc"] in parents:
            continue  # pydantic counts valid items only
        path, is_unknown = detail["loc"], detail["type"] == "extra_forbidden"
        is_key = path[-1] == "[key]" and not is_unknown
        path = path[:-1] if is_key else path
        reason, explanation = detail.get("ctx", {}).get("error"), ""
        if is_unknown:
            name = name_of_key(str(path[-1]))
            message, explanation = _unknown_key(name, path[:-1], model)
        elif isinstance(reason, NotTextError):
            message = _not_text(path, source_text(path) or str(reason))
        elif detail["type"] in _EXPECTED_TYPES:
            message = _wrong_type(path, _EXPECTED_TYPES[detail["type"]], detail["input"])
        else:
            message = _MESSAGES.get(detail["type"]) or str(reason or detail["msg"])
        if is_key or is_unknown:
            message += _separator_advice(str(path[-1]))
        yield UnlocatedError(path, message, is_key or is_unknown, explanation)


def _separator_advice(key: str) -> str:
    """Return advice about the text between `key` and its value, if it is wrong."""
    if ":" in key:
        return " (a space may be missing after the colon)"
    return " (write a colon and a space before the value)" if "=" in key else ""


def _not_text(path: ConfigPath, text: str) -> str:
    if is_confidential(path):
        return "expected text; put it into quotes"
    return f'expected text; quote it: "{text}"'


def _wrong_type(path: ConfigPath, expected: str, value: Any) -> str:
    if value is None:
        return f"no value; expected {expected}"
    advice = ""
    if path[:1] == ("probes",) and len(path) <= 2 and isinstance(value, (str, ResolvedText)):
        advice = "; write - {name: NAME, url: http://HOST:PORT/PATH}"
    elif expected == "a list":
        is_block = isinstance(value, Mapping)
        advice = '; begin each item with "- "' if is_block else "; put it into brackets: [...]"
    elif path[-2:-1] in (("json",), ("headers",)) and "expect" in path:
        advice = "; write a condition, such as {equals: ...}"
    elif path[-1] == "capacity":
        advice = "; write {safe_rate: 140/s}, with your rate"
    return f"expected {expected}, not {describe_type(value)}{advice}"


def _unknown_key(key: str, parent: ConfigPath, model: type[BaseModel]) -> tuple[str, str]:
    """Return the message and the explanation of an error about `key` in the mapping `parent`."""
    known = known_keys(parent, model)
    if model is SettingsModel and (foreign := _foreign_key(key, parent)):
        return foreign
    if re.fullmatch("[0-9]+ ?[%a-z]*", key):  # {target: 99,5%} has the key 5%
        return "unknown key; write a decimal point instead of a comma, if this ends a number", ""
    similar = get_close_matches(key.lower(), known, n=1)
    if similar:
        return f"unknown key, did you mean `{similar[0]}`?", ""
    known_are = f"known are {', '.join(sorted(known))}"
    if "probes" in known and key in known_keys(("probes", 0)):
        return "unknown key; it belongs to a probe, so indent it under one", known_are
    return "unknown key", known_are


def _foreign_key(key: str, parent: ConfigPath) -> tuple[str, str] | None:
    """Return message and explanation for a `key` of another program, None for other keys."""
    owner = next((step for step in reversed(parent) if isinstance(step, str)), "")
    if key in REPLACEMENTS.get(owner, {}):
        return f"unknown key; {REPLACEMENTS[owner][key]}", ""
    if owner == "probes" and key in MODULE_KEYS:
        return "unknown key", MIGRATION
    if not parent and key.startswith("x-"):  # extensions of Compose files
        advice = "merge keys and keys x-... are not supported"
        return f"unknown key; {advice}; put what probes share under `defaults`", ""
    return None


def known_keys(path: ConfigPath, model: type[BaseModel] = SettingsModel) -> list[str]:
    """Return the keys that the mapping at `path` may have, from the top of `model`."""
    steps = iter(path)
    for step in steps:
        field = next(
            field for name, field in model.model_fields.items() if step == (field.alias or name)
        )
        model, is_container = _inner_model(field.annotation)
        if is_container:
            next(steps)
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, "defaults"] if model is SettingsModel else names


def _inner_model(annotation: Any) -> tuple[type[BaseModel], bool]:
    """Return the model of a field, and whether the field is a list or a mapping of it."""
    is_container = get_origin(annotation) in (tuple, Mapping)
    options = get_args(annotation) or (annotation,)
    model = next(
        option for option in options if isinstance(option, type) and issubclass(option, BaseModel)
    )
    return model, is_container
