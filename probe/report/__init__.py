"""SLA reports from the counters that Prometheus has stored."""
