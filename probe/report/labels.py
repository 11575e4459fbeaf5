"""The replicas of a probe, by the labels of their scrape targets."""

from probe.prometheus.probe_group import ProbeGroup

__all__ = ["ProbeGroup"]
