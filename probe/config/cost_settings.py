"""Settings of the cost and the limits of the requests of a probe."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of tokens. The cost of a request is the sum of its tokens times their prices."""

    input: Decimal
    output: Decimal
    cached: Decimal | None
    per: int
    currency: str
    has_output: bool
    """Whether the config has a price of generated tokens."""

    def cost(self, *, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal:
        """Return the cost of a request. `cached_tokens` are a part of `input_tokens`."""
        cached_price = self.input if self.cached is None else self.cached
        total = (
            (input_tokens - cached_tokens) * self.input
            + cached_tokens * cached_price
            + output_tokens * self.output
        )
        return total / self.per


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of the requests of one probe in one daemon."""

    tokens_per_day: int | None
    cost_per_day: Decimal | None
    requests_per_hour: int | None

    @property
    def limits_tokens(self) -> bool:
        """Whether a limit is about tokens or their cost."""
        return self.tokens_per_day is not None or self.cost_per_day is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Capacity of the endpoint, from a load test."""

    safe_rate: float
    """Requests per second."""
