"""What is wrong with a config, for the person who has to put it right."""

import json
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

ConfigPath = tuple[str | int, ...]
"""The keys and indexes that lead from the top of a config to one of its values."""

# Characters of a value or a key that a message quotes.
MAX_QUOTED_CHARS = 80

# Keys whose values may be secrets.
_CONFIDENTIAL = ("url", "proxy", "headers", "body", "json", "basic_auth_users")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One mistake. Line and column count from 1; path is `probes[0].interval`, or a flag's name."""

    path: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """A config that cannot work, with all of its problems, in the order of the file."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UnlocatedError(NamedTuple):
    """A mistake before it has a place: which value it is about (or which key) and what to say."""

    keys: ConfigPath
    message: str
    at_key: bool = False


class ConfigSource(Protocol):
    """Where values come from, a file or flags: it knows how to point at each of them."""

    @property
    def value(self) -> Any:
        """The values, plain, as JSON has them."""

    @property
    def problems(self) -> tuple[ConfigProblem, ...]:
        """What is wrong with them already, whatever they mean."""

    @property
    def invalid_paths(self) -> AbstractSet[ConfigPath]:
        """The values that one of these problems is about: nothing more to say of them."""

    def locate(self, finding: UnlocatedError) -> ConfigProblem:
        """The finding with its place."""

    def source_text(self, keys: ConfigPath) -> str | None:
        """What was written for a single value."""


def is_confidential(keys: ConfigPath) -> bool:
    """Whether a message about this value must not show it, for it may be a secret."""
    return "expect" not in keys and any(key in _CONFIDENTIAL for key in keys)


def format_path(keys: ConfigPath) -> str:
    """The path as people write it: `probes[0].expect.json["$.result"]`."""
    steps = (_step(key, keys[:index]) for index, key in enumerate(keys))
    return "".join(steps).removeprefix(".")


def _step(key: str | int, before: ConfigPath) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if re.fullmatch(r"[\w-]+", key):
        return f".{key}"
    is_json_path = before[-2:] == ("expect", "json")
    return f"[{quote(key if is_json_path else truncate_key(key))}]"


def quote(text: str) -> str:
    """Return `text` in double quotes, as written in the file: references are not resolved."""
    written: str = getattr(text, "source", text)
    if len(written) > MAX_QUOTED_CHARS:
        written = written[:MAX_QUOTED_CHARS] + "…"
    return json.dumps(written, ensure_ascii=not written.isprintable())


def truncate_key(key: str) -> str:
    """Return `key` up to its first colon or blank.

    Where the blank after a colon is missing, the rest of the key is a value, perhaps a secret.
    """
    name = re.split(r"[:\s]", key, maxsplit=1)[0]
    return key if name == key else f"{name}…"


def quote_url(text: str) -> str:
    """Return `text`, which should be a URL, in double quotes, without the parts that may be secret.

    These are user, password, query and fragment.
    """
    written: str = getattr(text, "source", text)
    without_user = re.sub(r"^([^:/?#@]*:?//)?.*@", r"\1***@", written, flags=re.DOTALL)
    return quote(re.sub(r"([?#]).*", r"\1***", without_user, flags=re.DOTALL))
