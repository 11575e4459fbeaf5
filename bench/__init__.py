"""Benchmarks and simulations of the daemon and its rules."""
