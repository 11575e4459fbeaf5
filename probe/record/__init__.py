"""What is kept of the results: the metrics."""
