"""Problems of a config and the wording of their messages."""

import json
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from probe.config.secrets import ResolvedText

# Keys and indexes that lead from the top of a config to one of its values.
ConfigPath = tuple[str | int, ...]

# Messages quote at most this much of a value.
MAX_QUOTED_CHARS = 80

# Values of these keys may be secrets.
_CONFIDENTIAL_KEYS = ("url", "proxy", "headers", "body", "json", "basic_auth_users")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One problem of a config.

    `path` is a path such as `probes[0].interval`, or the name of a flag. `line` and `column` count
    from 1.
    """

    path: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """An invalid config, with all of its problems in the order of the file."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UnlocatedError(NamedTuple):
    """A problem of the value at `path` (or of its key, with `at_key`), without line and column.

    `explanation` is the end of the message. Of several problems with the same explanation, only
    the first one in the file has it, and the others refer to its line.
    """

    path: ConfigPath
    message: str
    at_key: bool = False
    explanation: str = ""


class ConfigSource(Protocol):
    """A file or flags: the values of a config, and the location of each of them."""

    @property
    def value(self) -> Any:
        """The values as JSON has them; None if they cannot be read."""

    @property
    def problems(self) -> tuple[ConfigProblem, ...]:
        """Problems of the syntax."""

    @property
    def invalid_paths(self) -> AbstractSet[ConfigPath]:
        """Paths of the values with syntax problems. Their validation errors are not reported."""

    def locate(self, error: UnlocatedError) -> ConfigProblem:
        """Return `error` with its location."""

    def source_text(self, path: ConfigPath) -> str | None:
        """Return the text of the scalar at `path`, as written; None if there is no scalar."""


def is_confidential(path: ConfigPath) -> bool:
    """Return whether the value at `path` may be a secret, which messages must not show."""
    return "expect" not in path and any(key in _CONFIDENTIAL_KEYS for key in path)


def format_path(path: ConfigPath) -> str:
    """Return `path` as text: `probes[0].expect.json["$.result"]`."""
    steps = (_format_step(step, path[:index]) for index, step in enumerate(path))
    return "".join(steps).removeprefix(".")


def _format_step(step: str | int, parent: ConfigPath) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if re.fullmatch(r"[\w-]+", step):
        return f".{step}"
    is_json_path = parent[-2:] == ("expect", "json")
    return f"[{quote(step if is_json_path else truncate_key(step))}]"


def source_of(text: str | ResolvedText) -> str:
    """Return `text` as written in the config, with its references unresolved."""
    return text.template.source if isinstance(text, ResolvedText) else text


def quote(text: str | ResolvedText) -> str:
    """Return `text` as written in the config, shortened, in double quotes and on one line."""
    source = source_of(text)
    if len(source) > MAX_QUOTED_CHARS:
        source = source[:MAX_QUOTED_CHARS] + "…"
    return json.dumps(source, ensure_ascii=not source.isprintable())


def quote_url(text: str | ResolvedText) -> str:
    """Return `text`, a URL that may be invalid, in quotes and without the parts that may be secret.

    These are user, password, query and fragment.
    """
    without_user = re.sub(r"^([^:/?#@]*:?//)?.*@", r"\1***@", source_of(text), flags=re.DOTALL)
    return quote(re.sub(r"([?#]).*", r"\1***", without_user, flags=re.DOTALL))


def truncate_key(key: str) -> str:
    """Return `key` up to its first colon or space.

    If the space after a colon is missing, the rest of the key is a value, which may be a secret.
    """
    name = re.split(r"[:\s]", key, maxsplit=1)[0]
    return key if name == key else f"{name}…"
