"""References to secrets in a config: `${env:NAME}`, `${file:PATH}`, and `$${` for a literal `${`.

`Template` is text with references, `Secrets` looks them up, `ResolvedText` is both text and value.
"""

import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

MAX_SECRET_FILE_BYTES = 1024 * 1024

_DOLLAR = re.compile(r"\$\$\{|\$\{([^}]*)(\})?")
_REFERENCE = re.compile(r"(env):([A-Za-z_][A-Za-z0-9_]*)|(file):([^\x00]+)")
_REFERENCE_START = re.compile(r"(?:env|file):[A-Za-z0-9_]*")

# Modification time (ns), inode and size of a file. If one of them differs, the file has changed.
_FileVersion = tuple[int, int, int]


class SecretError(Exception):
    """A reference without a value. The message names the reference and contains no secret."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to an environment variable or a file. `kind` is `env` or `file`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}"


class SecretSource(Protocol):
    """A lookup of references."""

    def get(self, reference: Reference) -> str:
        """Return the current value of `reference`; raise SecretError if it has none."""


@dataclass(frozen=True, slots=True, repr=False)
class Template:
    """Text with references. `repr` shows the references, but neither values nor literal text."""

    source: str
    parts: tuple[str | Reference, ...]

    @classmethod
    def parse(cls, source: str) -> Self:
        """Parse `source`; raise ValueError if a `${...}` in it is not a reference."""
        parts: list[str | Reference] = []
        end = 0
        for match in _DOLLAR.finditer(source):
            parts += [source[end : match.start()], _parse_reference(match)]
            end = match.end()
        return cls(source, tuple(part for part in [*parts, source[end:]] if part))

    @property
    def has_references(self) -> bool:
        return any(isinstance(part, Reference) for part in self.parts)

    def resolve(self, secrets: SecretSource) -> str:
        """Return the text with the current values of its references; raise SecretError."""
        return "".join(
            secrets.get(part) if isinstance(part, Reference) else part for part in self.parts
        )

    def __repr__(self) -> str:
        parts = (str(part) if isinstance(part, Reference) else "***" for part in self.parts)
        return f"Template({''.join(parts)!r})"


def _parse_reference(match: re.Match[str]) -> str | Reference:
    if match[0] == "$${":
        return "${"
    reference = _REFERENCE.fullmatch(match[1]) if match[2] else None
    if reference is None:
        # Quote only the start: the rest may be part of a password, or all of the remaining text.
        start = _REFERENCE_START.match(match[1])
        problem = "is no reference" if match[2] else "has no closing brace"
        raise ValueError(
            f'"${{{start[0] if start else ""}…" {problem}; '
            "write ${env:NAME}, ${file:PATH}, or $${ for a literal ${"
        )
    return Reference(reference[1] or reference[3], reference[2] or reference[4])


class RecordingResolver:
    """A SecretSource that remembers the values that it has returned."""

    def __init__(self, secrets: SecretSource) -> None:
        self._secrets = secrets
        self.values: set[str] = set()

    def get(self, reference: Reference) -> str:
        value = self._secrets.get(reference)
        self.values.add(value)
        return value


@dataclass(frozen=True, slots=True, repr=False)
class ResolvedText:
    """Text of a config with references, and its value at load time.

    Types that resolve references per request keep `template`; all others use `text`. Messages quote
    `template.source`, never `text`. `secrets` are the values of the single references.
    """

    template: Template
    text: str
    secrets: frozenset[str]

    @classmethod
    def resolve(cls, template: Template, secrets: SecretSource) -> Self:
        """Resolve `template`; raise SecretError if a reference has no value."""
        resolver = RecordingResolver(secrets)
        text = template.resolve(resolver)
        return cls(template, text, frozenset(resolver.values))

    def __repr__(self) -> str:
        return repr(self.template)


class Secrets:
    """Looks up references, and reads a file again when it has changed. Thread-safe.

    Relative paths start at `base`. One newline at the end of a file is not part of the value.
    """

    def __init__(self, environ: Mapping[str, str], base: Path) -> None:
        self._environ = environ
        self._base = base
        self._lock = threading.Lock()
        self._files: dict[Path, tuple[_FileVersion, str]] = {}

    def get(self, reference: Reference) -> str:
        """Return the current value; raise SecretError that names the variable or the file."""
        if reference.kind == "file":
            return self._file(reference)
        try:
            return self._environ[reference.name]
        except KeyError:
            message = f"the environment variable {reference.name} is not set"
            raise SecretError(message) from None

    def _file(self, reference: Reference) -> str:
        path = self._base / reference.name
        with self._lock:
            try:
                version = _version(path.stat())
                if path not in self._files or self._files[path][0] != version:
                    self._files[path] = _read(path)
            except OSError as error:
                raise SecretError(f"cannot read {reference}: {_reason(error)}") from None
            except ValueError:
                raise SecretError(f"cannot read {reference}: not UTF-8 text") from None
            return self._files[path][1]


def _reason(error: OSError) -> str:
    reason = error.strerror or "not readable"
    return reason[0].lower() + reason[1:]


def _version(status: os.stat_result) -> _FileVersion:
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read(path: Path) -> tuple[_FileVersion, str]:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(None, "not a regular file")
    with path.open("rb") as file:
        version = _version(os.fstat(file.fileno()))
        content = file.read(MAX_SECRET_FILE_BYTES + 1)
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise OSError(None, "larger than 1 MiB")
    text = content.decode()
    return version, text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def resolve_json(value: Any, secrets: SecretSource) -> Any:
    """Return the JSON `value` with its templates resolved to text; raise SecretError."""
    if isinstance(value, Template):
        return value.resolve(secrets)
    if isinstance(value, Mapping):
        return {key: resolve_json(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve_json(item, secrets) for item in value]
    return value


def find_secret_values(value: Any) -> Iterator[str]:
    """Yield the values of all references in `value`, a part of a config at any depth."""
    if isinstance(value, ResolvedText):
        yield from value.secrets
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from find_secret_values(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from find_secret_values(item)
