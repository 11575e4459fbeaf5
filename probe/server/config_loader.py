"""From the file of a web config to WebSettings."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.errors import ConfigError, UnlocatedError, quote
from probe.config.loader import read_config_file, sorted_problems
from probe.config.tls import TlsError
from probe.config.types import describe_type
from probe.config.validation import translate_errors
from probe.config.yaml import YamlDocument
from probe.server.config import NOT_HONOURED, WebSettings
from probe.server.tls import server_ssl_context


def load_web(path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
    """The settings of a file, and the TLS context that they ask for; raises ConfigError.

    Names of files are seen from the directory of this one.
    """
    content = read_config_file(path)
    if _is_blank(content):
        return WebSettings(), None
    document = YamlDocument(content, file=str(path))
    if document.value is None:
        raise ConfigError(document.problems)
    found = list(_not_honoured(document.value))
    settings = _validated(document, path.parent, found)
    problems = sorted_problems(document, found, ())
    if problems or settings is None:
        raise ConfigError(problems)
    return settings, _context(document, settings)


def _is_blank(content: bytes) -> bool:
    """Whether there is nothing in a file but comments, and perhaps the beginning of a document."""
    return all(line.split(b"#")[0].strip() in (b"", b"---") for line in content.splitlines())


def _not_honoured(value: Any) -> Iterator[UnlocatedError]:
    """Keys that would do nothing; taken out, so that nothing else is said of them."""
    for keys, message in NOT_HONOURED.items():
        holder = value
        for step in keys[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and keys[-1] in holder:
            del holder[keys[-1]]
            yield UnlocatedError(keys, message, at_key=True)


def _validated(
    document: YamlDocument, base: Path, found: list[UnlocatedError]
) -> WebSettings | None:
    """The settings, if there are any; adds what is wrong."""
    if not isinstance(document.value, dict):
        message = (
            f"expected a mapping such as `basic_auth_users`, not {describe_type(document.value)}"
        )
        found.append(UnlocatedError((), message))
        return None
    try:
        return WebSettings.model_validate(document.value, context={"base": base})
    except ValidationError as error:
        found += translate_errors(error, written=document.source_text, model=WebSettings)
        return None


def _context(document: YamlDocument, settings: WebSettings) -> ssl.SSLContext | None:
    tls = settings.tls_server_config
    if tls is None:
        return None
    try:
        return server_ssl_context(tls)
    except TlsError as error:
        keys = ("tls_server_config", error.key or "cert_file")
        message = f"{error}: {quote(document.source_text(keys) or '')}"
        raise ConfigError((document.locate(UnlocatedError(keys, message)),)) from None
