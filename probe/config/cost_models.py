"""Models of `price`, `budget` and `capacity`: cost and limits of requests, by probe."""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from probe.config import cost_settings, types, units
from probe.config.config_model import ConfigModel, config_key
from probe.config.errors import quote

CURRENCY_PATTERN = "[A-Z]{3}"


def _count(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:.15g}"
    count = units.parse_count(types.require_text(value), quoted=quote(value))
    if not 1 <= count <= 10**12:
        raise ValueError(f"{quote(value)} is not between 1 and 1000G")
    return count


def _amount(value: Any) -> Decimal:
    """Return an amount of money. The decimal number is exact: 0.1 is not a binary fraction."""
    amount = Decimal(repr(types.to_number(value)))
    if not 0 <= amount <= 10**9:
        raise ValueError("expected a number from 0 to 1000000000")
    return amount


def _currency(value: Any) -> str:
    text = types.require_text(value)
    if not re.fullmatch(CURRENCY_PATTERN, text):
        raise ValueError(f"not a currency: {quote(value)}; write its ISO code, such as USD or EUR")
    return text


_COUNT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 10**12},
        types.pattern_schema(units.COUNT_PATTERN, examples=["500", "100k", "1M"]),
    ]
}
_AMOUNT_SCHEMA = {"type": "number", "minimum": 0, "maximum": 10**9}

Count = Annotated[int, *types.scalar(_count, _COUNT_SCHEMA)]
Amount = Annotated[Decimal, *types.scalar(_amount, _AMOUNT_SCHEMA)]
Currency = Annotated[str, *types.scalar(_currency, types.pattern_schema(CURRENCY_PATTERN))]


class PriceModel(ConfigModel):
    """Price of tokens. The cost of a request is the sum of its tokens times their prices."""

    settings_type = cost_settings.Price

    input: Amount = Field(description="Price of the tokens of the prompt.")
    output: Amount = config_key(0, "Price of the generated tokens, which include reasoning.")
    cached: Amount | None = config_key(
        None,
        "Price of the tokens of the prompt that were in the server's cache. By default that of"
        " `input`.",
    )
    per: Count = config_key("1M", "Number of tokens that the prices are for, such as 1k or 1M.")
    currency: Currency = Field(description="ISO code of the currency, such as USD.")

    @property
    def has_output(self) -> bool:
        return "output" in self.model_fields_set


class BudgetModel(ConfigModel):
    """Limits of the requests of one probe in one daemon. A tick over one of them is skipped."""

    settings_type = cost_settings.Budget

    tokens_per_day: Count | None = config_key(
        None, "Tokens of prompts and responses in any 24 hours, such as 100k."
    )
    cost_per_day: Amount | None = config_key(
        None, "Cost of the requests in any 24 hours, in the currency of `price`."
    )
    requests_per_hour: Count | None = config_key(None, "Requests in any hour.")

    @model_validator(mode="after")
    def _require_limit(self) -> Self:
        limits = (self.tokens_per_day, self.cost_per_day, self.requests_per_hour)
        if all(limit is None for limit in limits):
            raise ValueError("no limit; write tokens_per_day, cost_per_day or requests_per_hour")
        return self


class CapacityModel(ConfigModel):
    """Capacity of the endpoint, from a load test. It is exported, and limits no requests."""

    settings_type = cost_settings.Capacity

    safe_rate: types.Rate = Field(
        description="Highest request rate at which the endpoint keeps its objectives, such as"
        " 140/s. It is the metric `inference_probe_safe_rate`."
    )
