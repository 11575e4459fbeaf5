"""The `check` command: forecasts and advice for a configuration."""
