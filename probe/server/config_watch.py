"""The web config that holds now: read again as soon as one of its files has changed."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

from probe.clock import Clock
from probe.config.errors import ConfigError, ConfigProblem
from probe.server.config import ClientAuth, WebSettings
from probe.server.config_loader import load_web

RETRY_SECONDS = 1.0
"""A bad file is tried again so often, for what makes it good may be a file that it names."""

Version = tuple[int, int, int] | None

logger = logging.getLogger(__name__)


class WebConfig:
    """Settings and TLS context, of one event loop. A file that has become bad changes nothing.

    Whether TLS is spoken at all is decided at the start. To look is a `stat` of each file, and is
    done for each connection and each request, as exporter-toolkit does: it costs microseconds.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        """Without a file no TLS is spoken and there are no users; raises ConfigError."""
        self._now = clock.seconds
        self._path = path
        self._settings, self._context = load_web(path) if path else (WebSettings(), None)
        self._seen = self._versions()
        self._tried = 0.0
        self._complaint = ""

    @property
    def settings(self) -> WebSettings:
        self._refresh()
        return self._settings

    @property
    def context(self) -> ssl.SSLContext | None:
        self._refresh()
        return self._context

    def _refresh(self) -> None:
        seen = self._versions()
        again = self._complaint and self._now() > self._tried + RETRY_SECONDS
        if self._path is None or (seen == self._seen and not again):
            return
        try:
            self._settings, self._context = self._load(self._path)
        except ConfigError as error:
            self._complain(str(error))
        else:
            logger.info("the web config was read again", extra={"fields": {"file": self._path}})
            self._complaint = ""
            seen = self._versions()  # it may name other files now
        self._seen, self._tried = seen, self._now()

    def _load(self, path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
        settings, context = load_web(path)
        if (context is None) != (self._context is None):
            message = "restart to begin or to end speaking TLS"
            raise ConfigError(
                (ConfigProblem(file=str(path), path="tls_server_config", message=message),)
            )
        after = _guards(settings)
        for place, guarded in _guards(self._settings).items():
            if after[place] < guarded:
                # A file that is written in place may be read before all of it is there.
                message = "keeps out less than before; restart if that is meant"
                raise ConfigError((ConfigProblem(file=str(path), path=place, message=message),))
        return settings, context

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            fields = {"file": self._path, "problem": complaint}
            logger.error("a bad web config; the last good one holds", extra={"fields": fields})
        self._complaint = complaint

    def _versions(self) -> dict[Path, Version]:
        return {path: _version(path) for path in self._files()}

    def _files(self) -> Iterator[Path]:
        if self._path:
            yield self._path
        if tls := self._settings.tls_server_config:
            yield from (tls.cert_file, tls.key_file)
            if tls.client_ca_file:
                yield tls.client_ca_file


def _guards(settings: WebSettings) -> dict[str, int]:
    """How much each of the places in the file that can keep somebody out does so."""
    tls = settings.tls_server_config
    auth = tls.client_auth_type if tls else ClientAuth.NONE
    return {
        "basic_auth_users": bool(settings.basic_auth_users),
        "tls_server_config.client_auth_type": list(ClientAuth).index(auth),  # the laxest first
        "tls_server_config.client_allowed_sans": bool(tls and tls.client_allowed_sans),
    }


def _version(path: Path) -> Version:
    """What changes when a file or a link on the way to it does; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
