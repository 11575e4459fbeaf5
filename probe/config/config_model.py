"""Base class of the models of the config, and the fields of optional keys."""

from typing import Any

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
    )
