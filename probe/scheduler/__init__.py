"""Decides when probes run and accounts for every tick."""
