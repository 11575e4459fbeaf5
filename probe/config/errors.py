"""Problems of a config and the wording of their messages."""

import json
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

if TYPE_CHECKING:  # `run` imports this module before it starts the child process
    from probe.config.secrets import ResolvedText

# Keys and indexes that lead from the top of a config to one of its values.
ConfigPath = tuple[str | int, ...]

# Messages quote at most this much of a value.
MAX_QUOTED_CHARS = 80

# Values of these keys may be secrets.
_CONFIDENTIAL_KEYS = ("url", "proxy", "headers", "body", "json", "basic_auth_users")

# Keys below these are public: names of labels, of values in responses, and of users.
_PUBLIC_KEYS = frozenset({"labels", "expect", "basic_auth_users"})

# A word of a key, such as those of `X-B3-TraceId` and `max_tokens`. API keys and passwords mix
# letters and digits, or have other characters.
_KEY_WORD = re.compile(r"[^\W\d_]*[0-9]{0,3}")
MAX_KEY_CHARS = 50

# Keys that are not names in YAML: null and the merge key.
_OTHER_KEYS = ("~", "<<")

# Characters that are more likely in a body, a URL or a password than in the name of a file.
_CONTENT = re.compile(r"[\s\"'{}<>|]|-----BEGIN|://")
MAX_FILE_NAME_CHARS = 255


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
    """An invalid config, with all of its problems in the order of the file.

    `likely_mistakes` are other values, which are valid but probably not intended. They are not in
    the text of the exception.
    """

    def __init__(
        self,
        problems: tuple[ConfigProblem, ...],
        likely_mistakes: tuple[ConfigProblem, ...] = (),
    ) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.likely_mistakes = likely_mistakes

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), (self.problems, self.likely_mistakes)


class TlsError(Exception):
    """No TLS context can be created. `key` is the config key of the invalid file, if known."""

    def __init__(self, key: str | None, message: str) -> None:
        super().__init__(message)
        self.key = key

    def __reduce__(self) -> tuple[type[Self], tuple[str | None, str]]:
        return type(self), (self.key, str(self))


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
    is_json_path = parent[-2:] == ("expect", "json")
    key = step if is_json_path else show_key(step, parent)
    return f".{key}" if re.fullmatch(r"[\w-]+", key) else f"[{quote(key)}]"


def source_of(text: "str | ResolvedText") -> str:
    """Return `text` as written in the config, with its references unresolved."""
    return text if isinstance(text, str) else text.template.source


def quote(text: "str | ResolvedText") -> str:
    """Return `text` as written in the config, shortened, in double quotes and on one line."""
    source = source_of(text)
    if len(source) > MAX_QUOTED_CHARS:
        source = source[:MAX_QUOTED_CHARS] + "…"
    return json.dumps(source, ensure_ascii=not source.isprintable())


def quote_url(text: "str | ResolvedText") -> str:
    """Return the scheme and the host of `text`, a URL that may be invalid, in quotes.

    All other parts may be secret: user and password, the query, and the path of a webhook.
    """
    without_user = re.sub(r"^([^:/?#@]*:?//)?.*@", r"\1***@", source_of(text), flags=re.DOTALL)
    return quote(
        re.sub(r"(//[^/?#\\]*[/?#\\]).+", r"\1***", without_user, count=1, flags=re.DOTALL)
    )


def quote_name(text: "str | ResolvedText") -> str:
    """Return `text`, which should be a name, in quotes. Of a URL, the secret parts are masked."""
    return quote_url(text) if "://" in source_of(text) else quote(text)


def name_of_key(key: str) -> str:
    """Return `key` up to its first colon, equals sign or space.

    If the space after a colon is missing, the rest of the key is a value, which may be a secret.
    """
    return re.split(r"[:=\s]", key, maxsplit=1)[0]


def show_key(key: str, parent: ConfigPath) -> str:
    """Return the key of a mapping at `parent` for messages; stars if it may be a secret itself."""
    name = name_of_key(key)
    if not _PUBLIC_KEYS.intersection(parent):
        is_name = all(map(_KEY_WORD.fullmatch, re.split("[-_.]", name)))
        if len(name) > MAX_KEY_CHARS or not (is_name or name in _OTHER_KEYS):
            return "***"
    return key if name == key else f"{name}…"


def is_file_name(text: str) -> bool:
    """Return whether `text` looks like the name of a file, and not like its content or a URL."""
    return len(text) <= MAX_FILE_NAME_CHARS and not _CONTENT.search(text)
