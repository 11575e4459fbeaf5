"""Model of `payloads`: bodies that a probe sends in turn."""

from typing import Self

from pydantic import Field, model_validator

from probe.config import http_types, settings, types
from probe.config.config_model import ConfigModel, config_key


class PayloadModel(ConfigModel):
    """One of several bodies that a probe sends in turn: `json` or `body`."""

    settings_type = settings.Payload

    name: types.Name = Field(
        description="Name of the payload, in results and as a value of `histogram_by`."
    )
    json_body: http_types.JsonBody = config_key(
        None,
        "Body as JSON. With `protocol`, only the keys that differ: they are merged into the body of"
        " the protocol, as in `extra`.",
        alias="json",
    )
    body: http_types.Body | None = config_key(None, "Body as text.")

    @model_validator(mode="after")
    def _require_one_body(self) -> Self:
        if (self.json_body is None) == (self.body is None):
            raise ValueError("write either `json` or `body` in each payload")
        return self
