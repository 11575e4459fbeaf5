"""The mathematics of objectives: evidence, false alarms, the time to find out."""
