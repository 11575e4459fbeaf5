"""Statistics of shares of requests: distributions, bounds and design effects."""
