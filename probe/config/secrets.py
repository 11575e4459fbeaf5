"""References to secrets in a config: `${env:NAME}`, `${file:PATH}`, and `$${` for a literal `${`.

`Template` is text with references, `Secrets` looks up their values, and `ResolvedText` is a
template with its value at load time.
"""

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from probe.threads import ThreadCache

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
        problem = "is not a reference" if match[2] else "has no closing brace"
        raise ValueError(
            f'"${{{start[0] if start else ""}…" {problem}; '
            "write ${env:NAME}, ${file:PATH}, or $${ for a literal ${"
        )
    return Reference(reference[1] or reference[3], reference[2] or reference[4])


class RecordingSecretSource:
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
        resolver = RecordingSecretSource(secrets)
        text = template.resolve(resolver)
        return cls(template, text, frozenset(resolver.values))

    def __repr__(self) -> str:
        return repr(self.template)


class Secrets:
    """Looks up references. Files are read again when they change. Relative paths start at `base`.

    One newline at the end of a file is not part of the value. Safe to share between threads.
    """

    def __init__(self, environ: Mapping[str, str], base: Path) -> None:
        self._environ = environ
        self._base = base
        self._threads = ThreadCache("secrets")
        self._files: dict[str, _SecretFile] = {}

    def get(self, reference: Reference, timeout: float | None = None) -> str:
        """Return the current value of `reference`.

        Raises SecretError, also if a file cannot be read within `timeout` (seconds; None: no
        limit).
        """
        if reference.kind == "file":
            return self._read_file(reference, timeout)
        try:
            return self._environ[reference.name]
        except KeyError:
            message = f"the environment variable {reference.name} is not set"
            raise SecretError(message) from None

    def with_deadline(self, seconds_left: Callable[[], float]) -> SecretSource:
        """Return a source whose lookups end at a deadline, `seconds_left()` from now."""
        return _SecretsWithDeadline(self, seconds_left)

    def _read_file(self, reference: Reference, timeout: float | None) -> str:
        # setdefault is atomic: two threads get the same file.
        file = self._files.setdefault(
            reference.name, _SecretFile(self._base / reference.name, self._threads)
        )
        try:
            return file.read(timeout)
        except TimeoutError:
            message = f"cannot read {reference}: not finished before the deadline"
            raise SecretError(message) from None
        except OSError as error:
            raise SecretError(f"cannot read {reference}: {_reason(error)}") from None
        except ValueError:
            raise SecretError(f"cannot read {reference}: not UTF-8 text") from None
        except RuntimeError as error:  # the system has no thread left
            raise SecretError(f"cannot read {reference}: {error}") from None


@dataclass(frozen=True, slots=True)
class _SecretsWithDeadline:
    secrets: Secrets
    seconds_left: Callable[[], float]

    def get(self, reference: Reference) -> str:
        return self.secrets.get(reference, self.seconds_left())


class _SecretFile:
    """One file with a secret, read again when it changes.

    Any access to a file can hang, e.g. on a network file system, and cannot be interrupted. So it
    happens on a separate thread, for which callers wait until their deadline. There is at most one
    such thread per file: callers share the access that is under way.
    """

    def __init__(self, path: Path, threads: ThreadCache) -> None:
        self._path = path
        self._threads = threads
        # Protects `_pending`. It is not held while the file is accessed.
        self._lock = threading.Lock()
        self._pending: Future[str] | None = None
        self._version: _FileVersion | None = None
        self._text = ""

    def read(self, timeout: float | None) -> str:
        """Return the text. Raises TimeoutError, OSError, and ValueError if it is not UTF-8."""
        with self._lock:
            if self._pending is None:
                pending = Future[str]()
                self._threads.submit(lambda: self._complete(pending))
                self._pending = pending
            pending = self._pending
        return pending.result(timeout)

    def _complete(self, pending: Future[str]) -> None:
        """Access the file and pass the text or the error to all waiting callers."""
        text, error = "", None
        try:
            text = self._refresh()
        except Exception as caught:  # noqa: BLE001  (the callers get it)
            error = caught
        with self._lock:
            self._pending = None
        if error is None:
            pending.set_result(text)
        else:
            pending.set_exception(error)

    def _refresh(self) -> str:
        """Return the text, read again if the file has changed. Not called concurrently."""
        if _version(self._path.stat()) != self._version:
            self._version, self._text = _read(self._path)
        return self._text


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
        raise OSError(None, f"larger than {MAX_SECRET_FILE_BYTES // 1024**2} MiB")
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
