"""Model of `cold`: how cold starts are recognised, measured and counted."""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from probe.config import http_types, response_settings, types
from probe.config.config_model import ConfigModel, config_key
from probe.config.units import format_duration

# The header that the HTTP add-on of KEDA sends.
KEDA_HEADER = "X-KEDA-HTTP-Cold-Start"


class ColdValueModel(ConfigModel):
    """Value in the JSON of a response that shows whether it waited for a cold start."""

    settings_type = response_settings.ColdValue

    key: http_types.ResponsePath = Field(
        description="JSONPath. In a stream, a path in its events, whose first value counts."
    )
    min: types.Number = config_key(
        1, "Smallest number that means a cold start, such as a load time. `true` always means one."
    )


class ColdModel(ConfigModel):
    """How to recognise cold starts: requests to a model that was not running, or not loaded.

    One signal is sufficient. Without `after_idle`, only responses with a signal are cold starts.
    """

    settings_type = response_settings.Cold

    header: http_types.HeaderName | None = config_key(
        KEDA_HEADER, "Header whose value `true` or `1` says that the response waited."
    )
    json_value: ColdValueModel | None = config_key(
        None, "Value in the response that shows that it waited.", alias="json"
    )
    status: Annotated[tuple[http_types.Status, ...], types.SCALAR_OR_LIST] = config_key(
        (), "Status codes of failures that mean that the model is starting."
    )
    error: Annotated[tuple[types.Text, ...], types.SCALAR_OR_LIST] = config_key(
        (),
        "Texts that mean that the model is starting, such as `Loading model`. They are searched in"
        " the beginning of the body of a failure, and in its header x-amzn-errortype.",
    )
    after_idle: Annotated[float, *types.duration("1s", "7d")] | None = config_key(
        None,
        "Time without requests after which the service scales to zero. The first response after"
        " this time is a cold start if it takes at least `multiple` times the median of warm"
        " responses. Longer than `interval`.",
    )
    slow_factor: types.Number = config_key(3, "See `after_idle`. At least 1.", alias="multiple")
    counts_in_objectives: types.Boolean = config_key(
        False, "Whether objectives count cold starts.", alias="count"
    )
    probe: types.Boolean = config_key(
        False,
        "Whether to cause and measure cold starts: once in each `interval`, no request is sent for"
        " `after_idle`, so that the service scales to zero.",
    )
    interval: Annotated[float, *types.duration("2s", "7d")] = config_key(
        "1h", "Time between two cold starts that `probe` causes. At least two times `after_idle`."
    )

    @field_validator("slow_factor")
    @classmethod
    def _require_at_least_1(cls, value: float) -> float:
        if value < 1:
            raise ValueError("less than 1, so usual responses would be cold starts; write 3")
        return value

    @field_validator("interval")
    @classmethod
    def _require_time_between(cls, value: float, info: ValidationInfo) -> Any:
        after_idle = info.data.get("after_idle")
        if info.data.get("probe") and after_idle is not None and value < 2 * after_idle:
            raise ValueError(
                f"less than two times `after_idle`, {format_duration(after_idle)}, so the probe"
                f" would send hardly anything; write {format_duration(2 * after_idle)} or longer"
            )
        return value

    @model_validator(mode="after")
    def _require_after_idle(self) -> Self:
        if self.probe and self.after_idle is None:
            raise ValueError(
                "`probe` needs `after_idle`: the time after which the service scales to zero"
            )
        if "interval" in self.model_fields_set and not self.probe:
            raise ValueError("`interval` has an effect only with `probe: true`; write it, too")
        return self
