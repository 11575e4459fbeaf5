"""From a file, or from flags, to Settings: everything that is wrong is found in one go."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.defaults import MergedConfig, defaults_only_config, merge
from probe.config.errors import ConfigError, ConfigPath, ConfigProblem, ConfigSource, UnlocatedError
from probe.config.flags import Flags
from probe.config.http_types import may_need_tls
from probe.config.messages import findings
from probe.config.quoting import quote
from probe.config.references import ReferenceResolver
from probe.config.schema import Settings, Tls
from probe.config.secrets import Secrets
from probe.config.tls import TlsError, client_ssl_context
from probe.config.types import describe_type
from probe.config.validation import defaults_conflicts, find_conflicts
from probe.config.yaml import YamlDocument

__all__ = ["ConfigError", "ConfigProblem", "from_flags", "load"]

_LARGEST = 4 * 1024 * 1024


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """The settings of a YAML file; raises ConfigError with all of its problems."""
    document = YamlDocument(read(path), file=str(path))
    return _settings(document, environ=environ, base=path.parent)


def read(path: Path) -> bytes:
    """The content of a config; raises ConfigError, also where whoever reads it might wait."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(None, "not a regular file")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
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
    lookup = ReferenceResolver(Secrets(environ, base))
    config = lookup.value(source.value)
    inspection = _Inspection(source, environ=environ, base=base)
    settings = inspection.settings(config)
    problems = sorted_problems(source, inspection.found, lookup.found)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


class _Inspection:
    """One look at a config that goes on after a mistake, so that it finds the others, too."""

    def __init__(self, source: ConfigSource, *, environ: Mapping[str, str], base: Path) -> None:
        self._source = source
        self._environ = environ
        self._context = {"base": base}
        self.found: list[UnlocatedError] = []

    def settings(self, config: Any) -> Settings | None:
        """The settings, if they can be had in spite of what was found."""
        if not isinstance(config, dict):
            message = f"expected a mapping with the key `probes`, not {describe_type(config)}"
            self.found.append(UnlocatedError((), message))
            return None
        self.found += defaults_conflicts(config)
        self._inspect(defaults_only_config(config))
        return self._inspect(merge(config))

    def _inspect(self, merged: MergedConfig) -> Settings | None:
        settings, invalid = self._validate(merged)
        found = [*invalid, *find_conflicts(merged.value), *self._tls(merged.value)]
        self.found += [finding._replace(keys=merged.origin(finding.keys)) for finding in found]
        return settings

    def _validate(self, merged: MergedConfig) -> tuple[Settings | None, list[UnlocatedError]]:
        def written(keys: ConfigPath) -> str | None:
            return self._source.text(merged.origin(keys))

        try:
            return Settings.model_validate(merged.value, context=self._context), []
        except ValidationError as error:
            return None, list(findings(error, written=written))

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
    broken = source.broken | {finding.keys for finding in missing}
    sound = [finding for finding in found if not _is_in(finding.keys, broken)]
    problems = dict.fromkeys([*source.problems, *map(source.problem, [*missing, *sound])])
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _is_in(keys: ConfigPath, broken: AbstractSet[ConfigPath]) -> bool:
    return any(keys[:length] in broken for length in range(len(keys) + 1))
