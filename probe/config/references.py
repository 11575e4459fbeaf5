"""References in a whole config looked up, each with the way to it, so that none is missed."""

from typing import Any

from probe.config.errors import ConfigPath, UnlocatedError
from probe.config.secrets import ResolvedText, SecretError, Secrets, Template


class ReferenceResolver:
    """Puts Substituted in the place of text with `${...}`; keeps what could not be found."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.found: list[UnlocatedError] = []

    def value(self, value: Any, keys: ConfigPath = ()) -> Any:
        if isinstance(value, dict):
            self._no_references(value, keys)
            return {key: self.value(item, (*keys, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*keys, index)) for index, item in enumerate(value)]
        return self._text(value, keys) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, keys: ConfigPath) -> str:
        try:
            return ResolvedText(Template.parse(text), self._secrets)
        except (ValueError, SecretError) as error:
            self.found.append(UnlocatedError(keys, str(error)))
            return text

    def _no_references(self, mapping: dict[str, Any], keys: ConfigPath) -> None:
        for key in mapping:
            if "${env:" in key or "${file:" in key:
                message = "references are looked up in values, not in keys"
                self.found.append(UnlocatedError((*keys, key), message, at_key=True))
