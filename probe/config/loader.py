"""From a file, or from flags, to Settings: everything that is wrong is found in one go."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.defaults import MergedConfig, defaults_only_config, merge_defaults
from probe.config.errors import (
    ConfigError,
    ConfigPath,
    ConfigProblem,
    ConfigSource,
    UnlocatedError,
    quote,
)
from probe.config.flags import Flags
from probe.config.http_types import may_need_tls
from probe.config.schema import Settings, Tls
from probe.config.secrets import ResolvedText, SecretError, Secrets, Template
from probe.config.tls import TlsError, client_ssl_context
from probe.config.types import describe_type
from probe.config.validation import find_conflicts, find_defaults_conflicts, translate_errors
from probe.config.yaml import YamlDocument

__all__ = ["ConfigError", "ConfigProblem", "from_flags", "load"]

MAX_CONFIG_BYTES = 4 * 1024 * 1024


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """The settings of a YAML file; raises ConfigError with all of its problems."""
    document = YamlDocument(read_config_file(path), file=str(path))
    return _settings(document, environ=environ, base=path.parent)


def read_config_file(path: Path) -> bytes:
    """The content of a config; raises ConfigError, also where whoever reads it might wait."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(None, "not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise OSError(None, "larger than 4 MiB")
        return content
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot read the config: {reason[0].lower()}{reason[1:]}"
        problem = ConfigProblem(file=str(path), path="", message=message)
        raise ConfigError((problem,)) from None


def from_flags(
    *,
    url: str,
    slo: str | None = None,
    interval: str | None = None,
    json: str | None = None,
    name: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """Settings with one probe; raises ConfigError whose problems have flags for paths."""
    flags = Flags(url=url, slo=slo, interval=interval, json=json, name=name)
    return _settings(flags, environ=environ, base=Path())


def _settings(source: ConfigSource, *, environ: Mapping[str, str], base: Path) -> Settings:
    if source.value is None and source.problems:
        raise ConfigError(source.problems)
    resolver = ReferenceResolver(Secrets(environ, base))
    config = resolver.resolve(source.value)
    validator = _Validator(source, environ=environ, base=base)
    settings = validator.settings(config)
    problems = sorted_problems(source, validator.errors, resolver.errors)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


class ReferenceResolver:
    """Replaces text with `${...}` in a config by ResolvedText; collects `errors`."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.errors: list[UnlocatedError] = []

    def resolve(self, value: Any, keys: ConfigPath = ()) -> Any:
        if isinstance(value, dict):
            self._no_references(value, keys)
            return {key: self.resolve(item, (*keys, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, (*keys, index)) for index, item in enumerate(value)]
        return self._text(value, keys) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, keys: ConfigPath) -> str:
        try:
            return ResolvedText(Template.parse(text), self._secrets)
        except (ValueError, SecretError) as error:
            self.errors.append(UnlocatedError(keys, str(error)))
            return text

    def _no_references(self, mapping: dict[str, Any], keys: ConfigPath) -> None:
        for key in mapping:
            if "${env:" in key or "${file:" in key:
                message = "references are looked up in values, not in keys"
                self.errors.append(UnlocatedError((*keys, key), message, at_key=True))


class _Validator:
    """One look at a config that goes on after a mistake, so that it finds the others, too."""

    def __init__(self, source: ConfigSource, *, environ: Mapping[str, str], base: Path) -> None:
        self._source = source
        self._environ = environ
        self._context = {"base": base}
        self.errors: list[UnlocatedError] = []

    def settings(self, config: Any) -> Settings | None:
        """The settings, if they can be had in spite of what was found."""
        if not isinstance(config, dict):
            message = f"expected a mapping with the key `probes`, not {describe_type(config)}"
            self.errors.append(UnlocatedError((), message))
            return None
        self.errors += find_defaults_conflicts(config)
        self._inspect(defaults_only_config(config))
        return self._inspect(merge_defaults(config))

    def _inspect(self, merged: MergedConfig) -> Settings | None:
        settings, invalid = self._validate(merged)
        found = [*invalid, *find_conflicts(merged.value), *self._tls(merged.value)]
        self.errors += [finding._replace(keys=merged.origin(finding.keys)) for finding in found]
        return settings

    def _validate(self, merged: MergedConfig) -> tuple[Settings | None, list[UnlocatedError]]:
        def written(keys: ConfigPath) -> str | None:
            return self._source.source_text(merged.origin(keys))

        try:
            return Settings.model_validate(merged.value, context=self._context), []
        except ValidationError as error:
            return None, list(translate_errors(error, written=written))

    def _tls(self, config: dict[str, Any]) -> Iterator[UnlocatedError]:
        """Distinct TLS settings that may be used, tried out: a file may be there and be no good."""
        tried: set[Tls] = set()
        probes = config.get("probes")
        for index, probe in enumerate(probes if isinstance(probes, list) else []):
            tls = self._valid_tls(probe)
            if tls is None or tls in tried:
                continue
            tried.add(tls)
            try:
                client_ssl_context(tls, self._environ)
            except TlsError as error:
                yield _tls_finding(probe, ("probes", index), error)

    def _valid_tls(self, probe: Any) -> Tls | None:
        """The TLS settings of a probe of which the rest may be wrong."""
        url = probe.get("url") if isinstance(probe, dict) else None
        if not isinstance(url, str):
            return None
        if not may_need_tls(getattr(url, "source", url), probe.get("redirects")):
            return None
        try:
            return Tls.model_validate(probe.get("tls", {}), context=self._context)
        except ValidationError:
            return None


def _tls_finding(probe: dict[str, Any], keys: ConfigPath, error: TlsError) -> UnlocatedError:
    """About the key that names the file, or else about the URL that makes TLS necessary."""
    if error.key is None:
        return UnlocatedError((*keys, "url"), str(error))
    return UnlocatedError((*keys, "tls", error.key), f"{error}: {quote(probe['tls'][error.key])}")


def sorted_problems(
    source: ConfigSource, found: Sequence[UnlocatedError], missing: Sequence[UnlocatedError]
) -> tuple[ConfigProblem, ...]:
    """Every problem once, as the file has them; of a value that could not be had nothing more."""
    broken = source.invalid_paths | {finding.keys for finding in missing}
    sound = [finding for finding in found if not _is_in(finding.keys, broken)]
    problems = dict.fromkeys([*source.problems, *map(source.locate, [*missing, *sound])])
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _is_in(keys: ConfigPath, broken: AbstractSet[ConfigPath]) -> bool:
    return any(keys[:length] in broken for length in range(len(keys) + 1))
