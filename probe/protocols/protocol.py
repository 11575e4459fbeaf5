"""What a protocol provides for a probe: the values that its config would have with explicit keys.

Values that come from the config are passed on as they are, because they may contain references.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

# The keys below the name of the protocol, such as `model` and `prompt`.
ProtocolOptions = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolKeys:
    """Values of keys of a probe that a protocol provides."""

    path: tuple[Any, ...]
    """Path of the URL, in parts. It begins with /v1/ if a URL may end with /v1."""
    body: Any
    """Body of the request: JSON, or text."""
    headers: Mapping[str, Any] = field(default_factory=dict)
    stream: Mapping[str, Any] | None = None
    expect: Mapping[str, Any] = field(default_factory=dict)
    server_timing: tuple[Mapping[str, Any], ...] = ()
    version: Mapping[str, Any] | None = None
    segment: Mapping[str, Any] | None = None
    cold: Mapping[str, Any] = field(default_factory=dict)
    """Signals of cold starts, in addition to the header of KEDA."""


def json_value(key: str) -> Mapping[str, Any]:
    """Return a `version` or `segment` that is in the JSON of the response."""
    return {"from": "json", "key": key}


Protocol = Callable[[ProtocolOptions], ProtocolKeys]


def path_part(name: Any) -> Any:
    """Return the name of a model as a part of a path. References are left as they are."""
    return quote(name, safe=":@") if isinstance(name, str) else name


def chat_messages(
    options: ProtocolOptions,
    prompt_keys: Callable[[Any], Mapping[str, Any]] = lambda text: {"content": text},
) -> Any:
    """Return the messages: those of the config, or one with the prompt.

    `prompt_keys` returns the keys of a message for the text of the prompt.
    """
    if options.get("messages") is not None:
        return options["messages"]
    return [{"role": "user", **prompt_keys(options.get("prompt"))}]
