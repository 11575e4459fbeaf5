"""What can be seen of the daemon over HTTP."""
