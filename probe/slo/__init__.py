"""Forecasts of the alerts, and the statistics behind them."""
