"""docs/config.md: every key of a config, from the JSON Schema that the loader's models give."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from probe.config.json_schema import json_schema
from probe.config.types import REFERENCE_SCHEMA
from tests.docs.tables import table

Schema = Mapping[str, Any]

HEAD = """\
# Config reference

<!-- Written by `python -m tests.docs` from probe/config/schema.py; do not edit. -->

A config is a YAML file. [config/probe.yml](../config/probe.yml) is an annotated example,
and [config/examples](../config/examples/README.md) has configs for real model servers.
Editors use [config/probe.schema.json](../config/probe.schema.json). `inference-probe check` reports
every error with its line, and says what to write instead.

- Durations and sizes have units: `250ms`, `5s`, `1m30s`, `1h`, `1d`; `512B`, `10kB`, `1MiB`.
- Text may contain references: `${env:NAME}` is the value of an environment variable, `${file:PATH}`
  the content of a file. `$${` is a literal `${`. In `url`, `headers`, `proxy`, `body` and `json`,
  references are resolved for each request, and their values are never shown. Elsewhere they are
  resolved when the config is loaded. Relative paths start at the directory of the config.
- Maximum sizes: 4 MiB for a config and for a file of certificates or keys, 1 MiB for the file of a
  reference, 64 MiB for `body_file`.
- Each probe has a `name` and a `url`. The URL, like any key except the name, may be in `defaults`.
- Unknown and duplicate keys are errors. A request has one body: `json`, `body` or `body_file`.
- Scalars follow YAML 1.2: `on`, `yes`, `12:30` and `2026-01-01` are text, `1e3` is a number.
  Numbers with leading zeros are errors, because YAML 1.1 reads them as octal.
"""

PLACES = {
    "Settings": ("The file", ""),
    "Probe": ("probes", "Each one is"),
    "Expect": ("expect", "Of a probe."),
    "Condition": ("Conditions", "On a header or on a value in the JSON."),
    "Objective": ("objectives", "Of a probe. Each one is"),
    "ServerTiming": ("server_timing", "Of a probe. Each one is"),
    "Tls": ("tls", "Of a probe."),
    "Networks": ("networks", "Of the whole daemon."),
}
"""The models in the order of the page: heading, and what comes before the description."""


def text() -> str:
    """The whole page."""
    whole = json_schema()
    models = {"Settings": whole, **whole["$defs"]}
    strange = models.keys() - PLACES.keys() - {"Defaults"}
    assert not strange, f"no place in docs/config.md for {', '.join(strange)}"
    return HEAD + "".join(_section(models[name], *PLACES[name]) for name in PLACES)


def _section(model: Schema, heading: str, before: str) -> str:
    about = model["description"]
    about = f"{before} {about[0].lower()}{about[1:]}" if before.endswith("is") else about
    about = f"{before} {about}" if before.endswith(".") else about
    rows = [
        (f"`{key}`", _kind(value), _default(model, key, value), value["description"])
        for key, value in model["properties"].items()
    ]
    return f"\n## {heading}\n\n{about}\n\n" + table(("key", "value", "default", "meaning"), rows)


def _default(model: Schema, key: str, value: Schema) -> str:
    if key in model.get("required", ()):
        return "required"
    default = value.get("default")
    return f"`{json.dumps(default).strip(chr(34))}`" if default not in (None, {}, []) else ""


def _kind(value: Schema) -> str:
    """What may be written there, in words. The description of a key itself is its meaning."""
    return " or ".join(dict.fromkeys(_kinds({**value, "description": "text"})))


def _kinds(value: Schema) -> Iterator[str]:
    if "$ref" in value:
        yield _link(value["$ref"].rpartition("/")[2])
    elif "anyOf" in value:
        for one in value["anyOf"]:
            if one not in (REFERENCE_SCHEMA, {"type": "null"}):
                yield from _kinds(one)
    elif "enum" in value:
        yield ", ".join(dict.fromkeys(f"`{one}`" for one in value["enum"]))
    else:
        yield _plain(value)


def _link(model: str) -> str:
    if model == "Defaults":
        return "keys of a [probe](#probes)"
    heading = PLACES[model][0].lower()
    return f"[{heading}](#{heading})"


def _plain(value: Schema) -> str:
    """Of a schema with a type of its own, or with none."""
    kinds: Mapping[str, Callable[[Schema], str]] = {
        "array": lambda it: f"a list: {_kind(it['items'])}",
        "object": lambda it: f"by name: {_kind(*it['patternProperties'].values())}",
        "string": _string,
        "integer": lambda it: f"a whole number from {it['minimum']} to {it['maximum']}",
        "number": lambda _: "a number",
        "boolean": lambda _: "`true`, `false`",
    }
    return kinds[value["type"]](value) if "type" in value else "anything"


def _string(value: Schema) -> str:
    if value.get("format") == "regex":
        return "a regular expression"
    about: str = value.get("description", "text").rstrip(".")
    examples = ", ".join(f"`{one}`" for one in value.get("examples", ()))
    such = f", such as {examples}" if examples and about == "text" else ""
    return about[0].lower() + about[1:] + such
