"""What the user asked for: a config file or a few flags, read, checked and frozen."""
