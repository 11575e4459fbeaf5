"""Loading of a web config: validation of its text, and of the TLS files that it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.config_bytes import read_config_file
from probe.config.errors import ConfigError, TlsError, UnlocatedError, quote
from probe.config.loader import sorted_problems
from probe.config.types import describe_type
from probe.config.validation import translate_errors
from probe.config.yaml import YamlDocument
from probe.server.tls import server_ssl_context
from probe.server.web_config import NOT_HONOURED, WebSettingsModel
from probe.server.web_settings import WebSettings


def load_web_config(path: Path) -> WebSettings:
    """Return the settings of a file; raise ConfigError with all problems."""
    return parse_web_config(read_config_file(path), name=str(path), base=path.parent)


def parse_web_config(content: bytes, *, name: str, base: Path) -> WebSettings:
    """Return the settings of a YAML text; raise ConfigError with all problems.

    `name` is the file in the positions of problems, `base` the directory of relative paths.
    """
    if _is_blank(content):
        return WebSettings()
    document = YamlDocument(content, file=name)
    if document.value is None and document.problems:
        raise ConfigError(document.problems)
    errors = list(_take_unsupported(document.value))
    settings = _validate(document, base, errors)
    problems = sorted_problems(document, errors, ())
    if problems or settings is None:
        raise ConfigError(problems)
    _check_tls(document, settings)
    return settings


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
        model = WebSettingsModel.model_validate(document.value, context={"base": base})
    except ValidationError as error:
        errors += translate_errors(error, source_text=document.source_text, model=WebSettingsModel)
        return None
    settings: WebSettings = model.to_settings()
    return settings


def _check_tls(document: YamlDocument, settings: WebSettings) -> None:
    """Raise ConfigError, with the key at fault, if the TLS files cannot be used."""
    tls = settings.tls_server_config
    if tls is None:
        return
    try:
        server_ssl_context(tls)
    except TlsError as error:
        keys = ("tls_server_config", error.key or "cert_file")
        message = f"{error}: {quote(document.source_text(keys) or '')}"
        raise ConfigError((document.locate(UnlocatedError(keys, message)),)) from None
