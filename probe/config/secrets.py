"""Values from environment and files: `${env:NAME}`, `${file:PATH}`, and `$${` for a literal `${`.

A Template keeps the reference, so that a value which rotates is read anew, and shows itself
without what it stands for.
"""

import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

_DOLLAR = re.compile(r"\$\$\{|\$\{([^}]*)(\})?")
_KNOWN = re.compile(r"(env):([A-Za-z_][A-Za-z0-9_]*)|(file):([^\x00]+)")
_BEGUN = re.compile(r"(?:env|file):[A-Za-z0-9_]*")
MAX_SECRET_FILE_BYTES = 1024 * 1024


class SecretError(Exception):
    """A reference that leads nowhere; the message names it and never holds a value."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a value is to be found: a variable of the environment or a file."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}"


class SecretSource(Protocol):
    """Whoever knows what references stand for; raises SecretError."""

    def get(self, reference: Reference) -> str: ...


@dataclass(frozen=True, slots=True, repr=False)
class Template:
    """Text with references in it. Shows its references, but neither their values nor its words."""

    source: str
    parts: tuple[str | Reference, ...]

    @classmethod
    def parse(cls, source: str) -> Self:
        """Raises ValueError for a `${...}` that is no reference."""
        parts: list[str | Reference] = []
        end = 0
        for match in _DOLLAR.finditer(source):
            parts += [source[end : match.start()], _reference(match)]
            end = match.end()
        return cls(source, tuple(part for part in [*parts, source[end:]] if part))

    @property
    def has_references(self) -> bool:
        return any(isinstance(part, Reference) for part in self.parts)

    def resolve(self, secrets: SecretSource) -> str:
        """The text with the present values of its references; raises SecretError."""
        return "".join(
            secrets.get(part) if isinstance(part, Reference) else part for part in self.parts
        )

    def __repr__(self) -> str:
        shown = (str(part) if isinstance(part, Reference) else "***" for part in self.parts)
        return f"Template({''.join(shown)!r})"


def _reference(match: re.Match[str]) -> str | Reference:
    if match[0] == "$${":
        return "${"
    known = _KNOWN.fullmatch(match[1]) if match[2] else None
    if known is None:
        # What comes after may be the rest of a password, or of the whole text.
        begun = _BEGUN.match(match[1])
        wrong = "is no reference" if match[2] else "has no closing brace"
        raise ValueError(
            f'"${{{begun[0] if begun else ""}…" {wrong}; '
            "write ${env:NAME}, ${file:PATH}, or $${ for a literal ${"
        )
    return Reference(known[1] or known[3], known[2] or known[4])


class RecordingResolver:
    """Looks references up, and keeps what it has heard."""

    def __init__(self, secrets: SecretSource) -> None:
        self._secrets = secrets
        self.values: set[str] = set()

    def get(self, reference: Reference) -> str:
        value = self._secrets.get(reference)
        self.values.add(value)
        return value


class ResolvedText(str):
    """The text that a template resolves to. Fields that keep the reference take the template,
    all others the text; messages quote the source.
    """

    template: Template
    secrets: frozenset[str]
    """What the references stand for."""

    def __new__(cls, template: Template, secrets: SecretSource) -> Self:
        """Raises SecretError."""
        listener = RecordingResolver(secrets)
        text = super().__new__(cls, template.resolve(listener))
        text.template = template
        text.secrets = frozenset(listener.values)
        return text

    @property
    def source(self) -> str:
        return self.template.source

    def __repr__(self) -> str:
        return repr(self.template)


class Secrets:
    """Looks references up. Files are read again when they change; relative ones are in `base`.

    One newline at the end of a file is not part of the value. Safe to share between threads.
    """

    def __init__(self, environ: Mapping[str, str], base: Path) -> None:
        self._environ = environ
        self._base = base
        self._lock = threading.Lock()
        self._files: dict[Path, tuple[tuple[int, int, int], str]] = {}

    def get(self, reference: Reference) -> str:
        """The present value; raises SecretError naming a variable or file that gives none."""
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


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> tuple[tuple[int, int, int], str]:
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
    """JSON with the templates in it resolved to text; raises SecretError."""
    if isinstance(value, Template):
        return value.resolve(secrets)
    if isinstance(value, Mapping):
        return {key: resolve_json(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve_json(item, secrets) for item in value]
    return value


def find_secret_values(value: Any) -> Iterator[str]:
    """What all references in a looked-up part of a config stand for."""
    if isinstance(value, ResolvedText):
        yield from value.secrets
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from find_secret_values(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from find_secret_values(item)
