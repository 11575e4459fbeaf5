"""Loading of a config from a file or from flags. All problems are reported at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.config_bytes import read_config_file
from probe.config.errors import (
    ConfigError,
    ConfigPath,
    ConfigProblem,
    ConfigSource,
    TlsError,
    UnlocatedError,
    quote,
    source_of,
)
from probe.config.flags import EndpointFlags
from probe.config.foreign_keys import other_config_error
from probe.config.likely_mistakes import find_likely_mistakes
from probe.config.merge_defaults import MergedConfig, defaults_only_config, merge_defaults
from probe.config.schema import SettingsModel, TlsModel
from probe.config.secrets import ResolvedText, SecretError, Secrets, Template
from probe.config.settings import Settings, Tls, may_need_tls
from probe.config.similar_probes import SimilarProbes
from probe.config.tls import client_ssl_context
from probe.config.types import describe_type
from probe.config.validation import (
    find_alert_label_errors,
    find_conflicts,
    find_defaults_conflicts,
    find_dimension_errors,
    translate_errors,
)
from probe.config.yaml import YamlDocument


def load(path: Path, *, environ: Mapping[str, str], name: str | None = None) -> Settings:
    """Return the settings of a YAML file; raise ConfigError with all problems.

    `name` is the file in the positions of problems; default `path`.
    """
    name = name or str(path)
    content = read_config_file(path, name)
    return parse(content, name=name, base=path.parent, environ=environ)


def parse(content: bytes, *, name: str, base: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a YAML text; raise ConfigError with all problems.

    `name` is the file in the positions of problems, `base` the directory of relative paths.
    """
    return _settings(YamlDocument(content, file=name), environ=environ, base=base)


