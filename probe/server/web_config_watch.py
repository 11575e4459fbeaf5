"""Loading the web config, and reloading it when one of its files has changed."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.clock import Clock
from probe.config.errors import ConfigError, ConfigProblem, UnlocatedError, quote
from probe.config.loader import read_config_file, sorted_problems
from probe.config.tls import TlsError
from probe.config.types import describe_type
from probe.config.validation import translate_errors
from probe.config.yaml import YamlDocument
from probe.server.tls import server_ssl_context
from probe.server.web_config import NOT_HONOURED, ClientAuth, WebSettings

# The files are checked at most once in this time: `stat` and a reload block the event loop.
CHECK_INTERVAL_SECONDS = 1.0

FileVersion = tuple[int, int, int] | None

logger = logging.getLogger(__name__)


class WebConfig:
    """The web config in effect: settings and TLS context. Belongs to one event loop.

    A file that becomes invalid changes nothing. Whether the server uses TLS is decided at the
    start.
    """

    def __init__(
        self,
        clock: Clock,
        path: Path | None = None,
        *,
        check_interval_seconds: float = CHECK_INTERVAL_SECONDS,
    ) -> None:
        """Load `path`; raises ConfigError. Without a file there are no TLS and no users."""
        self._now = clock.monotonic_seconds
        self._path = path
        self._check_interval_seconds = check_interval_seconds
        self._settings, self._context = WebSettings(), None
        versions = self._versions()
        if path:
            self._settings, self._context = load_web_config(path)
        self._loaded_versions = self._versions() | versions
        self._next_check = self._now() + check_interval_seconds
        self._last_problem = ""

    @property
    def settings(self) -> WebSettings:
        self._refresh()
        return self._settings

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context; None if the server does not use TLS."""
        self._refresh()
        return self._context

    def _refresh(self) -> None:
        if self._path is None or self._now() < self._next_check:
            return
        self._next_check = self._now() + self._check_interval_seconds
        versions = self._versions()
        # An invalid file is loaded again: the problem may be in a file that it references.
        if versions == self._loaded_versions and not self._last_problem:
            return
        try:
            self._settings, self._context = self._load(self._path)
        except ConfigError as error:
            self._report(str(error))
        else:
            logger.info("web config reloaded", extra={"fields": {"file": self._path}})
            self._last_problem = ""
            # The new config may reference other files. For the known ones, the versions from before
            # the load count: a file that changes during the load must be loaded again.
            versions = {
                file: versions.get(file, version) for file, version in self._versions().items()
            }
        self._loaded_versions = versions

    def _load(self, path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
        """Return the new settings; raises ConfigError if they would weaken access control.

        An editor that writes in place may leave half of a file for a moment, and that half may be
        a valid config without users.
        """
        settings, context = load_web_config(path)
        if (context is None) != (self._context is None):
            message = "restart to begin or to end speaking TLS"
            raise ConfigError(
                (ConfigProblem(file=str(path), path="tls_server_config", message=message),)
            )
        new_levels = _access_levels(settings)
        for key, level in _access_levels(self._settings).items():
            if new_levels[key] < level:
                message = "would let in more clients than before; restart if that is intended"
                raise ConfigError((ConfigProblem(file=str(path), path=key, message=message),))
        return settings, context

    def _report(self, problem: str) -> None:
        """Log a problem once."""
        if problem != self._last_problem:
            fields = {"file": self._path, "problem": problem}
            logger.error(
                "web config rejected; the previous one stays in effect", extra={"fields": fields}
            )
        self._last_problem = problem

    def _versions(self) -> dict[Path, FileVersion]:
        return {path: _file_version(path) for path in self._files()}

    def _files(self) -> Iterator[Path]:
        if self._path:
            yield self._path
        if tls := self._settings.tls_server_config:
            yield from (tls.cert_file, tls.key_file)
            if tls.client_ca_file:
                yield tls.client_ca_file


def _access_levels(settings: WebSettings) -> dict[str, int]:
    """Return how strict each key that controls access is; a higher number is stricter."""
    tls = settings.tls_server_config
    auth = tls.client_auth_type if tls else ClientAuth.NONE
    return {
        "basic_auth_users": bool(settings.basic_auth_users),
        "tls_server_config.client_auth_type": list(ClientAuth).index(auth),
        "tls_server_config.client_allowed_sans": bool(tls and tls.client_allowed_sans),
    }


def _file_version(path: Path) -> FileVersion:
    """Return a value that changes when the file, or a symlink to it, does; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def load_web_config(path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
    """Return the settings of a file and the TLS context for them; raises ConfigError.

    File names in the config are relative to its directory.
    """
    content = read_config_file(path)
    if _is_blank(content):
        return WebSettings(), None
    document = YamlDocument(content, file=str(path))
    if document.value is None and document.problems:
        raise ConfigError(document.problems)
    errors = list(_take_unsupported(document.value))
    settings = _validate(document, path.parent, errors)
    problems = sorted_problems(document, errors, ())
    if problems or settings is None:
        raise ConfigError(problems)
    return settings, _ssl_context(document, settings)


def _is_blank(content: bytes) -> bool:
    """Return whether a file contains only comments and document markers."""
    return all(line.split(b"#")[0].strip() in (b"", b"---") for line in content.splitlines())


def _take_unsupported(value: Any) -> Iterator[UnlocatedError]:
    """Remove the keys in NOT_HONOURED from `value`, and yield an error for each."""
    for keys, message in NOT_HONOURED.items():
        parent = value
        for key in keys[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if isinstance(parent, dict) and keys[-1] in parent:
            del parent[keys[-1]]
            yield UnlocatedError(keys, message, at_key=True)


def _validate(
    document: YamlDocument, base: Path, errors: list[UnlocatedError]
) -> WebSettings | None:
    """Return the settings, or None after appending to `errors`."""
    if not isinstance(document.value, dict):
        message = (
            f"expected a mapping such as `basic_auth_users`, not {describe_type(document.value)}"
        )
        errors.append(UnlocatedError((), message))
        return None
    try:
        return WebSettings.model_validate(document.value, context={"base": base})
    except ValidationError as error:
        errors += translate_errors(error, source_text=document.source_text, model=WebSettings)
        return None


def _ssl_context(document: YamlDocument, settings: WebSettings) -> ssl.SSLContext | None:
    tls = settings.tls_server_config
    if tls is None:
        return None
    try:
        return server_ssl_context(tls)
    except TlsError as error:
        keys = ("tls_server_config", error.key or "cert_file")
        message = f"{error}: {quote(document.source_text(keys) or '')}"
        raise ConfigError((document.locate(UnlocatedError(keys, message)),)) from None
