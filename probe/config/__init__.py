"""Loading and validation of the config, and the immutable settings that result."""