def from_flags(
    *,
    url: str,
    slo: str | None = None,
    interval: str | None = None,
    json: str | None = None,
    name: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """Return settings with one probe; raise ConfigError whose problems name the flags."""
    flags = EndpointFlags(url=url, slo=slo, interval=interval, json=json, name=name)
    return _settings(flags, environ=environ, base=Path())


def _settings(source: ConfigSource, *, environ: Mapping[str, str], base: Path) -> Settings:
    if source.value is None and source.problems:
        raise ConfigError(source.problems)
    resolver = ReferenceResolver(Secrets(environ, base))
    config = resolver.resolve(source.value)
    validator = _Validator(source, environ=environ, base=base)
    settings = validator.validate(config)
    problems = sorted_problems(source, validator.errors, resolver.errors)
    invalid = {error.path for error in (*validator.errors, *resolver.errors)}
    mistakes = [error for error in validator.likely_mistakes if error.path not in invalid]
    likely_mistakes = sorted_problems(source, mistakes, (), with_syntax=False)
    if problems or settings is None:
        raise ConfigError(problems, likely_mistakes)
    return replace(settings, likely_mistakes=likely_mistakes)


class ReferenceResolver:
    """Replaces text with `${...}` by ResolvedText, and collects the references without a value."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.errors: list[UnlocatedError] = []

    def resolve(self, value: Any, path: ConfigPath = ()) -> Any:
        """Return `value`, a part of a config at any depth, with its references resolved."""
        if isinstance(value, dict):
            self._reject_references_in_keys(value, path)
            return {key: self.resolve(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            try:
                return ResolvedText.resolve(Template.parse(value), self._secrets)
            except (ValueError, SecretError) as error:
                self.errors.append(UnlocatedError(path, str(error)))
        return value

    def _reject_references_in_keys(self, mapping: dict[str, Any], path: ConfigPath) -> None:
        for key in mapping:
            if "${env:" in key or "${file:" in key:
                message = "references are looked up in values, not in keys"
                self.errors.append(UnlocatedError((*path, key), message, at_key=True))


class _Validator:
    """Validates a config; collects all errors instead of stopping at the first."""

    def __init__(self, source: ConfigSource, *, environ: Mapping[str, str], base: Path) -> None:
        self._source = source
        self._environ = environ
        self._context = {"base": base}
        self.errors: list[UnlocatedError] = []
        self.likely_mistakes: list[UnlocatedError] = []

    def validate(self, config: Any) -> Settings | None:
        """Return the settings, or None if pydantic rejects them. `errors` may have others."""
        if config is None:
            message = "the config is empty; write at least one probe under `probes`"
            self.errors.append(UnlocatedError((), message))
            return None
        if not isinstance(config, dict):
            message = f"expected a mapping with the key `probes`, not {describe_type(config)}"
            self.errors.append(UnlocatedError((), message))
            return None
        if other_config := other_config_error(config):
            self.errors.append(other_config)
            return None
        return self._validate_similar(config) or self._validate_all(config)

    def _validate_similar(self, config: dict[str, Any]) -> Settings | None:
        """Return the settings of a config without problems and likely mistakes.

        None for all others, and if most of the probes differ.
        """
        similar = SimilarProbes.find(config)
        if similar is None:
            return None
        settings = self._validate_all(similar.representatives)
        if settings and not self.errors and not self.likely_mistakes:
            return similar.settings_of_all(settings)
        # Their paths are those of the representatives. All probes are validated instead.
        self.errors, self.likely_mistakes = [], []
        return None

    def _validate_all(self, config: dict[str, Any]) -> Settings | None:
        self.errors += find_defaults_conflicts(config)
        self._validate(defaults_only_config(config))
        merged = merge_defaults(config)
        self._add(merged, find_alert_label_errors(merged.value))
        self._add(merged, find_dimension_errors(merged.value))
        self.likely_mistakes += find_likely_mistakes(merged)
        return self._validate(merged)

    def _validate(self, merged: MergedConfig) -> Settings | None:
        settings, model_errors = self._validate_model(merged)
        self._add(merged, model_errors)
        self._add(merged, find_conflicts(merged.value))
        self._add(merged, self._tls_errors(merged.value))
        return settings

    def _add(self, merged: MergedConfig, errors: Iterable[UnlocatedError]) -> None:
        self.errors += [error._replace(path=merged.origin(error.path)) for error in errors]

    def _validate_model(self, merged: MergedConfig) -> tuple[Settings | None, list[UnlocatedError]]:
        def source_text(path: ConfigPath) -> str | None:
            return self._source.source_text(merged.origin(path))

        try:
            model = SettingsModel.model_validate(merged.value, context=self._context)
            return model.to_settings(), []
        except ValidationError as error:
            return None, list(translate_errors(error, source_text=source_text))

    def _tls_errors(self, config: dict[str, Any]) -> Iterator[UnlocatedError]:
        """Create the TLS context of each probe that may need one, and yield what fails.

        Probes with equal settings are tried once.
        """
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
                yield _tls_error(probe, ("probes", index), error)

    def _valid_tls(self, probe: Any) -> Tls | None:
        """Return the TLS settings of a probe, whose other keys may be invalid."""
        url = probe.get("url") if isinstance(probe, dict) else None
        if not isinstance(url, (str, ResolvedText)):
            return None
        if not may_need_tls(source_of(url), probe.get("redirects")):
            return None
        try:
            model = TlsModel.model_validate(probe.get("tls", {}), context=self._context)
            tls: Tls = model.to_settings()
            return tls
        except ValidationError:
            return None


def _tls_error(probe: dict[str, Any], path: ConfigPath, error: TlsError) -> UnlocatedError:
    """Return an error at the key that names the file, or else at the URL that needs TLS."""
    if error.key is None:
        return UnlocatedError((*path, "url"), str(error))
    return UnlocatedError((*path, "tls", error.key), f"{error}: {quote(probe['tls'][error.key])}")


def sorted_problems(
    source: ConfigSource,
    errors: Sequence[UnlocatedError],
    unresolved: Sequence[UnlocatedError],
    *,
    with_syntax: bool = True,
) -> tuple[ConfigProblem, ...]:
    """Return all problems without duplicates, in the order of the file.

    `unresolved` are the errors of references. Further errors of an unresolved or unreadable value
    are left out. `with_syntax` includes the problems that `source` itself has.
    """
    invalid = source.invalid_paths | {error.path for error in unresolved}
    relevant = [error for error in errors if not _is_inside(error.path, invalid)]
    located = [(problem, "") for problem in source.problems if with_syntax]
    located += [(source.locate(error), error.explanation) for error in [*unresolved, *relevant]]
    located.sort(key=lambda pair: (pair[0].line or 0, pair[0].column or 0))
    return tuple(_append_explanations(dict.fromkeys(located)))


def _append_explanations(problems: Iterable[tuple[ConfigProblem, str]]) -> Iterator[ConfigProblem]:
    """Yield the problems, each explanation at the end of the first message that has it."""
    lines: dict[str, int | None] = {}
    for problem, explanation in problems:
        if not explanation:
            yield problem
        elif explanation in lines:
            yield replace(
                problem, message=f"{problem.message}; see the message of line {lines[explanation]}"
            )
        else:
            yield replace(problem, message=f"{problem.message}; {explanation}")
        lines.setdefault(explanation, problem.line)


def _is_inside(path: ConfigPath, parents: AbstractSet[ConfigPath]) -> bool:
    return any(path[:length] in parents for length in range(len(path) + 1))
