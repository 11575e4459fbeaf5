"""Metric definitions, histograms and the exposition of a scrape."""
