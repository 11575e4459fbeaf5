"""The web config in effect, which is loaded again when one of its files has changed."""

import logging
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from probe.clock import Clock
from probe.config.child_process import ChildProcess
from probe.config.config_bytes import read_config_file
from probe.config.errors import ConfigError, ConfigProblem, TlsError
from probe.server.tls import server_ssl_context
from probe.server.web_settings import ClientAuth, WebSettings
from probe.threads import Task, ThreadCache

# The files are checked at most once in this time, because `stat` blocks the event loop.
CHECK_INTERVAL_SECONDS = 1.0

# An invalid web config whose files are unchanged is loaded again at each check with this number: a
# file that it newly references may have changed. A load takes a process, so not at each check.
RETRY_CHECKS = 30

FileVersion = tuple[int, int, int] | None

logger = logging.getLogger(__name__)


def load_in_child_process(path: Path) -> WebSettings:
    """Return the settings of a file, validated in a child process. Raises ConfigError, OSError."""
    content = read_config_file(path)
    with ChildProcess(
        "probe.server.web_config_loader:parse_web_config",
        content=content,
        name=str(path),
        base=path.parent,
    ) as process:
        settings: WebSettings = process.result()
        return settings


class WebConfig:
    """The web config in effect: settings and TLS context. One event loop uses it.

    A file that becomes invalid changes nothing. Whether the server uses TLS is decided at the
    start.
    """

    def __init__(
        self,
        clock: Clock,
        path: Path | None = None,
        *,
        check_interval_seconds: float = CHECK_INTERVAL_SECONDS,
        load: Callable[[Path], WebSettings] = load_in_child_process,
        submit: Callable[[Task], None] | None = None,
    ) -> None:
        """Load `path`; raises ConfigError, TlsError and OSError.

        Without a file there are no TLS and no users. `load` returns the settings of a file.
        `submit` runs a load of a changed file: on another thread, because it takes a part of a
        second. Requests meanwhile use the previous settings.
        """
        self._now = clock.monotonic_seconds
        self._path = path
        self._check_interval_seconds = check_interval_seconds
        self._load = load
        self._submit = submit or ThreadCache("web-config").submit
        self._settings, self._context = WebSettings(), None
        self._is_loading = False
        versions = self._versions()
        if path:
            self._settings, self._context = self._load_with_context(path)
        self._loaded_versions = self._versions() | versions
        self._next_check = self._now() + check_interval_seconds
        self._last_problem = ""
        # Checks until an invalid config is loaded again.
        self._checks_left = RETRY_CHECKS

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
        """Begin to load the files again if they have changed."""
        if self._path is None or self._is_loading or self._now() < self._next_check:
            return
        self._next_check = self._now() + self._check_interval_seconds
        path, versions = self._path, self._versions()
        if versions == self._loaded_versions and not self._is_retry_due():
            return
        self._checks_left = RETRY_CHECKS
        self._is_loading = True
        try:
            self._submit(lambda: self._reload(path, versions))
        except RuntimeError:  # the system has no thread left: try again with the next check
            self._is_loading = False

    def _is_retry_due(self) -> bool:
        """Return whether an invalid config is to be loaded again, with unchanged files."""
        self._checks_left -= 1
        return bool(self._last_problem) and self._checks_left <= 0

    def _reload(self, path: Path, versions: dict[Path, FileVersion]) -> None:
        """Load the files, whose `versions` were read before."""
        try:
            self._settings, self._context = self._load_not_weaker(path)
        except (ConfigError, TlsError) as error:
            self._report(str(error))
        except OSError as error:  # perhaps of the process, so the next check tries again
            self._report(str(error))
            self._checks_left = 0
        except Exception as bug:
            self._checks_left = 0
            problem = f"bug, {type(bug).__name__}"
            if problem != self._last_problem:
                logger.exception("web config not reloaded: this is a bug of inference-probe")
            self._last_problem = problem
        else:
            logger.info("web config reloaded", extra={"fields": {"file": self._path}})
            self._last_problem = ""
            # The new config may reference other files. For the known ones, the versions from before
            # the load count: a file that changes during the load must be loaded again.
            versions = {
                file: versions.get(file, version) for file, version in self._versions().items()
            }
        finally:
            self._loaded_versions = versions
            self._is_loading = False

    def _load_with_context(self, path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
        settings = self._load(path)
        tls = settings.tls_server_config
        return settings, server_ssl_context(tls) if tls else None

    def _load_not_weaker(self, path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
        """Return the new settings; raises ConfigError if they would weaken access control.

        An editor that writes in place may leave half of a file for a moment, and that half may be
        a valid config without users.
        """
        settings, context = self._load_with_context(path)
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
