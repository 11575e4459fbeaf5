"""One probe, from the wire to a verdict."""
