"""Models of `version` and `segment`: values that name the origin of a response."""

from typing import Annotated

from pydantic import Field

from probe.config import http_types, response_settings, types
from probe.config.choices import ResponsePart
from probe.config.config_model import ConfigModel, config_key


class ResponseValueModel(ConfigModel):
    """Where each response names its origin, such as the version of the model."""

    settings_type = response_settings.ResponseValue

    from_: Annotated[ResponsePart, *types.choice(ResponsePart)] = Field(
        alias="from", description="Part of the response that contains the value."
    )
    key: http_types.ValueKey = Field(
        description="Name of the header, or JSONPath. In a stream, a path in its events, whose"
        " first value counts."
    )
    max_values: Annotated[int, *types.integer(1, 100)] = config_key(
        10, "Maximum number of different values in a day. Further ones become `other`."
    )
