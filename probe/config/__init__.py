"""Loads, validates and freezes the configuration."""
