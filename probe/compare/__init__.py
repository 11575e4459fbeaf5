"""Comparison of two probes, versions or periods: tests, intervals, verdicts and their output."""
