"""Base class of the models of the config, and the fields of optional keys."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


def config_key(default: Any, description: str, **keywords: Any) -> Any:
    """Return the field of an optional key. Its default is written and validated as in a config."""
    return Field(default=default, description=description, **keywords)


class ConfigModel(BaseModel):
    """Base class of the models."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        # The titles in the JSON Schema are the names of the settings: `Probe` for `ProbeModel`.
        model_title_generator=lambda model: model.__name__.removesuffix("Model"),
    )

    settings_type: ClassVar[type]
    """Dataclass of the settings. Each of its fields is an attribute of the model."""

    def to_settings(self) -> Any:
        """Return the settings: an instance of `settings_type`, also for the models in it."""
        names = _field_names(self.settings_type)
        return self.settings_type(**{name: _to_settings(getattr(self, name)) for name in names})


@cache
def _field_names(settings_type: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(settings_type))


def _to_settings(value: Any) -> Any:
    if isinstance(value, ConfigModel):
        return value.to_settings()
    if isinstance(value, tuple):
        return tuple(map(_to_settings, value))
    if isinstance(value, Mapping):
        return {key: _to_settings(item) for key, item in value.items()}
    return value
